"""The ladder: a sequence diagram of one conversation, as lines of spans.

``ladder_of`` draws a whole conversation and looks ahead. ``Ladder`` takes rows one at a time and never draws anything
twice; it says what is known when it is drawn.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from inspector.calls.matching import SidedCall
from inspector.tcp.report import SegmentReport
from inspector.tcp.segment import Flag
from inspector.tcp.states import EndpointState, Known, Side, TcpState
from inspector.text import say
from inspector.trace.calls import buffer_fills
from inspector.trace.conversation import ConnectionEnd, Conversation, Row
from inspector.views import rfc_notation
from inspector.views.buffer_notes import BufferNotes
from inspector.views.folding import folded_words, folds, folds_between, outside_of
from inspector.views.labels import (
    Label,
    Part,
    comment_part,
    datagram_label,
    fit,
    is_old,
    notice_label,
    segment_label,
    torn_segment_label,
)
from inspector.views.ladder_layout import NARROWEST, WIDEST, Layout, Stroke, relative_time, rule, wrapped
from inspector.views.lanes import Group, lane_width, with_lanes, with_rows
from inspector.views.line import Line, Span, line_in_ascii, line_of
from inspector.views.phases import (
    Phase,
    PhaseTracker,
    Rule,
    both_ways,
    section_rule,
    sections_of,
    side_name,
    verdict,
)
from inspector.views.placement import LivePlacement, Marks, initial_states, place
from inspector.views.quantities import count, data_bytes, date, duration, wall_clock
from inspector.views.safe_text import cells

TAG_STYLES = 6
QUOTE_IN_ROWS = 30
_MARK = "▸"
_NOTHING_DRAWN: Marks = ([], [])


@dataclass(frozen=True, slots=True)
class LadderOptions:
    """How a ladder is drawn. ``live``: conversations interleave, so every line begins with the number of its own."""

    width: int = 100  # cells; used from 60 to 160
    ascii: bool = False
    absolute_time: bool = False  # the local time of day, not the time since the row before
    raw_numbers: bool = False  # sequence numbers as on the wire
    style: str = "arrows"  # or "rfc", the notation of RFC 9293 section 3.5
    live: bool = False
    unfold: bool = False  # show every packet of long runs
    buffers: bool = False  # where the bytes are, below the packets that change it
    calls: str = "auto"  # where calls are drawn: "auto" in lanes where there is room, "rows", or "off"


class LadderPart(NamedTuple):
    """A whole conversation to be drawn: its packets, where its connection stands at the end, its programs' calls.

    ``below`` has further lines for under a packet, in so many cells. The rows of ``marked`` packets get a sign; where
    there are any, long runs of others are folded.
    """

    conversation: Conversation
    end: ConnectionEnd | None
    rows: Sequence[Row]
    calls: Sequence[SidedCall] = ()
    below: Callable[[int, int], Sequence[Line]] | None = None
    marked: frozenset[int] = frozenset()


def ladder_of(part: LadderPart, options: LadderOptions) -> Iterator[Line]:
    """The ladder of a whole conversation, with its calls in lanes where there is room, else as rows."""
    drawing = _Drawing(part.conversation, options, part.marked)
    yield from drawing.head(part.end)
    if not part.rows:
        return
    if part.marked:
        part = part._replace(calls=outside_of(folds_between(part.rows, part.marked), part.rows, part.calls))
    if not part.calls or options.calls == "off" or options.style == "rfc":
        for _, lines in _groups(part, drawing, options):
            yield from lines
    elif options.calls == "auto" and (lane := lane_width(options.width)):
        narrow = replace(options, width=_clamped(options.width) - 2 * lane, unfold=True)
        drawing = _Drawing(part.conversation, narrow, part.marked)
        groups = _groups(part, drawing, narrow)
        wide = with_lanes(groups, part.calls, _clamped(options.width), drawing.lifelines, ascii_only=options.ascii)
        yield from map(line_in_ascii, wide) if options.ascii else wide
    else:
        groups = _groups(part, drawing, replace(options, unfold=True))
        yield from with_rows(groups, part.calls, QUOTE_IN_ROWS, drawing.note, ascii_only=options.ascii)


def _groups(part: LadderPart, drawing: "_Drawing", options: LadderOptions) -> Iterator[Group]:
    """The lines below the head, by the packets they show."""
    end, rows = part.end, part.rows
    drawing.fit_numbers(rows[-1].packet)
    marks = place(rows, end)
    sections = {section.start: section for section in sections_of(rows)}
    folded = folds_between(rows, part.marked, frozenset(sections))
    if not (part.marked or options.unfold or options.buffers):
        folded = folds(rows, marks, frozenset(sections))
    reports = [row.report for row in rows if row.report is not None]
    yield (), drawing.begin(_first_states(part, reports, options) if reports else None)
    buffers = BufferNotes(buffer_fills(part.rows, part.calls) if options.buffers else {}, drawing.note)
    at = 0
    while at < len(rows):
        if at in sections and sections[at].phase:
            yield (), drawing.phase(section_rule(sections[at], rows, end))
        if at in folded:
            start, stop = folded[at]
            yield rows[start:stop], drawing.fold(rows[start:stop])
            at = stop
            continue
        below = drawing.told(part.below(rows[at].packet, _clamped(options.width))) if part.below else []
        yield rows[at : at + 1], [*drawing.packet(rows[at], marks[at]), *buffers.below(rows[at]), *below]
        at += 1


def _first_states(part: LadderPart, reports: Sequence[SegmentReport], options: LadderOptions) -> list[EndpointState]:
    """Where both sides stood before the first packet; the server is seen to listen when its program has called so."""
    client, server = initial_states(reports, part.end)
    begins_ns = part.rows[0].time_ns
    listens = options.calls != "off" and any(
        side is Side.SERVER and call.name == "listen" and not call.error and (call.exit_ns or begins_ns) < begins_ns
        for side, call, *_ in part.calls
    )
    if listens and server.state is TcpState.LISTEN:
        server = EndpointState(TcpState.LISTEN, Known.SEEN)
    return [client, server]


def ladders_of(parts: Iterable[LadderPart], options: LadderOptions) -> Iterator[Line]:
    """The ladders of several conversations, and after them what explains their marks."""
    inferred = False
    for index, part in enumerate(parts):
        if index:
            yield Line()
        for line in ladder_of(part, options):
            inferred = inferred or shows_inferred(line)
            yield line
    if inferred:
        yield from legend(options.width)


def shows_inferred(line: Line) -> bool:
    """Whether a state in it needs the legend."""
    return any(span.style == "state.inferred" for span in line.spans)


def legend(width: int) -> Iterator[Line]:
    """What the marks of ladders mean."""
    yield Line()
    for text in wrapped(say("ladder.legend").split(" "), _clamped(width), " "):
        yield line_of([Span(text, "legend")])


def head_lines(conversation: Conversation, end: ConnectionEnd | None, width: int) -> list[Line]:
    """Who talks to whom, how much, how long, how it ended: the head of a ladder alone."""
    return _Drawing(conversation, LadderOptions(width=width)).head(end)


class Ladder:
    """The ladder of one conversation under way: ``head`` at its first packet, ``feed`` for each row, ``finish``."""

    def __init__(self, options: LadderOptions) -> None:
        self._options = options
        self._drawing: _Drawing
        self._phases = PhaseTracker()
        self._placement: LivePlacement | None = None
        self._began = self._connected = False
        self._syn_ns: int | None = None

    def head(self, conversation: Conversation, end: ConnectionEnd | None = None) -> list[Line]:
        """The head line; with ``end`` also how it all ended, when that is known."""
        self._drawing = _Drawing(conversation, self._options)
        return self._drawing.head(end) if end is not None else self._drawing.endpoints([])

    def feed(self, row: Row) -> list[Line]:
        """The lines of the next row: a rule when a phase begins with it, its arrow, a rule when it completes one."""
        drawing = self._drawing
        lines = [] if self._began else drawing.begin(None if row.report is None else initial_states([row.report]))
        self._began = True
        if row.report is not None and self._placement is None:
            self._placement = LivePlacement(initial_states([row.report]))
        before = list(self._phases.payload_bytes)
        was_open, last_phase = self._phases.opened, self._phases.phase
        if self._phases.feed(row) and not (self._connected and self._phases.phase is Phase.DATA):
            lines += drawing.phase(self._rule(row, last_phase, before))
        lines += drawing.packet(row, self._placement.feed(row) if self._placement else _NOTHING_DRAWN)
        if row.report is not None and row.side is Side.CLIENT and row.report.segment.flags & Flag.SYN:
            self._syn_ns = row.time_ns
        if self._phases.phase is Phase.OPENING and self._phases.opened and not was_open:
            self._connected = True
            lines += drawing.phase(self._connected_rule(row))
        return lines

    def finish(self, conversation: Conversation, end: ConnectionEnd | None) -> list[Line]:
        """What is known now that it is over, or will not be followed any more."""
        figures = " · ".join(_figures(conversation))
        if end is None:
            return self._drawing.phase(Rule(figures))
        return self._drawing.phase(Rule(verdict(end), figures))

    def lifelines(self) -> Line:
        """A row on which nothing passes."""
        return self._drawing.lifelines()

    def note(self, words: str, style: str, side: Side) -> list[Line]:
        """Words between the lifelines, at one of them."""
        return self._drawing.note(words, style, side)

    def _rule(self, row: Row, last: Phase | None, payload_bytes: list[int]) -> Rule:
        """The rule over a phase that begins now, with the figure of the one that ends."""
        phase = self._phases.phase
        figure = both_ways(payload_bytes) if last in (Phase.DATA, Phase.HALF_CLOSED, Phase.OPENING) else ""
        closer = self._phases.first_closer
        if phase is Phase.RESET:
            return Rule(say("ladder.reset", side=side_name(row.side)), figure)
        if phase is Phase.HALF_CLOSED and closer is not None:
            return Rule(say("ladder.half_closed", side=side_name(closer.other)))
        if phase is Phase.DATA and last is None:
            return Rule(say("ladder.data_midstream"))
        return Rule(say(f"ladder.{phase}"), figure)

    def _connected_rule(self, row: Row) -> Rule:
        rtt = "" if self._syn_ns is None else say("ladder.rtt", time=duration(row.time_ns - self._syn_ns))
        return Rule(say("ladder.connected"), rtt)


class _Drawing:
    """Lines of one conversation; knows its columns and the time of the row before."""

    def __init__(
        self, conversation: Conversation, options: LadderOptions, marked: frozenset[int] = frozenset()
    ) -> None:
        self._conversation = conversation
        self._options = options
        self._marked = marked
        self._tag: list[Span] = []
        width = _clamped(options.width)
        if options.live:
            tag = f"{conversation.number:>2}│"
            self._tag = [Span(tag, f"tag.{conversation.number % TAG_STYLES}")]
            width -= len(tag)
        self._width = width
        self._last_ns: int | None = None
        self._states: list[EndpointState] = []
        self._digits = 0
        self.fit_numbers(0)

    def fit_numbers(self, packet: int) -> None:
        """Make room for the number of a packet."""
        if len(str(packet)) > self._digits:
            self._digits = len(str(packet))
            self._layout = Layout.of(
                self._width,
                self._digits + bool(self._marked),
                absolute_time=self._options.absolute_time,
                states=self._conversation.protocol == "TCP",
            )

    def head(self, end: ConnectionEnd | None) -> list[Line]:
        """Who talks to whom, how much, how long, how it ended."""
        figures = _figures(self._conversation)
        if end is not None:
            figures.append(verdict(end))
        if self._options.absolute_time:
            figures.insert(0, date(self._conversation.start_ns))
        return self.endpoints(figures)

    def endpoints(self, figures: list[str]) -> list[Line]:
        """The head line, on as many lines as it takes."""
        conversation = self._conversation
        name = f"{conversation.protocol} {conversation.number}"
        indent = " " * (len(name) + 2)
        room = self._width - len(indent)
        if conversation.client == conversation.server:
            figures = [say("ladder.itself"), *figures]
        if conversation.tunnel:
            figures = [say("ladder.tunnel", tunnel=conversation.tunnel), *figures]
        ends = wrapped([f"{conversation.client} →", str(conversation.server)], room, " ")
        words = wrapped(figures, room, " · ") if figures else []
        if words and len(ends) == len(words) == 1 and cells(ends[0]) + 3 + cells(words[0]) <= room:
            first = [Span(f"{name}  ", "head"), Span(ends[0], "head"), Span("   "), Span(words[0], "head.figure")]
            return [self._line(first)]
        lines = [[Span(indent), Span(text, "head")] for text in ends]
        lines[0][0] = Span(f"{name}  ", "head")
        lines += [[Span(indent), Span(text, "head.figure")] for text in words]
        return [self._line(line) for line in lines]

    def begin(self, states: list[EndpointState] | None) -> list[Line]:
        """Column titles, and where both sides stand before the first packet."""
        if self._options.style == "rfc":
            self._states = states or []
            return [self._line([]), *map(self._line, rfc_notation.begin(self._digits, self._width, states))]
        lines = [self._line([]), self._line(self._layout.titles())]
        if states is not None:
            client, server = map(self._layout.state, states)
            lines.append(self._line(self._layout.initial(client, server)))
        return lines

    def phase(self, heading: Rule) -> list[Line]:
        """A phase ruled off; the RFC's notation has none."""
        return [] if self._options.style == "rfc" else [self._line(rule(*heading, self._width))]

    def packet(self, row: Row, marks: Marks) -> list[Line]:
        """One packet: its arrow, and below it what finds no room."""
        self.fit_numbers(row.packet)
        if self._options.style == "rfc" and row.report is not None and row.notice is None:
            return self._rfc_packet(row, marks)
        stroke, label = self._arrow(row)
        fitted = fit(label, self._layout.label_room, ascii_only=self._options.ascii)
        lines = [self._row(row, marks, 0, self._layout.arrow(row.side, stroke, fitted))]
        lines += (self._row(row, marks, extra, self._layout.lifelines()) for extra in range(1, max(map(len, marks))))
        for parts in (fitted.below, comment_part(row, ascii_only=self._options.ascii)):
            lines += map(self._line, self._layout.note(parts, row.side))
        return lines

    def lifelines(self) -> Line:
        """A row on which nothing passes."""
        return self._line(self._layout.row("", "", Span(""), self._layout.lifelines(), Span("")))

    def note(self, words: str, style: str, side: Side) -> list[Line]:
        """Words between the lifelines, at one of them."""
        return [self._line(line) for line in self._layout.note([Part(words, 0, 0, style)], side)]

    def told(self, lines: Sequence[Line]) -> list[Line]:
        """Lines of another view, to stand below a row."""
        return [self._line(line.spans) for line in lines]

    def fold(self, rows: Sequence[Row]) -> list[Line]:
        """Many rows as one; its time is that of the last of them."""
        words = folded_words(rows)
        time = self._time(rows[-1].time_ns)
        if self._options.style == "rfc":
            return [self._line(rfc_notation.folded(words, self._digits, self._width))]
        return [self._line(self._layout.folded(words, time))]

    def _row(self, row: Row, marks: Marks, at: int, middle: list[Span]) -> Line:
        client, server = (self._layout.state(states[at]) if at < len(states) else Span("") for states in marks)
        number, time = (self._number(row.packet), self._time(row.time_ns)) if at == 0 else ("", "")
        spans = self._layout.row(number, time, client, middle, server)
        if at == 0 and row.packet in self._marked:
            spans[0] = Span(spans[0].text, "marked")
        return self._line(spans)

    def _number(self, packet: int) -> str:
        if packet not in self._marked:
            return str(packet)
        return _MARK + f"{packet:>{self._layout.number - cells(_MARK)}}"

    def _arrow(self, row: Row) -> tuple[Stroke, Label]:
        if row.notice is not None:
            endpoint = (self._conversation.client, self._conversation.server)[row.side]
            return Stroke.RESET, notice_label(row, endpoint.address)
        report = row.report
        if report is None:
            if self._conversation.protocol == "TCP":
                return Stroke.RESENT_CONTROL, torn_segment_label(row)
            return Stroke.DATA, datagram_label(row)
        label = segment_label(row, report, raw_numbers=self._options.raw_numbers)
        if report.segment.flags & Flag.RST:
            return Stroke.RESET, label
        resent = is_old(report)
        if row.payload_bytes:
            return Stroke.RESENT_DATA if resent else Stroke.DATA, label
        return Stroke.RESENT_CONTROL if resent else Stroke.CONTROL, label

    def _rfc_packet(self, row: Row, marks: Marks) -> list[Line]:
        for side in Side:
            self._states[side : side + 1] = marks[side][-1:] or self._states[side : side + 1]
        lines = rfc_notation.packet(row, self._states, self._digits, self._width, raw_numbers=self._options.raw_numbers)
        return [self._line(line) for line in lines]

    def _time(self, time_ns: int) -> str:
        if self._options.absolute_time:
            return wall_clock(time_ns)
        before, self._last_ns = self._last_ns, time_ns
        return "0 s " if before is None else relative_time(time_ns - before)

    def _line(self, spans: Sequence[Span]) -> Line:
        line = line_of([*self._tag, *spans], self._conversation.number)
        return line_in_ascii(line) if self._options.ascii else line


def _figures(conversation: Conversation) -> list[str]:
    figures = [say("ladder.packets", count=conversation.packets, packets=count(conversation.packets))]
    if conversation.payload_bytes:
        figures.append(say("ladder.data_of", bytes=data_bytes(conversation.payload_bytes)))
    if conversation.packets > 1:
        figures.append(duration(conversation.end_ns - conversation.start_ns))
    return figures


def _clamped(width: int) -> int:
    return min(max(width, NARROWEST), WIDEST)
