"""Many segments read at once say what one reader says that is fed each of them."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.decode.columns import PacketColumns
from inspector.tcp.connection import SegmentReader
from inspector.tcp.report import SegmentReport
from inspector.tcp.segment import Flag, Segment
from inspector.trace.past import ColumnsPast
from inspector.trace.reader import segments_of
from inspector.trace.steady import SteadyReader
from inspector.trace.trace import Trace

sys.path.append(str(Path(__file__).parent / "benchmarks"))

from generate import generate

PACKETS = 6_000
SIZES = st.lists(st.integers(1, 900), max_size=4)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trace]:
    path = tmp_path_factory.mktemp("steady") / "generated.pcap"
    generate(path, PACKETS)
    with Trace.read(str(path)) as trace:
        yield trace


def one_by_one(columns: PacketColumns, past: ColumnsPast) -> list[SegmentReport]:
    readers: dict[int, SegmentReader] = {}
    reports = []
    for number, segment in segments_of(columns, np.arange(len(columns))):
        reader = readers.setdefault(number, SegmentReader(False, past.of(number)))
        reports.append(reader.feed(past.whole(segment) if segment.flags & Flag.SYN else segment))
    return reports


def at_once(columns: PacketColumns, past: ColumnsPast, sizes: list[int]) -> list[SegmentReport]:
    reader = SteadyReader(columns, lambda number: SegmentReader(False, past.of(number)), past.whole)
    reports, start = [], 0
    for size in [*sizes, len(columns)]:
        reports += reader.read(np.arange(len(columns))[start : start + size])
        start += size
    return reports


def test_of_an_ordinary_capture(generated: Trace) -> None:
    past = ColumnsPast(generated.columns, lambda packet, *_: generated.frame(packet))
    assert at_once(generated.columns, past, [1_000, 1, 2_500]) == one_by_one(generated.columns, past)


CHANGES = ("lost", "repeated", "late", "seq", "ack", "window", "flags", "payload_bytes")


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.sampled_from(CHANGES), max_size=40),
    st.lists(st.integers(1, 900), max_size=4),
)
def test_of_a_capture_in_which_anything_happened(
    generated: Trace, seed: int, changes: list[str], sizes: list[int]
) -> None:
    dice = np.random.default_rng(seed)
    start = int(dice.integers(0, PACKETS - 1_500))
    rows = np.arange(start, start + 1_500)
    for change in changes:
        at = int(dice.integers(0, len(rows) - 40))
        if change == "lost":
            rows = np.delete(rows, at)
        elif change == "repeated":
            rows = np.insert(rows, at + int(dice.integers(1, 40)), rows[at])
        elif change == "late":
            rows = np.insert(np.delete(rows, at), at + int(dice.integers(1, 40)), rows[at])
    columns = generated.columns.take(rows)
    for change in changes:
        if change in ("seq", "ack", "window", "flags", "payload_bytes"):
            column = getattr(columns, change)
            near = [0, 1, 16, 17, int(column[dice.integers(0, len(column))]), int(column.max())]
            column[dice.integers(0, len(column))] = dice.choice(near)
    past = ColumnsPast(columns, lambda packet, *_: generated.frame(int(rows[packet - 1]) + 1))
    assert at_once(columns, past, sizes) == one_by_one(columns, past)


def test_it_is_worth_it(generated: Trace) -> None:
    """Most segments are not fed: else the test above would hold nothing against nothing."""
    past = ColumnsPast(generated.columns, lambda packet, *_: generated.frame(packet))
    fed: list[Segment] = []

    class Counting(SegmentReader):
        def feed(self, segment: Segment) -> SegmentReport:
            fed.append(segment)
            return super().feed(segment)

    reader = SteadyReader(generated.columns, lambda number: Counting(False, past.of(number)), past.whole)
    assert len(reader.read(np.arange(PACKETS))) == PACKETS
    assert len(fed) < PACKETS / 2
