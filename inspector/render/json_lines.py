"""One JSON object a line: packets and conversations for other programs. The schema is documented in docs/json.md.

Lines are put together by hand: a million packets are printed, and ``json.dumps`` takes five times as long. Every text
in them is either of our own vocabulary or passes through ``json.dumps``.
"""

from functools import lru_cache
from json import dumps

from inspector.tcp.findings import Finding
from inspector.tcp.report import SegmentReport
from inspector.tcp.segment import Flag
from inspector.tcp.states import EndpointState, Side, Transition
from inspector.trace.conversation import ConnectionEnd, Conversation, PacketRecord

SCHEMA = 1

_SIDES = {Side.CLIENT: "client", Side.SERVER: "server"}
_BYTE_OF_FLAGS = range(256)
_FLAG_LISTS = tuple(dumps([flag.name for flag in Flag if flags & flag]) for flags in _BYTE_OF_FLAGS)
_ACK = int(Flag.ACK)


@lru_cache(maxsize=65536)
def _quoted(text: str) -> str:
    return dumps(text)


@lru_cache(maxsize=65536)
def _ends(protocol: str, source: str, destination: str) -> str:
    return f'"protocol": {dumps(protocol)}, "src": {dumps(source)}, "dst": {dumps(destination)}'


@lru_cache(maxsize=1024)
def _names(names: tuple[str, ...]) -> str:
    return dumps(names)


@lru_cache(maxsize=1024)
def _states(client: EndpointState, server: EndpointState) -> str:
    return (
        f'"client_state": "{client.state}", "server_state": "{server.state}", '
        f'"client_state_known": "{client.known}", "server_state_known": "{server.known}"'
    )


def _or_null(value: int | None) -> int | str:
    return "null" if value is None else value


def packet_line(record: PacketRecord) -> str:
    """One packet as a JSON object, without a newline."""
    packet, time_ns, conversation, protocol, source, destination, frame_bytes, payload_bytes, _, report = record
    return (
        f'{{"schema": {SCHEMA}, "packet": {packet}, "time_ns": {time_ns}, '
        f'"conversation": {"null" if conversation is None else conversation}, '
        f'{_ends(protocol, source, destination)}, "frame_bytes": {frame_bytes}, "payload_bytes": {payload_bytes}'
        f"{'' if report is None else _segment(report)}}}"
    )


def _segment(report: SegmentReport) -> str:
    segment, relative_seq, relative_ack, scaled, analysis, _, _, transitions, client, server, _, findings = report
    eventful = analysis or transitions or findings
    happened = _happenings(report) if eventful else _nothing_happened(client, server)
    return (
        f', "flags": {_FLAG_LISTS[segment.flags & 0xFF]}, "seq": {segment.seq}, "ack": {segment.ack}, '
        f'"relative_seq": {relative_seq}, "relative_ack": {relative_ack}, '
        f'"window": {segment.window}, "scaled_window": {"null" if scaled is None else scaled}, {happened}'
    )


@lru_cache(maxsize=1024)
def _nothing_happened(client: EndpointState, server: EndpointState) -> str:
    none = '"analysis": [], "duplicate_ack_number": null, "findings": []'
    return f'{none}, {_states(client, server)}, "transitions": []'


def _happenings(report: SegmentReport) -> str:
    return (
        f'"analysis": {_names(report.analysis)}, "duplicate_ack_number": {_or_null(report.duplicate_ack_number)}, '
        f'"findings": [{", ".join(map(_finding, report.findings))}], {_states(report.client, report.server)}, '
        f'"transitions": [{", ".join(map(_transition, report.transitions))}]'
    )


def _finding(finding: Finding) -> str:
    fields = {"kind": finding.kind, "packet": finding.packet}
    if finding.cause is not None:
        fields["cause"] = finding.cause
    return dumps({**fields, "evidence": finding.evidence, "known": finding.known})


def _transition(move: Transition) -> str:
    return (
        f'{{"side": "{_SIDES[move.side]}", "before": "{move.before}", "after": "{move.after}", '
        f'"known": "{move.known}", "rule": {_quoted(move.rule)}}}'
    )


def conversation_line(
    conversation: Conversation, end: ConnectionEnd | None = None, retransmissions: int | None = None
) -> str:
    """One conversation as a JSON object, without a newline; ``end`` and ``retransmissions`` are TCP's."""
    fields: dict[str, object] = {
        "schema": SCHEMA,
        "conversation": conversation.number,
        "protocol": conversation.protocol,
        "client": str(conversation.client),
        "server": str(conversation.server),
        "client_known": conversation.client_known,
        "packets_to_server": conversation.packets_to_server,
        "packets_to_client": conversation.packets_to_client,
        "payload_to_server": conversation.payload_to_server,
        "payload_to_client": conversation.payload_to_client,
        "start_ns": conversation.start_ns,
        "duration_ns": conversation.end_ns - conversation.start_ns,
        "tunnel": conversation.tunnel,
    }
    if end is not None:
        outcome = end.outcome
        fields |= {
            "client_state": end.client.state,
            "server_state": end.server.state,
            "opening": outcome.opening,
            "closing": outcome.closing,
            "closed_by": None if outcome.closed_by is None else _SIDES[outcome.closed_by],
            "conn_state": outcome.conn_state,
            "history": outcome.history,
            "handshake_rtt_ns": outcome.handshake_rtt_ns,
            "retransmissions": retransmissions,
        }
    return dumps(fields)
