"""Packets and conversations as JSON, one object a line; the schema is in docs/json.md."""

import json
from functools import lru_cache

from inspector.tcp.report import SegmentReport
from inspector.tcp.states import EndpointState, Side
from inspector.trace.conversation import ConnectionEnd, Conversation, PacketRecord

SCHEMA = 1
_FLAGS = ("FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR")  # from the lowest bit up
_SIDES = {Side.CLIENT: "client", Side.SERVER: "server"}

_text = lru_cache(maxsize=1 << 16)(json.dumps)


@lru_cache(maxsize=256)
def _flag_list(flags: int) -> str:
    return json.dumps([name for bit, name in enumerate(_FLAGS) if flags >> bit & 1])


@lru_cache(maxsize=1024)
def _name_list(names: tuple[str, ...]) -> str:
    return json.dumps([str(name) for name in names])


@lru_cache(maxsize=1024)
def _states(client: EndpointState, server: EndpointState) -> str:
    return (
        f'"client_state":"{client.state.value}","server_state":"{server.state.value}",'
        f'"client_state_known":"{client.known.value}","server_state_known":"{server.known.value}"'
    )


def _number(value: int | None) -> str:
    return "null" if value is None else str(value)


def packet_line(record: PacketRecord) -> str:
    """One packet; the TCP keys are there for TCP segments only."""
    (packet, time_ns, conversation, protocol, source, destination, frame_bytes, payload_bytes, _, report) = record
    line = (
        f'{{"schema":{SCHEMA},"packet":{packet},"time_ns":{time_ns},"conversation":{_number(conversation)},'
        f'"protocol":{_text(protocol)},"src":{_text(source)},"dst":{_text(destination)},'
        f'"frame_bytes":{frame_bytes},"payload_bytes":{payload_bytes}'
    )
    return f"{line}}}" if report is None else f"{line},{_segment(report)}}}"


def _segment(report: SegmentReport) -> str:
    segment = report.segment
    transitions = ""
    if report.transitions:
        transitions = json.dumps(
            [
                {
                    "side": _SIDES[moved.side],
                    "before": moved.before,
                    "after": moved.after,
                    "known": moved.known,
                    "rule": moved.rule,
                    "cause": moved.cause,
                }
                for moved in report.transitions
            ]
        )
    return (
        f'"flags":{_flag_list(segment.flags)},"seq":{segment.seq},"ack":{segment.ack},'
        f'"relative_seq":{report.relative_seq},"relative_ack":{report.relative_ack},'
        f'"window":{segment.window},"scaled_window":{_number(report.scaled_window)},'
        f'"analysis":{_name_list(report.analysis)},"duplicate_ack_number":{_number(report.duplicate_ack_number)},'
        f'{_states(report.client, report.server)},"transitions":{transitions or "[]"}'
    )


def conversation_line(
    conversation: Conversation, end: ConnectionEnd | None = None, retransmissions: int | None = None
) -> str:
    """One conversation; the TCP keys are there for TCP connections only."""
    shown: dict[str, object] = {
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
    }
    if end is not None:
        outcome = end.outcome
        shown |= {
            "client_state": end.client.state,
            "server_state": end.server.state,
            "client_state_known": end.client.known,
            "server_state_known": end.server.known,
            "opening": outcome.opening,
            "closing": outcome.closing,
            "closed_by": None if outcome.closed_by is None else _SIDES[outcome.closed_by],
            "conn_state": outcome.conn_state,
            "history": outcome.history,
            "handshake_rtt_ns": outcome.handshake_rtt_ns,
            "retransmissions": retransmissions,
        }
    return json.dumps(shown)
