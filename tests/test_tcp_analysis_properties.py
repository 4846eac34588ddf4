"""What holds of the analysis for any sequence of segments."""

from collections.abc import Iterable

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from inspector.tcp.analysis import Analyzer, SegmentAnalysis
from inspector.tcp.options import TcpOptions
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.states import Side
from inspector.tcp.wireshark_rules import RESEND_RULES

NUMBERS = 2**32
WINDOWS = (0, 1, 100, 65_535)
RESENT = {rule.name for rule in RESEND_RULES}

any_segment = st.builds(
    Segment,
    packet=st.integers(1, 2**40),
    time_ns=st.integers(-(2**62), 2**62),
    side=st.sampled_from(Side),
    seq=st.integers(0, NUMBERS - 1),
    ack=st.integers(0, NUMBERS - 1),
    flags=st.integers(0, 255),
    window=st.integers(0, 0xFFFF),
    payload_bytes=st.integers(0, 0xFFFF),
    options=st.builds(TcpOptions, window_scale=st.none() | st.integers(0, 14), malformed=st.booleans()),
)


anywhere = st.integers(0, NUMBERS - 1) | st.sampled_from((0, 1, NUMBERS - 150))
wrapping_or_not = st.sampled_from((70_003, 2**31 - 303, NUMBERS - 61, NUMBERS - 155, NUMBERS - 1011))


@st.composite
def likely_segments(draw: st.DrawFn, first: st.SearchStrategy[int] = anywhere) -> list[Segment]:
    """Two sides that mostly continue where they are and acknowledge what they saw, and now and then do not."""
    position = [draw(first) for _ in Side]
    astray = st.sampled_from((0,) * 8 + (-200, -100, -1, 1, 100))
    time_ns, segments = draw(st.sampled_from((0, 10**18))), []
    for packet in range(1, draw(st.integers(1, 25)) + 1):
        side = draw(st.sampled_from(Side))
        flags = draw(st.sampled_from((Flag.ACK,) * 9 + (Flag.SYN, Flag.SYN | Flag.ACK, Flag.FIN | Flag.ACK, Flag.RST)))
        size = draw(st.sampled_from((0, 0, 1, 2, 100)))
        seq = (position[side] + draw(astray)) % NUMBERS
        ack = (position[1 - side] + draw(astray)) % NUMBERS if flags & Flag.ACK else 0
        options = TcpOptions(window_scale=draw(st.sampled_from((None, 0, 2))) if flags & Flag.SYN else None)
        time_ns += draw(st.sampled_from((0, 1, 1_000_000, 25_000_000, -5_000_000)))
        window = draw(st.sampled_from(WINDOWS))
        segments.append(Segment(packet, time_ns, side, seq, ack, int(flags), window, size, options))
        if draw(st.integers(0, 4)):  # else it is as if it had not been captured, or had not been sent yet
            position[side] = (seq + size + (1 if flags & (Flag.SYN | Flag.FIN) else 0)) % NUMBERS
    return segments


def fed(segments: Iterable[Segment]) -> list[SegmentAnalysis]:
    analyzer = Analyzer()
    return [analyzer.feed(segment) for segment in segments]


def examined(segments: Iterable[Segment]) -> list[SegmentAnalysis]:
    analyzer = Analyzer()
    return [analyzer.examine(segment) for segment in segments]


DATA_ACKED_BEFORE_ITS_FIN = [
    Segment(1, 0, Side.SERVER, 0, 0, int(Flag.ACK), 1, 0),
    Segment(2, 0, Side.CLIENT, 0, 100, int(Flag.ACK), 1, 0),
    Segment(3, 0, Side.SERVER, 0, 0, int(Flag.FIN | Flag.ACK), 1, 100),
]


@settings(max_examples=800, deadline=None)
@given(likely_segments())
@example(DATA_ACKED_BEFORE_ITS_FIN)
def test_the_short_way_says_what_the_rules_say(segments: list[Segment]) -> None:
    assert fed(segments) == examined(segments)


@settings(max_examples=300, deadline=None)
@given(st.lists(any_segment) | likely_segments())
def test_any_segments_are_analysed(segments: list[Segment]) -> None:
    for segment, said in zip(segments, fed(segments), strict=True):
        assert 0 <= said.relative_seq < NUMBERS
        assert 0 <= said.relative_ack < NUMBERS
        assert len(set(said.names)) == len(said.names)
        assert len(RESENT.intersection(said.names)) <= 1
        assert (said.duplicate_ack_number is not None) == ("duplicate_ack" in said.names)
        assert said.scaled_window is None or said.scaled_window >= segment.window
        assert said.bytes_in_flight is None or 0 < segment.payload_bytes <= said.bytes_in_flight


@settings(max_examples=100, deadline=None)
@given(likely_segments(), st.data())
def test_only_options_of_a_syn_count(segments: list[Segment], data: st.DataObject) -> None:
    changed = [
        segment if segment.flags & Flag.SYN else segment._replace(options=data.draw(st.builds(TcpOptions)))
        for segment in segments
    ]
    without = [[each._replace(findings=()) for each in fed(each_way)] for each_way in (changed, segments)]
    assert without[0] == without[1]


@settings(max_examples=400, deadline=None)
@given(likely_segments(wrapping_or_not), st.tuples(wrapping_or_not, wrapping_or_not))
def test_where_the_numbers_start_makes_no_difference(segments: list[Segment], shift: tuple[int, int]) -> None:
    moved = [
        segment._replace(
            seq=(segment.seq + shift[segment.side]) % NUMBERS,
            ack=(segment.ack + shift[1 - segment.side]) % NUMBERS if segment.flags & Flag.ACK else segment.ack,
        )
        for segment in segments
    ]
    assume(not any(map(touches_zero, segments + moved)))
    assert fed(moved) == fed(segments)


def touches_zero(segment: Segment) -> bool:
    """Whether a number of the segment is 0, which means none at all as in Wireshark, or is counted from that 0."""
    edges = {0, *(window << scale for window in (*WINDOWS, NUMBERS - 1) for scale in (0, 2))}
    end = segment.seq + segment.payload_bytes
    numbers = (segment.seq, segment.seq + 1, end, end + 1, segment.ack if segment.flags & Flag.ACK else 2)
    return not {number % NUMBERS for number in numbers}.isdisjoint(edge % NUMBERS for edge in edges)
