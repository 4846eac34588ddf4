"""The programs' lanes beside a ladder: a call opens where it entered the kernel and closes where it returned.

A call stands on the row of the packet that followed its entering, or came before its return; on a row of its own when
another call is nearer. Its length is how long it blocked.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

from inspector.calls.matching import SidedCall
from inspector.tcp.states import Side
from inspector.trace.conversation import Row
from inspector.views.call_marks import CallMarks, Mark, in_a_row
from inspector.views.ladder_layout import wrapped
from inspector.views.line import Line, Span, line_of
from inspector.views.safe_text import cells

LEAST_WIDTH = 120
_LADDER_WIDTH = 76
_NARROWEST, _WIDEST = 22, 40
_MOST_COLUMNS = 3

Group = tuple[Sequence[Row], list[Line]]  # the lines of a packet, of several folded ones, or of none


class _Event(NamedTuple):
    time_ns: float
    call: int
    enters: bool


def lane_width(width: int) -> int:
    """Cells for each lane of a picture of that width; 0 when there is no room."""
    return 0 if width < LEAST_WIDTH else min(max((width - _LADDER_WIDTH) // 2, _NARROWEST), _WIDEST)


class CallTimeline:
    """The calls of one side in the order of time, asked for piece by piece between packets."""

    def __init__(self, calls: Sequence[SidedCall], marks: CallMarks) -> None:
        self._calls = [sided.call for sided in calls]
        self._marks = marks
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
                marks.append((event.time_ns, self._marks.closing(self._calls[event.call], event.call)))
            elif following is not None and following.call == event.call:
                self._at += 1
                self.latest_ns = following.time_ns
                marks.append((event.time_ns, self._marks.whole(self._calls[event.call])))
            else:
                marks.append((event.time_ns, self._marks.opening(self._calls[event.call], event.call)))
        return marks

    def no_longer_held(self, after_ns: float) -> list[tuple[float, Mark]]:
        """The opening that waits for the packet's row, when something else happened ``after`` it."""
        if self._held is None or self._calls[self._held].enter_ns >= after_ns:
            return []
        held, self._held = self._held, None
        return [(self._calls[held].enter_ns, self._marks.opening(self._calls[held], held))]

    def at_packet(self, next_ns: float) -> Mark | None:
        """What stands on a packet's row, when the next packet comes at ``next_ns``."""
        held, self._held = self._held, None
        event = self._next(next_ns)
        returns = event is not None and not event.enters and event.time_ns < math.inf
        if event is not None and returns and held in (None, event.call):
            self._at += 1
            return (
                self._marks.closing(self._calls[event.call], event.call)
                if held is None
                else self._marks.whole(self._calls[event.call])
            )
        return None if held is None else self._marks.opening(self._calls[held], held)

    def _next(self, time_ns: float) -> _Event | None:
        if self._at == len(self._events):
            return None
        event = self._events[self._at]
        return event if event.time_ns < time_ns or time_ns == math.inf else None


class _Lane:
    """One side's lane: its cells, with a bracket for each call that is under way."""

    def __init__(self, side: Side, columns: int, width: int) -> None:
        self._side = side
        self._columns: list[int | None] = [None] * columns
        self.room = width - columns - 2  # cells for words

    def cell(self, mark: Mark | None) -> list[list[Span]]:
        """The lines of a place in the lane."""
        if mark is None:
            return [self.idle()]
        first, *others = wrapped(list(mark.words), self.room, " ")
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
        free = Span(" " * (self.room - cells(text)))
        if self._side is Side.CLIENT:
            return [free, Span(text, style), Span(f" {brackets} ", "call")]
        return [Span(f" {brackets} ", "call"), Span(text, style), free]


class Lanes:
    """Both lanes beside a ladder; ``between`` draws its lifelines where only calls happen."""

    def __init__(self, width: int, between: Callable[[], Line], columns: Sequence[int] = (1, 1)) -> None:
        lane_cells = lane_width(width)
        self._lanes = [_Lane(side, columns[side], lane_cells) for side in Side]
        self._ladder_cells = width - 2 * lane_cells
        self._between = between
        self.rooms = [lane.room for lane in self._lanes]

    def joined(self, marks: Sequence[Mark | None], lines: Sequence[Line]) -> Iterator[Line]:
        """Lines of the ladder with what stands beside them, and further ones when that is longer."""
        left, right = (lane.cell(mark) for lane, mark in zip(self._lanes, marks, strict=True))
        for at in range(max(len(left), len(right), len(lines))):
            middle = lines[at] if at < len(lines) else self._between()
            padding = Span(" " * (self._ladder_cells - cells(middle.text)))
            before, after = (
                cell[at] if at < len(cell) else lane.idle()
                for cell, lane in zip((left, right), self._lanes, strict=True)
            )
            yield line_of([*before, *middle.spans, padding, *after], middle.conversation)

    def alone(self, side: Side, mark: Mark) -> Iterator[Line]:
        """A mark where nothing passes on the wire."""
        return self.joined([mark, None] if side is Side.CLIENT else [None, mark], [self._between()])


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
    sided = [_of(side, calls) for side in Side]
    lanes = Lanes(width, between, [_columns_needed(own) for own in sided])
    timelines = [
        CallTimeline(own, CallMarks(room, ascii_only=ascii_only)) for own, room in zip(sided, lanes.rooms, strict=True)
    ]

    def alone(until_ns: float, *, hold: bool) -> Iterator[Line]:
        happened = [timeline.before(until_ns, hold=hold) for timeline in timelines]
        for own, other in ((0, 1), (1, 0)):
            if happened[other]:
                happened[own] += timelines[own].no_longer_held(timelines[other].latest_ns)
        for _, side, mark in _in_order(happened):
            yield from lanes.alone(side, mark)

    parts = list(_parted(groups))
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        for line in part.above:
            yield from lanes.joined([None, None], [line])
        yield from alone(part.time_ns, hold=bool(part.lines))
        for line in part.rules:
            yield from lanes.joined([None, None], [line])
        if part.lines:
            next_ns = math.inf if following is None else following.time_ns
            yield from lanes.joined([timeline.at_packet(next_ns) for timeline in timelines], part.lines)


def with_rows(
    groups: Iterable[Group],
    calls: Sequence[SidedCall],
    room: int,
    note: Callable[[str, str, Side], list[Line]],
    *,
    ascii_only: bool,
) -> Iterator[Line]:
    """The lines of a ladder with the calls as rows of their own; ``note`` draws words of a style at a side."""
    marks = CallMarks(room, ascii_only=ascii_only)
    timelines = [CallTimeline(_of(side, calls), marks) for side in Side]
    for part in _parted(groups):
        yield from part.above
        for _, side, mark in _in_order([timeline.before(part.time_ns, hold=False) for timeline in timelines]):
            yield from note(in_a_row(mark), mark.style, side)
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
