"""A connection that is fed only the rows that decide ends as one that is fed all of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_rows import NO_ORACLES, ORACLE_FILES, all_streams
from tcp_traffic import connection
from test_tcp_scenarios import SCENARIOS, segment_of

from inspector.tcp.connection import Connection
from inspector.tcp.deciding import deciding_rows
from inspector.tcp.report import Outcome
from inspector.tcp.segment import Segment
from inspector.tcp.states import EndpointState, Transition

Result = tuple[list[Transition], EndpointState, EndpointState, Outcome]


def result_of(segments: list[Segment]) -> Result:
    """All transitions and the end; the history apart, which needs every row."""
    fed = Connection()
    transitions = [move for segment in segments for move in fed.feed(segment).transitions]
    client, server, outcome = fed.end()
    return transitions, client, server, outcome._replace(history="")


def chosen(segments: list[Segment]) -> list[Segment]:
    columns = zip(*((s.flags, s.seq, s.ack, s.payload_bytes, int(s.side)) for s in segments), strict=True)
    return [segments[row] for row in deciding_rows(*columns)]


@given(st.integers(0, 2**63))
def test_made_up_connections(seed: int) -> None:
    segments = connection(seed)
    assert result_of(chosen(segments)) == result_of(segments)


@pytest.mark.parametrize("texts", [pytest.param(each["segments"], id=name) for name, each in SCENARIOS])
def test_scenarios(texts: list[str]) -> None:
    segments = [segment_of(text.split("|")[0], packet) for packet, text in enumerate(texts, start=1)]
    assert result_of(chosen(segments)) == result_of(segments)


@pytest.mark.skipif(not ORACLE_FILES, reason=NO_ORACLES)
def test_real_connections_and_few_rows_of_long_ones() -> None:
    rows = rows_of_long = long = 0
    for path, stream in all_streams():
        picked = chosen(stream.segments)
        assert result_of(picked) == result_of(stream.segments), (path.name, stream.number)
        rows += len(picked)
        if len(stream.segments) > 100:
            long += len(stream.segments)
            rows_of_long += len(picked)
    assert rows_of_long < long / 20


def test_a_quiet_connection_is_decided_by_its_ends() -> None:
    texts = ["C SYN seq=100", "S SYN,ACK seq=300 ack=101", "C ACK seq=101 ack=301"]
    texts += [f"C ACK seq={101 + index} ack=301 data=1" for index in range(50)]
    texts += [f"S ACK seq=301 ack={102 + index}" for index in range(50)]
    texts += ["C FIN,ACK seq=151 ack=301", "S FIN,ACK seq=301 ack=152", "C ACK seq=152 ack=302"]
    segments = [segment_of(text, packet) for packet, text in enumerate(texts, start=1)]
    assert [segment.packet for segment in chosen(segments)] == [1, 2, 3, 4, 53, 54, 103, 104, 105, 106]
