"""The programs' lanes beside a ladder: a call opens where it entered the kernel and closes where it returned.

A call stands on the row of the packet that followed its entering, or came before its return; on a row of its own when
another call is nearer. Its length is how long it blocked.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from inspector.calls.call import SocketCall
from inspector.calls.matching import SidedCall
from inspector.tcp.states import Side
from inspector.text import say
from inspector.trace.conversation import Row
from inspector.views.call_words import asked, came_back, explained
from inspector.views.ladder_layout import wrapped
from inspector.views.line import Line, Span, line_of
from inspector.views.quantities import duration
from inspector.views.safe_text import cells

LEAST_WIDTH = 120
_LADDER_WIDTH = 76
_NARROWEST, _WIDEST = 22, 40
_MOST_COLUMNS = 3
_LONG_NS = 10_000_000
_ROOM_TO_QUOTE = 16  # cells; with less, what was received stands in a line of its own

Group = tuple[Sequence[Row], list[Line]]  # the lines of a packet, of several folded ones, or of none


class Mark(NamedTuple):
    """What a lane shows at one place: words, and the call that opens or closes there (neither: it did both)."""

    words: tuple[str, ...]  # where it may be broken between them
    style: str
    opens: int | None = None
    closes: int | None = None


class _Event(NamedTuple):
    time_ns: float
    call: int
    enters: bool


def lane_width(width: int) -> int:
    """Cells for each lane of a picture of that width; 0 when there is no room."""
    return 0 if width < LEAST_WIDTH else min(max((width - _LADDER_WIDTH) // 2, _NARROWEST), _WIDEST)


class CallTimeline:
    """The calls of one side in the order of time, asked for piece by piece between packets."""

    def __init__(self, calls: Sequence[SidedCall], room: int, *, ascii_only: bool) -> None:
        self._calls = [sided.call for sided in calls]
        self._room = room
        self._ascii_only = ascii_only
        events = []
        for number, call in enumerate(self._calls):
            events.append(_Event(call.enter_ns, number, True))
            events.append(_Event(math.inf if call.exit_ns is None else call.exit_ns, number, False))
        self._events = sorted(events, key=lambda event: (event.time_ns, event.call, not event.enters))
        self._at = 0
        self._held: int | None = None
        self.latest_ns = -math.inf  # of what ``before`` has told

    def before(self, time_ns: float, *, hold: bool) -> list[tuple[float, Mark]]:
        """What happens up to a packet; with ``hold`` the last call to enter waits for the packet's row."""
        marks = []
        while (event := self._next(time_ns)) is not None:
            self._at += 1
            following = self._next(time_ns)
            if hold and event.enters and following is None:
                self._held = event.call
                break
            self.latest_ns = event.time_ns
            if not event.enters:
                marks.append((event.time_ns, self._closing(event.call)))
            elif following is not None and following.call == event.call:
                self._at += 1
                self.latest_ns = following.time_ns
                marks.append((event.time_ns, self._whole(event.call)))
            else:
                marks.append((event.time_ns, self._opening(event.call)))
        return marks

    def no_longer_held(self, after_ns: float) -> list[tuple[float, Mark]]:
        """The opening that waits for the packet's row, when something else happened ``after`` it."""
        if self._held is None or self._calls[self._held].enter_ns >= after_ns:
            return []
        held, self._held = self._held, None
        return [(self._calls[held].enter_ns, self._opening(held))]

    def at_packet(self, next_ns: float) -> Mark | None:
        """What stands on a packet's row, when the next packet comes at ``next_ns``."""
        held, self._held = self._held, None
        event = self._next(next_ns)
        returns = event is not None and not event.enters and event.time_ns < math.inf
        if event is not None and returns and held in (None, event.call):
            self._at += 1
            return self._closing(event.call) if held is None else self._whole(event.call)
        return None if held is None else self._opening(held)

    def _next(self, time_ns: float) -> _Event | None:
        if self._at == len(self._events):
            return None
        event = self._events[self._at]
        return event if event.time_ns < time_ns or time_ns == math.inf else None

    def _opening(self, call: int) -> Mark:
        return Mark((asked(self._calls[call], self._room),), "call", opens=call)

    def _closing(self, number: int) -> Mark:
        call = self._calls[number]
        back = came_back(call, self._room - 2, ascii_only=self._ascii_only)
        words = say("calls.done") if not back else back if call.exit_ns is None else f"= {back}"
        return Mark(
            (*_breakable(words, self._room), *self._reason(call)), "call.error" if call.error else "call", closes=number
        )

    def _whole(self, number: int) -> Mark:
        call = self._calls[number]
        words = asked(call, self._room)
        beside = self._room - cells(words) - 3
        back = came_back(call, beside if beside >= _ROOM_TO_QUOTE else self._room - 2, ascii_only=self._ascii_only)
        result = _breakable(f"= {back}", self._room) if back else []
        return Mark((words, *result, *_lasted(call), *self._reason(call)), "call.error" if call.error else "call")

    def in_a_row(self, mark: Mark) -> str:
        """The words of a mark where no bracket shows what belongs together."""
        words = " ".join(mark.words)
        if mark.opens is not None:
            return f"{words} …"
        return words if mark.closes is None else f"… {self._calls[mark.closes].name}() {words}"

    def _reason(self, call: SocketCall) -> list[str]:
        reason = explained(call)
        return f"({reason})".split(" ") if reason else []


def _lasted(call: SocketCall) -> list[str]:
    """How long a call blocked that is drawn without length."""
    lasted_ns = 0 if call.exit_ns is None else call.exit_ns - call.enter_ns
    return [say("calls.after", time=duration(lasted_ns))] if lasted_ns >= _LONG_NS else []


def _breakable(words: str, room: int) -> list[str]:
    """As one piece where it fits."""
    return [words] if cells(words) <= room else words.split(" ")


class _Lane:
    """One side's lane: its cells, with a bracket for each call that is under way."""

    def __init__(self, side: Side, calls: Sequence[SidedCall], width: int, *, ascii_only: bool) -> None:
        self._side = side
        self._columns: list[int | None] = [None] * _columns_needed(calls)
        self._room = width - len(self._columns) - 2
        self.timeline = CallTimeline(calls, self._room, ascii_only=ascii_only)

    def cell(self, mark: Mark | None) -> list[list[Span]]:
        """The lines of a place in the lane."""
        if mark is None:
            return [self.idle()]
        first, *others = wrapped(list(mark.words), self._room, " ")
        if mark.opens is not None and None in self._columns:
            self._columns[self._columns.index(None)] = mark.opens
            lines = [self._line(first, mark.style, mark.opens, "┐┌"[self._side])]
        elif mark.closes is not None and mark.closes in self._columns:
            lines = [self._line(first, mark.style, mark.closes, "┘└"[self._side])]
            self._columns[self._columns.index(mark.closes)] = None
        else:
            lines = [self._line(first, mark.style)]
        return [*lines, *(self._line(text, mark.style) for text in others)]

    def idle(self) -> list[Span]:
        """Nothing but the brackets of what is under way."""
        return self._line("", "")

    def _line(self, text: str, style: str, here: int | None = None, corner: str = "") -> list[Span]:
        brackets = "".join(" " if call is None else corner if call == here else "│" for call in self._columns)
        free = Span(" " * (self._room - cells(text)))
        if self._side is Side.CLIENT:
            return [free, Span(text, style), Span(f" {brackets} ", "call")]
        return [Span(f" {brackets} ", "call"), Span(text, style), free]


def with_lanes(
    groups: Iterable[Group],
    calls: Sequence[SidedCall],
    width: int,
    between: Callable[[], Line],
    *,
    ascii_only: bool,
) -> Iterator[Line]:
    """The lines of a ladder drawn for ``ladder_width(width)``, with the calls at both sides.

    ``between`` draws the lifelines where only calls happen.
    """
    lane_cells = lane_width(width)
    lanes = [_Lane(side, _of(side, calls), lane_cells, ascii_only=ascii_only) for side in Side]
    ladder_cells = width - 2 * lane_cells

    def joined(marks: Sequence[Mark | None], lines: list[Line]) -> Iterator[Line]:
        left, right = (lane.cell(mark) for lane, mark in zip(lanes, marks, strict=True))
        for at in range(max(len(left), len(right), len(lines))):
            middle = lines[at] if at < len(lines) else between()
            padding = Span(" " * (ladder_cells - cells(middle.text)))
            sides = (
                cell[at] if at < len(cell) else lane.idle() for cell, lane in zip((left, right), lanes, strict=True)
            )
            before, after = sides
            yield line_of([*before, *middle.spans, padding, *after], middle.conversation)

    def alone(until_ns: float, *, hold: bool) -> Iterator[Line]:
        happened = [lane.timeline.before(until_ns, hold=hold) for lane in lanes]
        for own, other in ((0, 1), (1, 0)):
            if happened[other]:
                happened[own] += lanes[own].timeline.no_longer_held(lanes[other].timeline.latest_ns)
        for _, side, mark in _in_order(happened):
            yield from joined([mark, None] if side is Side.CLIENT else [None, mark], [between()])

    parts = list(_parted(groups))
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        for line in part.above:
            yield from joined([None, None], [line])
        yield from alone(part.time_ns, hold=bool(part.lines))
        for line in part.rules:
            yield from joined([None, None], [line])
        if part.lines:
            next_ns = math.inf if following is None else following.time_ns
            yield from joined([lane.timeline.at_packet(next_ns) for lane in lanes], part.lines)


def with_rows(
    groups: Iterable[Group],
    calls: Sequence[SidedCall],
    room: int,
    note: Callable[[str, str, Side], list[Line]],
    *,
    ascii_only: bool,
) -> Iterator[Line]:
    """The lines of a ladder with the calls as rows of their own; ``note`` draws words of a style at a side."""
    timelines = [CallTimeline(_of(side, calls), room, ascii_only=ascii_only) for side in Side]
    for part in _parted(groups):
        yield from part.above
        for _, side, mark in _in_order([timeline.before(part.time_ns, hold=False) for timeline in timelines]):
            yield from note(timelines[side].in_a_row(mark), mark.style, side)
        yield from [*part.rules, *part.lines]


class _Part(NamedTuple):
    """A packet's lines, what stands above the calls before it, and the rules between these calls and the packet."""

    time_ns: float
    above: list[Line]
    rules: list[Line]
    lines: list[Line]


def _parted(groups: Iterable[Group]) -> Iterator[_Part]:
    """The packets in order, and an end without one. A phase begins with a packet, not with the calls before it; only
    the first is ruled off above everything."""
    pending: list[Line] = []
    first = True
    for rows, lines in groups:
        if not rows:
            pending += lines
            continue
        above, rules = (pending, []) if first else ([], pending)
        yield _Part(rows[0].time_ns, above, rules, lines)
        pending, first = [], False
    yield _Part(math.inf, pending if first else [], [] if first else pending, [])


def _in_order(happened: Sequence[Sequence[tuple[float, Mark]]]) -> list[tuple[float, Side, Mark]]:
    """What happened at both sides, in the order of time."""
    both = ((time, side, mark) for side, marks in zip(Side, happened, strict=True) for time, mark in marks)
    return sorted(both, key=itemgetter(0))


def _of(side: Side, calls: Sequence[SidedCall]) -> list[SidedCall]:
    return [call for call in calls if call.side is side]


def _columns_needed(calls: Sequence[SidedCall]) -> int:
    """How many calls of a side are under way at a time, up to what is drawn."""
    most = 0
    open_until: list[float] = []
    for sided in sorted(calls, key=lambda sided: sided.call.enter_ns):
        open_until = [end for end in open_until if end > sided.call.enter_ns]
        open_until.append(math.inf if sided.call.exit_ns is None else sided.call.exit_ns)
        most = max(most, len(open_until))
    return min(max(most, 1), _MOST_COLUMNS)
