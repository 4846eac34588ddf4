"""Ladders of the scenarios in ``scenarios/``: their segments as rows of a conversation, with letters as payload."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import Any

from test_tcp_scenarios import segment_of

from inspector.tcp.connection import Connection
from inspector.tcp.segment import Segment
from inspector.tcp.states import Known, Side
from inspector.trace.conversation import ConnectionEnd, Conversation, Endpoint, Row
from inspector.views.ladder import LadderOptions, LadderPart, ladders_of

SERVER = Endpoint("127.0.0.1", 8001)
LETTERS = b"abcdefghijklmnopqrstuvwxyz"


def part_of(
    segments: Sequence[Segment],
    payload: bytes = LETTERS,
    *,
    server: Endpoint = SERVER,
    reused: bool = False,
) -> LadderPart:
    """A conversation of these segments, analysed; every payload byte follows from its place in the stream."""
    connection = Connection(reused)
    rows = []
    for segment in segments:
        report = connection.feed(segment)
        first = max(report.relative_seq - 1, 0) % len(payload)
        data = bytes(islice(cycle(payload), first, first + segment.payload_bytes))
        frame_bytes = 54 + segment.payload_bytes
        rows.append(
            Row(segment.packet, segment.time_ns, segment.side, segment.payload_bytes, data, frame_bytes, report)
        )
    sent = [[row.payload_bytes for row in rows if row.side is side] for side in Side]
    conversation = Conversation(
        number=1,
        protocol="TCP",
        client=Endpoint("127.0.0.1", 50000),
        server=server,
        client_known=Known.SEEN,
        packets_to_server=len(sent[Side.CLIENT]),
        packets_to_client=len(sent[Side.SERVER]),
        payload_to_server=sum(sent[Side.CLIENT]),
        payload_to_client=sum(sent[Side.SERVER]),
        start_ns=rows[0].time_ns,
        end_ns=rows[-1].time_ns,
    )
    return LadderPart(conversation, ConnectionEnd(*connection.end()), rows)


def scenario_part(scenario: dict[str, Any]) -> LadderPart:
    """The conversation of a scenario."""
    return part_of([segment_of(row.split("|")[0], packet) for packet, row in enumerate(scenario["segments"], start=1)])


def drawn(part: LadderPart, **options: Any) -> str:
    """The ladder as text."""
    return "\n".join([line.text for line in ladders_of([part], LadderOptions(**options))]) + "\n"
