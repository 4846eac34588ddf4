"""Sequence numbers live on a circle of 2**32."""

from hypothesis import given
from hypothesis import strategies as st

from inspector.tcp.seqnum import HALF, MODULUS, seq_add, seq_diff, unwrap

NUMBERS = st.integers(0, MODULUS - 1)


def test_distance_across_the_wrap() -> None:
    assert seq_diff(2**32 - 10, 10) == 20
    assert seq_diff(10, 2**32 - 10) == -20
    assert seq_diff(0, HALF - 1) == HALF - 1
    assert seq_diff(0, HALF) == -HALF


def test_addition_across_the_wrap() -> None:
    assert seq_add(2**32 - 1, 1) == 0
    assert seq_add(0, -1) == 2**32 - 1


@given(NUMBERS, st.integers(-HALF, HALF - 1))
def test_distance_undoes_addition(start: int, distance: int) -> None:
    assert seq_diff(start, seq_add(start, distance)) == distance


@given(st.integers(0, 2**64), st.integers(-HALF, HALF - 1))
def test_unwrap_finds_the_number_without_modulus(near: int, distance: int) -> None:
    assert unwrap((near + distance) % MODULUS, near) == near + distance


def test_unwrap_follows_a_stream_over_several_wraps() -> None:
    position = 0
    for step in range(1, 20):
        position = unwrap(step * 1_000_000_000 % MODULUS, position)
        assert position == step * 1_000_000_000
