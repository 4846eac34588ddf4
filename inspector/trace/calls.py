"""The socket calls of a conversation, linked to its packets."""

from collections.abc import Sequence

from inspector.calls.buffers import Fill, fills
from inspector.calls.call import Address
from inspector.calls.matching import CallIndex, Passage, SidedCall, linked
from inspector.tcp.segment import Flag
from inspector.tcp.states import Side
from inspector.trace.conversation import Conversation, Endpoint, Row


def conversation_calls(calls: CallIndex, conversation: Conversation, rows: Sequence[Row]) -> list[SidedCall]:
    """The calls that belong to a conversation whose packets are ``rows``, in the order they were entered."""
    span_ns = (conversation.start_ns, conversation.end_ns)
    ends = _address(conversation.client), _address(conversation.server)
    return linked(calls.of(conversation.protocol, *ends, span_ns), _passages(rows))


def buffer_fills(rows: Sequence[Row], calls: Sequence[SidedCall]) -> dict[int, tuple[Fill, Fill]]:
    """Where the bytes of both directions are after each packet, by its number."""
    passages = _passages(rows)
    return {passage.packet: both for passage, both in zip(passages, fills(passages, calls), strict=True)}


def _address(endpoint: Endpoint) -> Address:
    return endpoint.address, endpoint.port or 0


def _passages(rows: Sequence[Row]) -> list[Passage]:
    """The packets with the place of their payload in the stream; of datagrams, in all that was sent."""
    passages = []
    sent = [0, 0]
    for row in rows:
        if row.notice is not None:
            continue
        report, size = row.report, row.payload_bytes
        start, flags, acknowledged = sent[row.side], 0, 0
        if report is not None:
            flags = report.segment.flags
            start = report.relative_seq - (0 if flags & Flag.SYN else 1)
            acknowledged = report.relative_ack - 1 if flags & Flag.ACK else 0
        offsets = (start, start + size) if size else None
        sent[row.side] += size
        passages.append(Passage(row.packet, row.time_ns, Side(row.side), flags, offsets, acknowledged))
    return passages
