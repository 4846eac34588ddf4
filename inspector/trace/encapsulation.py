"""One packet with all its layers: the headers of its frame, the application message that its payload is part of, put
together from the stream, and where its connection stands."""

from typing import NamedTuple

from inspector.decode.columns import Mark
from inspector.decode.dissect import Header, dissect
from inspector.framing.recognise import recognised
from inspector.tcp.reassembly import Piece
from inspector.tcp.report import SegmentReport
from inspector.tcp.states import Side, TcpState
from inspector.trace.conversation import Conversation
from inspector.trace.live import Arrival
from inspector.trace.message_part import MessagePart, message_part
from inspector.trace.messages import inferred
from inspector.trace.trace import Trace

_ANALYSED_PACKETS = 20_000  # in a longer conversation the states are not looked for
_INFERRED_BYTES = 1 << 16
_KEPT_CONVERSATIONS = 100
_DNS_PORT = 53


class Encapsulation(NamedTuple):
    """A packet as its layers. ``headers`` are those of the frame, the outermost first; the payload is what they
    carry, and what follows it is padding. ``part`` is None where no message is known."""

    packet: int
    time_ns: int
    conversation: Conversation | None
    side: Side
    wire_bytes: int
    frame: bytes
    headers: tuple[Header, ...]
    payload_start: int
    payload_end: int
    part: MessagePart | None = None
    report: SegmentReport | None = None
    states: tuple[TcpState, TcpState] | None = None  # of client and server once it has passed

    @property
    def payload(self) -> bytes:
        """The captured bytes behind all headers."""
        return self.frame[self.payload_start : self.payload_end]


class _Known(NamedTuple):
    """What was found out of a conversation: its framing, "" for none, and the report of every segment."""

    framing: str
    reports: dict[int, SegmentReport]


class EncapsulationReader:
    """Packets of a trace with their layers; what is found out of a conversation is kept for its next packet."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._known: dict[int, _Known] = {}

    def read(self, packet: int) -> Encapsulation:
        """One packet; raises IndexError when there is no such packet."""
        trace = self._trace
        frame, values = trace.frame(packet), trace.values(packet)
        dissection = dissect(
            frame,
            trace.link_type(packet),
            values.wire_bytes,
            checksum_ready=not values.mark & int(Mark.CHECKSUM_NOT_READY),
        )
        conversation = trace.conversation(values.conversation) if values.conversation else None
        plain = Encapsulation(packet, values.time_ns, conversation, values.side, values.wire_bytes, frame, *dissection)
        if conversation is None or conversation.protocol != "TCP" or values.mark & int(Mark.QUOTING):
            return plain
        known = self._known.get(conversation.number) or self._find_out(conversation)
        plain = plain._replace(report=known.reports.get(packet), states=_states_at(packet, known.reports))
        if not known.framing or not plain.payload or trace.is_reassembled(packet):
            return plain
        return _with_part(plain, message_part(trace.stream(conversation.number), packet, values.side, known.framing))

    def _find_out(self, conversation: Conversation) -> _Known:
        if len(self._known) >= _KEPT_CONVERSATIONS:
            self._known.clear()
        few = conversation.packets <= _ANALYSED_PACKETS
        rows = self._trace.rows(conversation.number, 0)[0] if few else []
        reports = {row.packet: row.report for row in rows if row.report is not None}
        known = self._known[conversation.number] = _Known(self._framing_of(conversation), reports)
        return known

    def _framing_of(self, conversation: Conversation) -> str:
        """From how the streams begin; of a short conversation also from all of its bytes."""
        if conversation.server.port == _DNS_PORT:
            return "dns"
        first: dict[Side, bytes] = {}
        for side, part in self._trace.stream(conversation.number):
            if isinstance(part, Piece) and side not in first:
                first[side] = part.data
            if len(first) == len(Side):
                break
        if framing := recognised(*first.values()):
            return framing
        if 0 < conversation.payload_bytes <= _INFERRED_BYTES:
            best = inferred(self._trace, conversation.number).best
            return "" if best is None else best.framing
        return ""


def _states_at(packet: int, reports: dict[int, SegmentReport]) -> tuple[TcpState, TcpState] | None:
    """Where both endpoints stand, as a ladder draws it: who moved because of this packet has moved."""
    report = reports.get(packet)
    if report is None:
        return None
    states = {Side.CLIENT: report.client.state, Side.SERVER: report.server.state}
    for each in reports.values():
        for transition in each.transitions:
            if transition.cause <= packet <= each.segment.packet:
                states[transition.side] = transition.after
    return states[Side.CLIENT], states[Side.SERVER]


def live_encapsulation(arrival: Arrival, frame: bytes, link_type: int) -> Encapsulation:
    """A packet of a capture that is running: of its stream nothing is looked at but its own bytes."""
    row, conversation = arrival.row, arrival.conversation
    summary = None if conversation is None else conversation.summary()
    dissection = dissect(frame, link_type, row.frame_bytes, checksum_ready=arrival.checksum_ready)
    plain = Encapsulation(
        row.packet, row.time_ns, summary, row.side, row.frame_bytes, frame, *dissection, None, row.report
    )
    if row.report is None:
        return plain
    states = [row.report.client.state, row.report.server.state]
    if row.report.expected is not None:
        states[row.side.other] = row.report.expected.state
    plain = plain._replace(states=(states[Side.CLIENT], states[Side.SERVER]))
    framing = recognised(plain.payload)
    if not framing:
        return plain
    return _with_part(
        plain, message_part([(row.side, Piece(0, plain.payload, row.packet))], row.packet, row.side, framing)
    )


def _with_part(plain: Encapsulation, part: MessagePart | None) -> Encapsulation:
    """The packet with its part of a message; a header that lies within the packet is one of its headers."""
    if part is None or part.header is None:
        return plain._replace(part=part)
    begins = plain.payload_start + part.message.start - part.offset
    ends = begins + part.header.end
    if begins != plain.payload_start or ends > plain.payload_end:
        return plain._replace(part=part)
    header = part.header._replace(start=begins, end=ends)
    return plain._replace(headers=(*plain.headers, header), payload_start=ends, part=part)
