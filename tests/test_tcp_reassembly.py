"""A byte stream comes out the same however its segments came in; what is missing is named."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from inspector.tcp import reassembly
from inspector.tcp.reassembly import Gap, Piece, StreamAssembler
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import MODULUS
from inspector.tcp.states import Side

ISN = 1000
DATA = bytes(range(256))


def segment(start: int, payload_bytes: int, flags: Flag = Flag.ACK, packet: int = 1, isn: int = ISN) -> Segment:
    """A segment with the bytes of the stream from offset ``start``; a SYN stands one before."""
    seq = (isn + 1 + start - bool(flags & Flag.SYN)) % MODULUS
    return Segment(packet, packet, Side.CLIENT, seq, 0, int(flags), 1000, payload_bytes)


def after_syn(isn: int = ISN) -> StreamAssembler:
    assembler = StreamAssembler()
    assert assembler.add(segment(0, 0, Flag.SYN, isn=isn), b"") == []
    return assembler


def send(
    assembler: StreamAssembler, start: int, data: bytes, packet: int = 1, flags: Flag = Flag.ACK
) -> list[Piece | Gap]:
    return assembler.add(segment(start, len(data), flags, packet), data)


def data_of(parts: list[Piece | Gap]) -> bytes:
    return b"".join(part.data for part in parts if isinstance(part, Piece))


def test_data_in_order_come_out_at_once() -> None:
    assembler = after_syn()
    assert send(assembler, 0, b"hello ", packet=4) == [Piece(0, b"hello ", 4)]
    assert send(assembler, 6, b"world", packet=6) == [Piece(6, b"world", 6)]
    assert send(assembler, 11, b"", packet=7, flags=Flag.FIN | Flag.ACK) == []
    assert assembler.acknowledged(ISN + 1 + 12) == []
    assert assembler.finish() == []


def test_data_out_of_order_wait_for_the_hole() -> None:
    assembler = after_syn()
    assert send(assembler, 6, b"world", packet=5) == []
    assert send(assembler, 0, b"hello ", packet=6) == [Piece(0, b"hello ", 6), Piece(6, b"world", 5)]


def test_of_two_copies_the_first_captured_stands() -> None:
    assembler = after_syn()
    assert send(assembler, 3, b"DEF", packet=2) == []
    assert send(assembler, 0, b"abcdefgh", packet=3) == [Piece(0, b"abc", 3), Piece(3, b"DEF", 2), Piece(6, b"gh", 3)]
    assert send(assembler, 2, b"XXXXXXXY", packet=4) == [Piece(8, b"XY", 4)]


def test_the_byte_of_a_keep_alive_is_no_data() -> None:
    assembler = after_syn()
    assert send(assembler, -1, b"?") == []  # before any data it stands where the SYN was
    send(assembler, 0, b"hello")
    assert send(assembler, 4, b"\0") == []


def test_what_the_peer_acknowledged_and_nobody_captured_is_a_gap() -> None:
    assembler = after_syn()
    assert send(assembler, 5, b"world") == []
    assert assembler.acknowledged(ISN + 1 + 3) == []  # the rest of the hole may still come
    assert assembler.acknowledged(ISN + 1 + 10) == [Gap(0, 5), Piece(5, b"world", 1)]
    assert send(assembler, 0, b"hello") == []  # too late


def test_an_ack_ahead_of_its_data_loses_nothing() -> None:
    """Captures of several queues put an ACK before the data it covers."""
    assembler = after_syn()
    assert assembler.acknowledged(ISN + 1 + 5) == []
    assert send(assembler, 0, b"hello") == [Piece(0, b"hello", 1)]


def test_gaps_left_at_the_end() -> None:
    assembler = after_syn()
    send(assembler, 0, b"he")
    send(assembler, 5, b"world")
    assembler.add(segment(20, 0, Flag.FIN | Flag.ACK), b"")
    assert assembler.finish() == [Gap(2, 5), Piece(5, b"world", 1), Gap(10, 20)]
    assert assembler.finish() == []


def test_data_acknowledged_beyond_what_was_captured_are_a_gap_and_the_fin_is_not() -> None:
    unseen, closed = after_syn(), after_syn()
    unseen.acknowledged(ISN + 1 + 7)
    assert unseen.finish() == [Gap(0, 7)]
    send(closed, 0, b"bye", flags=Flag.FIN | Flag.ACK)
    closed.acknowledged(ISN + 1 + 4)
    assert closed.finish() == []


def test_a_shortened_packet_leaves_a_gap() -> None:
    assembler = after_syn()
    assert assembler.add(segment(0, 10), b"hello") == [Piece(0, b"hello", 1)]
    assert send(assembler, 10, b"!") == []
    assert assembler.acknowledged(ISN + 1 + 11) == [Gap(5, 10), Piece(10, b"!", 1)]


def test_padding_behind_the_payload_is_none() -> None:
    assert data_of(after_syn().add(segment(0, 2), b"ok\0\0\0\0")) == b"ok"


def test_data_behind_a_fin_are_ignored() -> None:
    assembler = after_syn()
    assert send(assembler, 0, b"bye", flags=Flag.FIN | Flag.ACK) == [Piece(0, b"bye", 1)]
    assert send(assembler, 1, b"yes, really") == []
    assert assembler.finish() == []


def test_data_in_a_syn_and_its_repetition() -> None:
    """Fast Open: offset 0 is the byte after the SYN, whether the server took it or not."""
    assembler = StreamAssembler()
    assert assembler.add(segment(0, 5, Flag.SYN), b"early") == [Piece(0, b"early", 1)]
    assert send(assembler, 0, b"early") == []


def test_the_text_of_a_reset_is_given_out_and_a_bare_reset_tells_nothing() -> None:
    assembler = StreamAssembler()
    assert assembler.add(segment(-1, 0, Flag.RST), b"") == []
    send(assembler, 0, b"data")
    assert data_of(send(assembler, 4, b"no route", flags=Flag.RST)) == b"no route"


def test_a_capture_that_began_later_starts_at_its_first_segment() -> None:
    assembler = StreamAssembler()
    assert assembler.acknowledged(ISN) == []
    assert send(assembler, 500, b"late") == [Piece(0, b"late", 1)]


def test_offsets_go_on_past_the_wrap_of_the_numbers() -> None:
    assembler, position, chunk = after_syn(), 0, 1 << 30
    for _ in range(9):
        assert assembler.add(segment(position, chunk), b"") == []
        position += chunk
        parts = assembler.add(segment(position, 1), b"x")
        parts += assembler.acknowledged((ISN + 1 + position + 1) % MODULUS)
        assert parts[-1] == Piece(position, b"x", 1)
        position += 1
    assert position > 2 * MODULUS


def test_a_hole_that_is_never_filled_is_given_up_in_the_end() -> None:
    assembler = after_syn()
    block = bytes(1 << 20)
    given_out = []
    for index in range(reassembly.MAX_WAITING_BYTES // len(block) + 1):
        given_out += send(assembler, 10 + index * len(block), block)
    assert given_out[0] == Gap(0, 10)
    assert len(data_of(given_out)) > reassembly.MAX_WAITING_BYTES


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Segments (start, end) that cover a stream of len(DATA) bytes, cut, repeated, overlapping and shuffled at will."""
    cuts = sorted({0, len(DATA), *draw(st.lists(st.integers(1, len(DATA) - 1)))})
    extra = draw(
        st.lists(
            st.tuples(st.integers(0, len(DATA)), st.integers(0, len(DATA))).map(lambda ends: (min(ends), max(ends)))
        )
    )
    return draw(st.permutations([*pairwise(cuts), *extra]))


@given(deliveries(), st.integers(0, MODULUS - 1))
def test_any_order_and_any_cuts_give_the_same_stream(segments: list[tuple[int, int]], isn: int) -> None:
    assembler = after_syn(isn)
    parts = []
    for packet, (start, end) in enumerate(segments, start=2):
        parts += assembler.add(segment(start, end - start, packet=packet, isn=isn), DATA[start:end])
    assert data_of(parts) == DATA
    assert assembler.finish() == []


@given(st.lists(st.tuples(st.integers(-5, 60), st.binary(max_size=20), st.integers(0, 5), st.integers(0, 80))))
def test_parts_follow_each_other_and_cover_all(events: list[tuple[int, bytes, int, int]]) -> None:
    """Whatever comes: offsets without overlap and without a silent hole."""
    assembler, parts = after_syn(), []
    for start, data, cut_off, acked in events:
        parts += assembler.add(segment(start, len(data) + cut_off), data)
        parts += assembler.acknowledged(ISN + 1 + acked)
    parts += assembler.finish()
    position = 0
    for part in parts:
        assert part.start == position
        position = part.end if isinstance(part, Gap) else part.start + len(part.data)
        assert position > part.start
