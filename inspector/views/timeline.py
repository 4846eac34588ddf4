"""The timeline: every conversation as a bar on one axis of time, and under the bars when waiting programs woke up.

A cell of a bar says what its slice of time saw; of several things the one that matters more.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple

from inspector.calls.call import WAITING, SocketCall
from inspector.tcp.segment import Flag
from inspector.text import say
from inspector.trace.conversation import Conversation
from inspector.views.ladder_layout import clipped, wrapped
from inspector.views.line import Line, Span, line_of
from inspector.views.quantities import duration
from inspector.views.safe_text import cells

_LEAST_BAR = 20
_TICK_CELLS = 16
_MANY = 9


class Activity(IntEnum):
    """What a packet is to its conversation; the larger matters more."""

    ACKNOWLEDGING = 0
    DATA = 1
    TEARDOWN = 2
    HANDSHAKE = 3
    RESET = 4


class Moment(NamedTuple):
    """A packet of a conversation: when, and what it is."""

    time_ns: int
    activity: Activity


_LOOKS = {  # sign, style
    Activity.HANDSHAKE: ("╫", "phase"),
    Activity.DATA: ("━", "arrow.data"),
    Activity.ACKNOWLEDGING: ("─", "arrow.control"),
    Activity.TEARDOWN: ("╪", "state"),
    Activity.RESET: ("╳", "arrow.reset"),
}
_OPEN = ("┄", "lifeline")
_WOKE = "▲"


def activity(flags: int, payload_bytes: int) -> Activity:
    """What a packet is to its conversation; a datagram has no flags."""
    if flags & Flag.RST:
        return Activity.RESET
    if flags & Flag.SYN:
        return Activity.HANDSHAKE
    if flags & Flag.FIN:
        return Activity.TEARDOWN
    return Activity.DATA if payload_bytes else Activity.ACKNOWLEDGING


def timeline_lines(
    conversations: Sequence[Conversation],
    moments: Mapping[int, Sequence[Moment]],
    calls: Iterable[SocketCall],
    width: int,
) -> Iterator[Line]:
    """The picture; ``moments`` by conversation number, in the order of time."""
    if not conversations:
        return
    waits = _waits(calls)
    labels = [_label(conversation) for conversation in conversations]
    label_cells = min(max(map(cells, [*labels, *waits])), max(width - _LEAST_BAR - 2, 10))
    bar_cells = max(width - label_cells - 2, _LEAST_BAR)
    start_ns = min(conversation.start_ns for conversation in conversations)
    axis = _Axis(start_ns, max(conversation.end_ns for conversation in conversations), bar_cells)
    for text in axis.ticks():
        yield line_of([Span(" " * (label_cells + 2)), Span(text, "time")])
    for label, conversation in zip(labels, conversations, strict=True):
        bar = _bar(moments.get(conversation.number, ()), axis)
        yield line_of([Span(_fitted(label, label_cells), "head"), *bar], conversation.number)
    for label, times_ns in waits.items():
        yield line_of([Span(_fitted(label, label_cells), "call"), Span(_wakes(times_ns, axis), "call")])
    yield Line()
    for line in wrapped(_legend(bool(waits)), width, "  "):
        yield line_of([Span(line, "legend")])


class _Axis:
    """Which cell a time falls into."""

    def __init__(self, start_ns: int, end_ns: int, bar_cells: int) -> None:
        self.cells = bar_cells
        self._start_ns = start_ns
        self._span_ns = max(end_ns - start_ns, 1)

    def cell(self, time_ns: int) -> int:
        """From 0; times outside fall into the first or the last."""
        return min(max((time_ns - self._start_ns) * self.cells // self._span_ns, 0), self.cells - 1)

    def ticks(self) -> tuple[str, str]:
        """Times, and the marks they stand at."""
        count = max(self.cells // _TICK_CELLS, 1)
        words, marks = "", ""
        for tick in range(count):
            at = tick * self.cells // count
            words = words.ljust(at) + duration(self._span_ns * tick // count)
            marks = marks.ljust(at, "─") + "┬"
        end = duration(self._span_ns)
        if len(words) + len(end) < self.cells:
            words = words.ljust(self.cells - len(end)) + end
        return words, marks.ljust(self.cells - 1, "─") + "┐"


def _bar(moments: Sequence[Moment], axis: _Axis) -> list[Span]:
    looks: list[tuple[str, str]] = [(" ", "")] * axis.cells
    if moments:
        first, last = axis.cell(moments[0].time_ns), axis.cell(moments[-1].time_ns)
        looks[first : last + 1] = [_OPEN] * (last - first + 1)
    found: dict[int, Activity] = {}
    for moment in moments:
        at = axis.cell(moment.time_ns)
        found[at] = max(found.get(at, Activity.ACKNOWLEDGING), moment.activity)
    for at, what in found.items():
        looks[at] = _LOOKS[what]
    return [Span(sign, style) for sign, style in looks]


def _waits(calls: Iterable[SocketCall]) -> dict[str, list[int]]:
    """When waits found something, by what they are called: method and process."""
    woken: dict[tuple[str, int], list[int]] = {}
    for call in calls:
        if call.name in WAITING and call.exit_ns is not None and call.returned:
            woken.setdefault((call.name, call.process), []).append(call.exit_ns)
    return {
        say("timeline.wakes", method=name, process=process, count=len(times_ns)): times_ns
        for (name, process), times_ns in woken.items()
    }


def _wakes(times_ns: Sequence[int], axis: _Axis) -> str:
    """A sign for a wake-up, a number for several in one cell."""
    counts = [0] * axis.cells
    for time_ns in times_ns:
        counts[axis.cell(time_ns)] += 1
    return "".join(" " if not count else _WOKE if count == 1 else str(min(count, _MANY)) for count in counts)


def _label(conversation: Conversation) -> str:
    return f"{conversation.protocol} {conversation.number}  {conversation.client}"


def _fitted(label: str, label_cells: int) -> str:
    text = clipped(label, label_cells)
    return text + " " * (label_cells - cells(text) + 2)


def _legend(with_waits: bool) -> list[str]:
    signs = [f"{_LOOKS[what][0]} {say(f'timeline.{what.name.lower()}')}" for what in reversed(Activity)]
    signs.append(f"{_OPEN[0]} {say('timeline.open')}")
    if with_waits:
        signs.append(f"{_WOKE} {say('timeline.woke')}")
    return signs
