"""A connection as a whole: whatever is captured is taken in, and may be asked for its end at any time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_rows import NO_ORACLES, ORACLE_FILES, all_streams
from test_tcp_scenarios import segment_of

from inspector.tcp.connection import Connection
from inspector.tcp.options import NO_OPTIONS, TcpOptions
from inspector.tcp.report import Closing, Opening
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.states import Known, Side, TcpState

MS = 1_000_000
NUMBERS = st.sampled_from([0, 1, 2, 100, 101, 102, 106, 300, 301, 2**31, 2**32 - 1]) | st.integers(0, 2**32 - 1)
hostile = st.lists(
    st.builds(
        Segment,
        packet=st.integers(1, 2**40),
        time_ns=st.integers(-(2**63), 2**63),
        side=st.sampled_from(Side),
        seq=NUMBERS,
        ack=NUMBERS,
        flags=st.integers(0, 255),
        window=st.sampled_from([0, 1, 65535]),
        payload_bytes=st.sampled_from([0, 0, 1, 5, 65535]),
        options=st.sampled_from([NO_OPTIONS, TcpOptions(mss=1460, window_scale=7)]),
    ),
    max_size=30,
)


@given(hostile)
def test_any_segments_are_taken_in(segments: list[Segment]) -> None:
    taken = Connection()
    for segment in segments:
        report = taken.feed(segment)
        assert report.segment is segment
        assert all(move.cause >= 1 for move in report.transitions)
        for state in (report.client, report.server):
            assert (state.state is TcpState.UNKNOWN) is (state.known is Known.UNKNOWN)
    assert taken.end() == taken.end()


@given(hostile)
def test_asking_for_the_end_changes_nothing(segments: list[Segment]) -> None:
    asked, left_alone = Connection(), Connection()
    for segment in segments:
        asked.end()
        assert asked.feed(segment) == left_alone.feed(segment)
    assert asked.end() == left_alone.end()


def fed(*texts: str) -> Connection:
    result = Connection()
    for packet, text in enumerate(texts, start=1):
        result.feed(segment_of(text, packet))
    return result


HANDSHAKE = ("C SYN seq=100", "S SYN,ACK seq=300 ack=101", "C ACK seq=101 ack=301")
CLOSE = ("S FIN,ACK seq=301 ack=101", "C FIN,ACK seq=101 ack=302", "S ACK seq=302 ack=102")
SIMULTANEOUS = (
    "C FIN,ACK seq=101 ack=301",
    "S FIN,ACK seq=301 ack=101",
    "C ACK seq=102 ack=302",
    "S ACK seq=302 ack=102",
)


@pytest.mark.parametrize("close", [CLOSE, SIMULTANEOUS, ("S RST,ACK seq=301 ack=101",)])
def test_every_packet_captured_twice_moves_nobody_more(close: tuple[str, ...]) -> None:
    """As a loopback capture has it that takes the outgoing and the incoming copy."""
    texts = (*HANDSHAKE, "S ACK seq=301 ack=101", *close)
    once, twice = Connection(), Connection()
    moves_once = [
        move for index, text in enumerate(texts) for move in once.feed(segment_of(text, index + 1)).transitions
    ]
    moves_twice = []
    for index, text in enumerate(texts):
        for copy in (1, 2):
            moves_twice += twice.feed(segment_of(text, 2 * index + copy)).transitions
    assert [(move.side, move.after) for move in moves_twice] == [(move.side, move.after) for move in moves_once]
    assert twice.end()[:2] == once.end()[:2]


def test_handshake_rtt_is_from_the_syn_to_the_third_segment() -> None:
    *_, outcome = fed(*HANDSHAKE).end()
    assert outcome.handshake_rtt_ns == 2 * MS


def test_handshake_rtt_is_from_the_latest_syn() -> None:
    *_, outcome = fed("C SYN seq=100", *HANDSHAKE, "C ACK seq=101 ack=301 data=5").end()
    assert outcome.handshake_rtt_ns == 2 * MS


@pytest.mark.parametrize("texts", [HANDSHAKE[:2], HANDSHAKE[1:], ("C SYN seq=100", "S RST,ACK seq=0 ack=101")])
def test_no_rtt_without_both_ends_of_the_handshake(texts: tuple[str, ...]) -> None:
    *_, outcome = fed(*texts).end()
    assert outcome.handshake_rtt_ns is None


def test_retransmissions_are_counted() -> None:
    again = "C ACK seq=101 ack=301 data=5"
    assert fed(*HANDSHAKE, again).retransmissions == 0
    assert fed(*HANDSHAKE, again, "S ACK seq=301 ack=106", again, again).retransmissions == 2


@pytest.mark.skipif(not ORACLE_FILES, reason=NO_ORACLES)
def test_real_connections() -> None:
    """States and outcome agree with each other, and the RTT with tshark's where it means the same."""
    rtts = 0
    for path, stream in all_streams():
        taken = Connection(stream.reused)
        for segment in stream.segments:
            taken.feed(segment)
        client, server, outcome = taken.end()
        where = path.name, stream.number
        if outcome.closing in (Closing.FOUR_SEGMENTS, Closing.THREE_SEGMENTS):
            assert {client.state, server.state} <= {TcpState.TIME_WAIT, TcpState.CLOSED}, where
        if outcome.closing is Closing.OPEN and outcome.opening is Opening.HANDSHAKE:
            assert {client.state, server.state} == {TcpState.ESTABLISHED}, where
        plain = [segment for segment in stream.segments if not segment.flags & Flag.SYN and segment.flags & Flag.ACK]
        if outcome.handshake_rtt_ns and plain[0].side is Side.CLIENT and "initial_rtt" in stream.rows[0]:
            shown = next((row["initial_rtt"] for row in stream.rows if row["initial_rtt"]), None)
            if shown is not None:
                rtts += abs(round(float(shown) * 1e9) - outcome.handshake_rtt_ns) < 1000
    assert rtts > 400
