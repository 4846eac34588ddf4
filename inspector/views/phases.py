"""The parts of a conversation that are ruled off: opening, data, teardown, reset; and what their rules say."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from inspector.tcp.report import Closing, Opening, SegmentReport
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import HALF, MODULUS
from inspector.tcp.states import Side, TcpState
from inspector.text import say
from inspector.trace.conversation import ConnectionEnd, Row
from inspector.views.labels import is_repeated
from inspector.views.quantities import data_bytes, duration

_FIN, _SYN, _RST, _ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.RST), int(Flag.ACK)
_BEFORE_ESTABLISHED = (TcpState.CLOSED, TcpState.LISTEN, TcpState.SYN_SENT, TcpState.SYN_RECEIVED, TcpState.UNKNOWN)


class Phase(StrEnum):
    """A part of a conversation."""

    OPENING = "opening"
    DATA = "data"
    TEARDOWN = "closing"
    HALF_CLOSED = "half_closed"  # one side has closed, the other sends on
    TEARDOWN_AGAIN = "closing_again"
    RESET = "reset"
    DATAGRAMS = "datagrams"


class PhaseTracker:
    """Which phase each row belongs to; feed the rows in order.

    ``opened``: the handshake is over, as far as is seen. ``first_closer``: whose FIN came first, or whose reset.
    ``payload_bytes``: of the phase so far, by sender, bytes sent again not counted.
    """

    def __init__(self) -> None:
        self.phase: Phase | None = None
        self.opened = False
        self.first_closer: Side | None = None
        self.payload_bytes = [0, 0]
        self._second_fin = False
        self._answered = False  # a SYN,ACK has passed
        self._sent_to: list[int | None] = [None, None]  # the highest sequence number of each side, plus one

    def feed(self, row: Row) -> bool:
        """Take in the next row; whether a new phase begins with it."""
        report = row.report
        if report is None:
            phase = self.phase or Phase.DATAGRAMS
        else:
            phase = self._phase_of(report)
            self.opened = self.opened or self._opens(report)
        begins = phase is not self.phase
        if begins:
            self.phase = phase
            self.payload_bytes = [0, 0]
        if row.notice is None:
            self.payload_bytes[row.side] += row.payload_bytes if report is None else self._new_bytes(report)
        return begins

    def _phase_of(self, report: SegmentReport) -> Phase:
        segment = report.segment
        flags, phase = segment.flags, self.phase
        if flags & _RST:
            refused = phase is Phase.OPENING and not self._answered and segment.side is Side.SERVER
            self.first_closer = segment.side if self.first_closer is None else self.first_closer
            return Phase.OPENING if refused else Phase.RESET
        if phase is Phase.RESET:
            return phase
        if flags & _FIN:
            return self._fin(segment.side)
        if phase in (Phase.TEARDOWN, Phase.HALF_CLOSED, Phase.TEARDOWN_AGAIN):
            sends_on = segment.payload_bytes and segment.side is not self.first_closer and not self._second_fin
            return Phase.HALF_CLOSED if sends_on and not is_repeated(report) else phase
        if flags & _SYN and phase in (None, Phase.OPENING):
            self._answered = self._answered or bool(flags & _ACK)
            return Phase.OPENING
        if phase is Phase.OPENING and not (self.opened or segment.payload_bytes):
            return phase
        return Phase.DATA

    def _fin(self, side: Side) -> Phase:
        if self.first_closer is None:
            self.first_closer = side
        if side is not self.first_closer:
            self._second_fin = True
            if self.phase is Phase.HALF_CLOSED:
                return Phase.TEARDOWN_AGAIN
        return self.phase if self.phase in (Phase.HALF_CLOSED, Phase.TEARDOWN_AGAIN) else Phase.TEARDOWN

    def _opens(self, report: SegmentReport) -> bool:
        """Whether both sides are past the handshake after this segment, its arrival included."""
        states = [report.client.state, report.server.state]
        if report.expected is not None:
            states[report.segment.side.other] = report.expected.state
        return not any(state in _BEFORE_ESTABLISHED for state in states)

    def _new_bytes(self, report: SegmentReport) -> int:
        segment = report.segment
        side, payload_bytes = segment.side, segment.payload_bytes
        if segment.flags & _SYN:
            return self._synchronized(segment)
        end = segment.seq + payload_bytes
        highest = self._sent_to[side]
        advance = payload_bytes if highest is None else (end - highest) % MODULUS
        if advance < HALF:
            self._sent_to[side] = end % MODULUS
            return min(advance, payload_bytes)
        return 0

    def _synchronized(self, segment: Segment) -> int:
        """Data in a SYN count once the SYN,ACK has taken them, RFC 7413 section 3; else they are sent again."""
        first = (segment.seq + 1) % MODULUS
        self._sent_to[segment.side] = first
        other = self._sent_to[segment.side.other]
        if other is not None and segment.flags & _ACK and 0 < (segment.ack - other) % MODULUS < HALF:
            self.payload_bytes[segment.side.other] += (segment.ack - other) % MODULUS
            self._sent_to[segment.side.other] = segment.ack
        return 0


class Rule(NamedTuple):
    """What a phase's rule says: its name at the left, the figure that matters at the right."""

    title: str
    figure: str = ""


class Section(NamedTuple):
    """A phase of a whole conversation: rows ``start`` up to, not including, ``end``."""

    phase: Phase
    start: int
    end: int
    payload_bytes: tuple[int, int]  # by sender
    first_closer: Side | None


def sections_of(rows: Sequence[Row]) -> list[Section]:
    """The phases of a whole conversation."""
    tracker = PhaseTracker()
    sections: list[Section] = []
    for at, row in enumerate(rows):
        begins = tracker.feed(row)
        assert tracker.phase is not None
        start = at if begins else sections.pop().start
        to_server, to_client = tracker.payload_bytes
        sections.append(Section(tracker.phase, start, at + 1, (to_server, to_client), tracker.first_closer))
    return sections


def side_name(side: Side) -> str:
    """The client, the server."""
    return say("ladder.the_server" if side is Side.SERVER else "ladder.the_client")


def section_rule(section: Section, rows: Sequence[Row], end: ConnectionEnd | None) -> Rule:
    """The rule over a phase of a whole conversation."""
    closer = section.first_closer
    match section.phase:
        case Phase.OPENING:
            return _opening_rule(rows[section.start : section.end], end)
        case Phase.TEARDOWN if closer is not None:
            return _teardown_rule(closer, end)
        case Phase.RESET:
            return Rule(say("ladder.reset", side=side_name(rows[section.start].side)))
        case Phase.HALF_CLOSED if closer is not None:
            figure = data_bytes(section.payload_bytes[closer.other])
            return Rule(say("ladder.half_closed", side=side_name(closer.other)), figure)
        case Phase.DATA:
            midstream = section.start == 0
            title = "data_midstream" if midstream else "data" if any(section.payload_bytes) else "no_data"
            return Rule(say(f"ladder.{title}"), both_ways(section.payload_bytes))
    return Rule(say(f"ladder.{section.phase}"), both_ways(section.payload_bytes))


def both_ways(payload_bytes: Sequence[int]) -> str:
    """Bytes in both directions; empty when there are none."""
    if not any(payload_bytes):
        return ""
    to_server, to_client = map(data_bytes, payload_bytes)
    return say("ladder.data_both", to_server=to_server, to_client=to_client)


def verdict(end: ConnectionEnd) -> str:
    """How a connection went, in a few words."""
    opening, closing, closed_by = end.outcome[:3]
    if closing is Closing.NEVER_OPENED and opening in (Opening.REFUSED, Opening.UNANSWERED):
        return say(f"ladder.verdict_{opening}")
    return say(f"ladder.verdict_{closing}", side="" if closed_by is None else side_name(closed_by))


def _opening_rule(rows: Sequence[Row], end: ConnectionEnd | None) -> Rule:
    if end is None:
        return Rule(say("ladder.opening"))
    opening, rtt_ns = end.outcome.opening, end.outcome.handshake_rtt_ns
    figure = "" if rtt_ns is None else say("ladder.rtt", time=duration(rtt_ns))
    if opening is Opening.UNANSWERED:
        waited = duration(rows[-1].time_ns - rows[0].time_ns)
        tries = sum([row.report is not None and bool(row.report.segment.flags & Flag.SYN) for row in rows])
        figure = say("ladder.tries", count=tries, time=waited)
        if any(row.notice is not None for row in rows):
            return Rule(say("ladder.opening_unreachable"), figure)
    return Rule(say(f"ladder.opening_{opening}"), figure)


def _teardown_rule(closer: Side, end: ConnectionEnd | None) -> Rule:
    figure = say("ladder.closing_by", side=side_name(closer))
    closing = None if end is None else end.outcome.closing
    if closing is None or closing in (Closing.OPEN, Closing.NEVER_OPENED):
        return Rule(say("ladder.closing"), figure)
    if closing is Closing.SIMULTANEOUS:
        return Rule(say("ladder.closing_simultaneous"))
    return Rule(say(f"ladder.closing_{closing}", passive=side_name(closer.other)), figure)
