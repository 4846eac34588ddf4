"""What must hold of any frame: no exception, one answer however frames are batched, a cut loses only what was cut."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from decode_building import (
    DESTINATION,
    FRAGMENT,
    HOP_BY_HOP,
    ICMP,
    ICMPV6,
    LINK_HEADERS,
    TCP,
    UDP,
    Frame,
    Row,
    arp,
    batch_of,
    decode,
    extension,
    fragment_header,
    icmp,
    ipv4,
    ipv6,
    link,
    rows_of,
    tcp,
    udp,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.capture.batch import FrameBatch
from inspector.capture.files import open_capture
from inspector.decode.columns import COLUMN_TYPES, Mark
from inspector.decode.exceptional import QuotedDatagram
from inspector.decode.fast import Decoder
from inspector.text.problems import FileProblem

_CAPTURES = sorted((Path(__file__).parents[2] / "shared" / "captures" / "captures").glob("*/*"))
_LINK_TYPES = sorted({link_type for link_type, _, _ in LINK_HEADERS.values()} | {229, 147})
_TRANSPORTS = [
    (TCP, tcp(b"hello")),
    (TCP, tcp(options=bytes(40), flags=2)),
    (UDP, udp(b"hello")),
    (UDP, udp(b"hello", udp_bytes=0)),
    (ICMP, icmp(8, identifier=7, body=b"ping")),
    (ICMP, icmp(3, 3, ipv4(udp(b"hello"), UDP))),
    (ICMP, icmp(13, body=bytes(12))),
    (ICMPV6, icmp(129, identifier=7)),
    (ICMPV6, icmp(1, 4, ipv6(tcp(), TCP))),
    (47, bytes(30)),
]
_WRAPPINGS: list[Callable[[int, bytes], bytes]] = [
    lambda protocol, data: ipv4(data, protocol),
    lambda protocol, data: ipv4(data, protocol, options=bytes(8)),
    lambda protocol, data: ipv4(data, protocol, more=True),
    lambda protocol, data: ipv4(data, protocol, fragment_offset=8),
    lambda protocol, data: ipv4(data, protocol, total_bytes=0),
    lambda protocol, data: ipv6(data, protocol),
    lambda protocol, data: ipv6(extension(protocol, words=1) + data, HOP_BY_HOP),
    lambda protocol, data: ipv6(fragment_header(DESTINATION, more=True) + extension(protocol) + data, FRAGMENT),
    lambda protocol, data: ipv6(fragment_header(protocol, offset=8) + data, FRAGMENT),
]
_WHOLE_FRAMES = [
    link(name, wrap(*transport)) for name in LINK_HEADERS for wrap in _WRAPPINGS for transport in _TRANSPORTS
]
_WHOLE_FRAMES.append(Frame(bytes(12) + b"\x08\x06" + arp("10.0.0.1", "10.0.0.2"), 1))


@st.composite
def _damaged(draw: st.DrawFn) -> Frame:
    """A real frame with some bytes changed, cut or with padding, snapped or not."""
    frame = draw(st.sampled_from(_WHOLE_FRAMES))
    data = bytearray(frame.data)
    for place, value in draw(st.lists(st.tuples(st.integers(0, 90), st.integers(0, 255)), max_size=2)):
        if place < len(data):
            data[place] = value
    data = data[: draw(st.just(len(data)) | st.integers(0, len(data)))] + bytes(draw(st.sampled_from((0, 0, 6))))
    wire_bytes = draw(st.sampled_from((None, len(frame.data), 4 * len(frame.data), 0, 2**32 - 1)))
    return Frame(bytes(data), frame.link_type, wire_bytes, draw(st.sampled_from((0, 1, 6))))


_NOISE = st.builds(
    Frame, st.binary(max_size=120), st.sampled_from(_LINK_TYPES), st.none() | st.integers(0, 2**32 - 1), st.just(0)
)
_FRAMES = st.lists(_damaged() | _NOISE, min_size=1, max_size=8)
_LARGE = 24  # frames in a batch that is surely decoded as arrays


def _readable(quoted: dict[int, QuotedDatagram], decoder: Decoder) -> dict[int, tuple[str, str, QuotedDatagram]]:
    """What was quoted, with the addresses as text: their numbers differ from decoder to decoder."""
    text = decoder.addresses.text
    return {
        packet: (text(it.network, it.source), text(it.network, it.destination), it._replace(source=0, destination=0))
        for packet, it in quoted.items()
    }


def _assert_batching_makes_no_difference(batches: list[FrameBatch]) -> None:
    """Rows of batches as they are, decoded as arrays, and of the same frames one at a time, decoded as scalars."""
    together, apart = Decoder(), Decoder()
    for batch in batches:
        rows = rows_of(together.decode(batch), together)
        for number, row in enumerate(rows):
            assert row == rows_of(apart.decode(_one_of(batch, number)), apart)[0], bytes(_frame(batch, number)).hex()
    assert _readable(together.quoted, together) == _readable(apart.quoted, apart)
    assert together.packets == apart.packets == sum(map(len, batches))


def _frame(batch: FrameBatch, number: int) -> bytes | bytearray | memoryview:
    start = int(batch.offset[number])
    return batch.buffer[start : start + int(batch.captured_bytes[number])]


def _one_of(batch: FrameBatch, number: int) -> FrameBatch:
    row = slice(number, number + 1)
    return FrameBatch(
        buffer=_frame(batch, number),
        offset=np.zeros(1, np.int64),
        captured_bytes=batch.captured_bytes[row],
        wire_bytes=batch.wire_bytes[row],
        time_ns=batch.time_ns[row],
        link_type=batch.link_type[row],
        interface=batch.interface[row],
        status=batch.status[row],
        position=batch.position[row],
    )


@settings(max_examples=150, deadline=None)
@given(_FRAMES, st.integers(0, 120))
def test_a_batch_says_what_its_frames_say(frames: list[Frame], room_behind: int) -> None:
    repeated = frames * (_LARGE // len(frames) + 1)
    _assert_batching_makes_no_difference([batch_of(repeated, room_behind=room_behind)])


def test_every_kind_of_frame_in_one_batch() -> None:
    _assert_batching_makes_no_difference([batch_of(_WHOLE_FRAMES, room_behind=200), batch_of(_WHOLE_FRAMES[::-1])])


@pytest.mark.skipif(not _CAPTURES, reason="the corpus of real captures is not on this machine")
def test_real_captures_in_batches_and_frame_by_frame() -> None:
    frames = 0
    for path in _CAPTURES:
        try:
            capture = open_capture(str(path), chunk_bytes=200_000)
        except FileProblem:
            continue
        with capture:
            for batch in capture.batches():  # at most 3000 frames of each keep this short
                if frames_of_file := min(len(batch), 3000):
                    _assert_batching_makes_no_difference([_first(batch, frames_of_file)])
                    frames += frames_of_file
                break
    assert frames > 10_000


def _first(batch: FrameBatch, frames: int) -> FrameBatch:
    return FrameBatch(
        batch.buffer,
        *(array[:frames] for array in (batch.offset, batch.captured_bytes, batch.wire_bytes, batch.time_ns)),
        *(array[:frames] for array in (batch.link_type, batch.interface, batch.status, batch.position)),
    )


@settings(max_examples=300, deadline=None)
@given(_NOISE | _damaged())
def test_any_bytes_give_a_row(frame: Frame) -> None:
    decoder = Decoder()
    row = rows_of(decoder.decode(batch_of([frame])), decoder)[0]
    assert row["captured_bytes"] == len(frame.data)
    assert Mark(int(row["mark"])) & Mark.SNAPPED == (
        Mark.SNAPPED if len(frame.data) < int(row["wire_bytes"]) else Mark(0)
    )
    assert int(row["payload_bytes"]) <= max(len(frame.data), int(row["wire_bytes"]))


def test_a_cut_loses_only_what_was_cut() -> None:
    for frame in _WHOLE_FRAMES:
        cuts = [Frame(frame.data[:size], frame.link_type, len(frame.data)) for size in range(len(frame.data) + 1)]
        _assert_only_grows([decode(cut)[0] for cut in cuts], frame)


_NOTHING = (0, "", "0.0.0.0")
_HEADER_COLUMNS = [name for name in COLUMN_TYPES if name not in ("captured_bytes", "mark")]


def _assert_only_grows(rows: list[Row], frame: Frame) -> None:
    whole = rows[-1]
    seen: set[str] = set()
    for size, row in enumerate(rows):
        for name in _HEADER_COLUMNS:
            assert row[name] in (*_NOTHING, whole[name]), (name, size, frame)
            assert row[name] not in _NOTHING or name not in seen, (name, size, frame)
            if row[name] not in _NOTHING:
                seen.add(name)
        lost = any(row[name] != whole[name] for name in _HEADER_COLUMNS)
        assert not lost or int(row["mark"]) & Mark.MALFORMED, (size, frame)
        assert not int(row["mark"]) & ~(int(whole["mark"]) | Mark.MALFORMED | Mark.SNAPPED), (size, frame)
