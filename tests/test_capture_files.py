"""Capture files of every form: what is read is what was put in, whole, cut off, damaged or made up."""

import gzip
import os
import subprocess
import sys
from pathlib import Path
from struct import pack

import pytest
from capture_building import (
    PCAP_MAGICS,
    Frame,
    block,
    enhanced,
    frames_of,
    interface,
    obsolete,
    option,
    pcap,
    pcap_header,
    pcap_record,
    section,
    simple,
)
from hypothesis import given
from hypothesis import strategies as st

from inspector.capture.batch import FrameStatus
from inspector.capture.files import open_capture
from inspector.text.problems import FileProblem, Problem

_NS = 10**9
_START_NS = 1_700_000_000 * _NS

_DATA = st.binary(max_size=80)
_MICROSECONDS = st.integers(0, 2**32 * 10**6 - 1).map(lambda microseconds: microseconds * 1000)
_MICROSECOND_FRAMES = st.lists(
    st.tuples(_MICROSECONDS, _DATA, st.integers(0, 2**32 - 1)).map(lambda f: Frame(*f)), max_size=12
)
_CHUNKS = st.integers(1, 400)


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file name for the examples of a property."""
    return tmp_path_factory.mktemp("capture") / "file"


def _read(scratch: Path, content: bytes, chunk_bytes: int = 1 << 20) -> tuple[list[Frame], str | None]:
    scratch.write_bytes(content)
    frames, damage = frames_of(str(scratch), chunk_bytes=chunk_bytes)
    return frames, damage.key if damage else None


def _refused(path: str) -> FileProblem:
    with pytest.raises(FileProblem) as refused:
        open_capture(path)
    assert "\n" not in str(refused.value)
    return refused.value


@given(
    frames=_MICROSECOND_FRAMES, order=st.sampled_from("<>"), kind=st.sampled_from(sorted(PCAP_MAGICS)), chunk=_CHUNKS
)
def test_pcap_of_every_magic_and_byte_order(
    scratch: Path, frames: list[Frame], order: str, kind: str, chunk: int
) -> None:
    content = pcap(frames, order, kind)
    assert _read(scratch, content, chunk) == (frames, None)
    assert _read(scratch, gzip.compress(content, 1), chunk) == (frames, None)


@pytest.mark.parametrize(
    ("field", "link_type"),
    [(1, 1), (12, 101), (14, 101), (0x30000001, 1), (0x24000071, 113), (276, 276)],
    ids=["ethernet", "DLT_RAW", "DLT_RAW of OpenBSD", "FCS length", "FCS length and flag", "cooked v2"],
)
def test_link_type_field(scratch: Path, field: int, link_type: int) -> None:
    scratch.write_bytes(pcap_header(link_type=field))
    with open_capture(str(scratch)) as capture:
        assert [described.link_type for described in capture.interfaces] == [link_type]


def test_before_version_2_3_the_lengths_of_a_record_are_swapped(scratch: Path) -> None:
    header = pack(">IHHiIII", PCAP_MAGICS["microseconds"], 2, 2, 0, 0, 68, 1)
    assert _read(scratch, header + pack(">IIII", 5, 0, 1500, 3) + b"abc") == ([Frame(5 * _NS, b"abc", 1500)], None)


_RESOLUTIONS = {  # if_tsresol -> units a second
    0: 1,
    3: 10**3,
    6: 10**6,
    9: 10**9,
    12: 10**12,
    0x80: 1,
    0x80 | 20: 2**20,
    0x80 | 34: 2**34,
    0x80 | 40: 2**40,
}


@given(
    order=st.sampled_from("<>"),
    resolution=st.sampled_from(sorted(_RESOLUTIONS)),
    offset_s=st.integers(-(10**9), 10**9),
    units=st.integers(0, 2**64 - 1),
)
def test_pcapng_time_resolution_and_offset(
    scratch: Path, order: str, resolution: int, offset_s: int, units: int
) -> None:
    options = option(order, 9, bytes([resolution])) + option(order, 14, pack(f"{order}q", offset_s))
    content = section(order) + interface(order, 1, options) + enhanced(order, 0, units, b"x", 1)
    [frame], damage = _read(scratch, content)
    exact_ns = units * _NS // _RESOLUTIONS[resolution] + offset_s * _NS
    assert damage is None
    assert frame.time_ns == exact_ns if abs(exact_ns) < 2**63 - 2 * _NS else abs(frame.time_ns - 2**63) < 3 * _NS


@pytest.mark.parametrize("resolution", [0, 6, 9, 19, 127, 0x80 | 34, 0x80 | 63, 0x80 | 127])
@pytest.mark.parametrize("offset_s", [-(2**63), 0, 2**63 - 1])
@pytest.mark.parametrize("units", [0, 2**64 - 1])
def test_pcapng_extreme_times_are_clamped(scratch: Path, resolution: int, offset_s: int, units: int) -> None:
    options = option("<", 9, bytes([resolution])) + option("<", 14, pack("<q", offset_s))
    [frame], _ = _read(scratch, section() + interface("<", 1, options) + enhanced("<", 0, units, b"x", 1))
    assert abs(frame.time_ns) < 2**63
    if offset_s:
        assert (frame.time_ns > 2**62) == (offset_s > 0 or (resolution in (0, 0x80) and units > 2**63 + 2**33))


_packet_blocks = st.lists(
    st.tuples(
        st.sampled_from(["enhanced", "obsolete", "simple", "unknown"]),
        st.integers(0, 1),  # interface
        st.integers(0, 2**60),  # microseconds, or nanoseconds on the second interface
        _DATA,
        st.sampled_from([0, 1, 2]),  # direction
    ),
    max_size=10,
)


def _section_of(order: str, blocks: list[tuple[str, int, int, bytes, int]], first: int) -> tuple[bytes, list[Frame]]:
    """A section with two interfaces, Ethernet in microseconds and raw IP in nanoseconds, and what a reader finds."""
    content = section(order) + interface(order, 1) + interface(order, 101, option(order, 9, b"\x09"))
    frames = []
    for kind, number, units, data, direction in blocks:
        flags = option(order, 2, pack(f"{order}I", direction)), option(order, 0x4321, b"other")
        options = b"".join(flags if len(data) % 2 else flags[::-1])
        units = units if number else units // 1000
        time_ns = units if number else units * 1000
        status = FrameStatus.OUTGOING if direction == 2 else 0
        frame = Frame(time_ns, data, len(data) + 5, 101 if number else 1, first + number, status)
        if kind == "enhanced":
            content += enhanced(order, number, units, data, frame.wire_bytes, options)
        elif kind == "obsolete":
            content += obsolete(order, number, units, data, frame.wire_bytes, options)
        elif kind == "simple":
            content += simple(order, data, len(data))
            frame = Frame(-1, data, len(data), 1, first)
        else:
            content += block(order, 0x0BAD, data)
            continue
        frames.append(frame)
    return content, frames


def _with_times(frames: list[Frame]) -> list[Frame]:
    """Simple packet blocks have no time and get that of the packet before."""
    times = [0]
    for frame in frames:
        times.append(times[-1] if frame.time_ns < 0 else frame.time_ns)
    return [frame._replace(time_ns=time_ns) for frame, time_ns in zip(frames, times[1:], strict=True)]


@given(sections=st.lists(st.tuples(st.sampled_from("<>"), _packet_blocks), min_size=1, max_size=3), chunk=_CHUNKS)
def test_pcapng_sections_of_either_byte_order_with_every_packet_block(
    scratch: Path, sections: list[tuple[str, list[tuple[str, int, int, bytes, int]]]], chunk: int
) -> None:
    content, expected = b"", []
    for number, (order, blocks) in enumerate(sections):
        part, frames = _section_of(order, blocks, 2 * number)
        content += part
        expected += frames
    assert _read(scratch, content, chunk) == (_with_times(expected), None)


def test_pcapng_names_and_comments_are_kept(scratch: Path) -> None:
    comment = option("<", 1, "第一".encode())
    scratch.write_bytes(
        section("<", option("<", 1, b"whole file"))
        + interface("<", 1, option("<", 2, b"lo") + option("<", 0, b""))
        + enhanced("<", 0, 0, b"", 0)
        + enhanced("<", 0, 0, b"abc", 3, comment + option("<", 1, b"second \xff") + option("<", 0, b""))
    )
    with open_capture(str(scratch)) as capture:
        assert [len(batch) for batch in capture.batches()] == [2]
        assert capture.section_comments == ["whole file"]
        assert [described.name for described in capture.interfaces] == ["lo"]
        assert capture.comments == {2: "第一\nsecond �"}


def test_simple_packet_is_cut_at_the_snap_length(scratch: Path) -> None:
    content = section() + interface("<", 1, snaplen=3) + simple("<", b"abc", 99)
    assert _read(scratch, content) == ([Frame(0, b"abc", 99)], None)


_LE = section() + interface()
_SAMPLES = {
    "pcap": pcap([Frame(_START_NS, b"abcde", 5), Frame(_START_NS, b"", 9), Frame(_START_NS, b"x" * 90, 90)]),
    "modified": pcap([Frame(_START_NS, b"abcde", 5), Frame(_START_NS, b"fg", 2)], ">", "modified"),
    "pcapng": _section_of(
        ">", [("enhanced", 0, 5, b"abc", 2), ("simple", 0, 0, b"d", 0), ("unknown", 0, 0, b"e", 0)], 0
    )[0]
    + _section_of("<", [("obsolete", 1, 5, b"abc", 2), ("enhanced", 1, 7, b"", 0)], 0)[0],
}
_SAMPLES["gzip"] = gzip.compress(_SAMPLES["pcap"], 9)
_SAMPLES["gzip members"] = gzip.compress(_SAMPLES["pcap"][:50]) + gzip.compress(_SAMPLES["pcap"][50:])


@pytest.mark.parametrize("name", _SAMPLES)
def test_a_file_cut_off_anywhere_is_shown_as_far_as_it_goes(scratch: Path, name: str) -> None:
    content = _SAMPLES[name]
    whole, damage = _read(scratch, content)
    assert damage is None
    before: list[Frame] = []
    for length in range(len(content)):
        try:
            frames, damage = _read(scratch, content[:length])
        except FileProblem as problem:
            frames, damage = [], problem.key
        assert frames[: len(before)] == before
        assert frames == whole[: len(frames)]
        assert damage is not None or len(frames) < len(whole)
        before = frames


def test_where_a_cut_is_and_where_none_is(scratch: Path) -> None:
    records = [pcap_record(Frame(_START_NS, b"abcde", 5))] * 3
    content = pcap_header() + b"".join(records)
    assert _read(scratch, content[: -len(records[0])])[1] is None
    scratch.write_bytes(content[:-1])
    _, damage = frames_of(str(scratch))
    assert damage is not None
    assert damage.exit_status == 3
    assert str(damage).startswith(f"{scratch} ends in the middle of packet 3 (offset {24 + 2 * len(records[0])})")


@pytest.mark.parametrize("chunk", [1, 64, 1000, 1 << 22])
@pytest.mark.parametrize("length", [262145, 3_000_000, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_absurd_length_is_damage(scratch: Path, length: int, chunk: int) -> None:
    good = Frame(_START_NS, b"abcde", 5)
    scratch.write_bytes(pcap([good, good]) + pack("<IIII", 1, 1, length, length) + bytes(4_000_000))
    frames, damage = frames_of(str(scratch), chunk_bytes=chunk)
    assert frames == [good, good]
    assert damage is not None
    assert str(damage).startswith(f"{scratch} is damaged at packet 3 (offset 66): it claims {length} captured bytes")


def test_a_large_snap_length_allows_large_frames(scratch: Path) -> None:
    large = Frame(_START_NS, bytes(300_000), 300_000)
    content = pcap_header(snaplen=524288) + pcap_record(large)
    assert _read(scratch, content, 1000) == ([large], None)


_GOOD = enhanced("<", 0, 0, b"ok", 2)
_BAD_BLOCKS = {
    "length 0": pack("<II", 0x77, 0) + bytes(40),
    "length over 16 MiB": pack("<II", 0x77, (16 << 20) + 4) + bytes(40),
    "trailing length differs": _GOOD[:-4] + pack("<I", 40),
    "trailing length of an unknown block differs": block("<", 0x77, b"abcd")[:-4] + pack("<I", 40),
    "captured more than the block": block("<", 6, pack("<IIIII", 0, 0, 0, 9, 9) + b"12345678"),
    "captured 4 GiB": block("<", 6, pack("<IIIII", 0, 0, 0, 0xFFFFFFFF, 9) + b"12345678"),
    "interface not described": enhanced("<", 1, 0, b"ok", 2),
    "packet block too short": block("<", 6, bytes(8)),
    "simple packet block too short": block("<", 3, b""),
    "interface block too short": block("<", 1, bytes(4)),
    "byte order magic unknown": block("<", 0x0A0D0D0A, bytes(16)),
    "section too short": block("<", 0x0A0D0D0A, pack("<I", 0x1A2B3C4D)),
}


@pytest.mark.parametrize("chunk", [1, 1 << 20])
@pytest.mark.parametrize("bad", _BAD_BLOCKS)
def test_a_block_that_cannot_be_true_is_damage(scratch: Path, bad: str, chunk: int) -> None:
    scratch.write_bytes(_LE + _GOOD + _GOOD + _BAD_BLOCKS[bad] + _GOOD)
    frames, damage = frames_of(str(scratch), chunk_bytes=chunk)
    assert frames == [Frame(0, b"ok", 2)] * 2
    assert damage is not None
    assert damage.key == "file.bad_block"
    assert f"packet 3 (offset {len(_LE + _GOOD + _GOOD)})" in str(damage)


def test_packets_before_any_interface_are_damage(scratch: Path) -> None:
    assert _read(scratch, section() + simple("<", b"abcd", 4)) == ([], "file.bad_block")


def test_options_that_never_end_are_left(scratch: Path) -> None:
    frames, damage = _read(scratch, _LE + enhanced("<", 0, 0, b"ok", 2, pack("<HH", 1, 60000)) + _GOOD)
    assert (frames, damage) == ([Frame(0, b"ok", 2)] * 2, None)


def test_more_interfaces_than_can_be_numbered_are_damage(scratch: Path) -> None:
    content = section() + interface() * 65536 + enhanced("<", 65535, 0, b"ok", 2)
    assert _read(scratch, content) == ([Frame(0, b"ok", 2, 1, 65535)], None)
    assert _read(scratch, content + interface() + _GOOD)[1] == "file.too_many_interfaces"


@given(
    start=st.sampled_from([*(content[:4] for content in _SAMPLES.values()), _SAMPLES["pcap"][:24], _LE, b""]),
    rest=st.binary(max_size=300),
    chunk=_CHUNKS,
)
def test_made_up_bytes_never_raise_anything_but_a_problem(scratch: Path, start: bytes, rest: bytes, chunk: int) -> None:
    try:
        assert _read(scratch, start + rest, chunk) == _read(scratch, start + rest)
    except Problem as problem:
        assert str(scratch) in str(problem)  # noqa: PT017


@given(
    name=st.sampled_from(sorted(_SAMPLES)),
    changes=st.dictionaries(st.integers(0, 500), st.integers(0, 255), max_size=4),
)
def test_changed_bytes_never_raise_anything_but_a_problem(scratch: Path, name: str, changes: dict[int, int]) -> None:
    content = bytearray(_SAMPLES[name])
    for at, byte in changes.items():
        content[at % len(content)] = byte
    try:
        assert _read(scratch, bytes(content), 50) == _read(scratch, bytes(content))
    except Problem as problem:
        assert str(scratch) in str(problem)  # noqa: PT017


def test_damaged_gzip_keeps_what_comes_before(scratch: Path) -> None:
    frames = [Frame(_START_NS + number * 1000, os.urandom(600), 600) for number in range(200)]
    content = bytearray(gzip.compress(pcap(frames)))
    content[-8] ^= 1  # the checksum
    assert _read(scratch, bytes(content)) == (frames, "file.gzip_damaged")
    middle = len(content) // 2
    content[middle : middle + 4000] = b"\xff" * 4000
    kept, damage = _read(scratch, bytes(content))
    assert kept[:90] == frames[:90]
    assert damage is not None


def test_zeros_after_gzip_are_padding_and_anything_else_is_damage(scratch: Path) -> None:
    frames = [Frame(_START_NS, b"abc", 3)]
    content = gzip.compress(pcap(frames))
    assert _read(scratch, content + bytes(5000)) == (frames, None)
    assert _read(scratch, content + b"garbage") == (frames, "file.gzip_damaged")


_REFUSED = {
    "empty": (b"", "file.empty"),
    "empty when unpacked": (gzip.compress(b""), "file.empty"),
    "text": (b"GET / HTTP/1.1\r\n\r\n", "file.text"),
    "binary": (bytes(100), "file.no_capture"),
    "one byte": (b"\xd4", "file.no_capture"),
    "torn pcap header": (pcap_header()[:23], "file.torn_header"),
    "torn pcapng header": (section()[:27], "file.torn_header"),
    "pcap version 1": (pack("<IHHiIII", PCAP_MAGICS["microseconds"], 1, 4, 0, 0, 0, 1), "file.version"),
    "pcapng version 2": (section(version=2), "file.version"),
    "pcapng without byte order": (block("<", 0x0A0D0D0A, bytes(16)), "file.no_capture"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(20), "file.compressed"),
    "zip": (b"PK\x03\x04" + bytes(20), "file.compressed"),
    "snoop": (b"snoop\0\0\0" + bytes(20), "file.other_format"),
    "gzip of text": (gzip.compress(b"hello\n"), "file.text"),
    "torn gzip": (gzip.compress(pcap_header())[:8], "file.gzip_cut_off"),
    "bad gzip": (b"\x1f\x8b" + bytes(20), "file.gzip_damaged"),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_what_is_no_capture_is_refused_in_one_line(scratch: Path, name: str) -> None:
    content, key = _REFUSED[name]
    scratch.write_bytes(content)
    problem = _refused(str(scratch))
    assert (problem.key, problem.exit_status) == (key, 1)
    assert str(scratch) in str(problem)


def test_what_cannot_be_opened_is_refused(tmp_path: Path) -> None:
    assert _refused(str(tmp_path / "absent")).key == "file.not_found"
    assert _refused(f"{tmp_path}/\0").key == "file.not_found"
    assert _refused(str(tmp_path)).key == "file.directory"
    assert _refused(str(tmp_path / ("x" * 300))).key == "file.cannot_open"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "private.pcap"
    path.write_bytes(pcap_header())
    path.chmod(0)
    assert _refused(str(path)).key == "file.no_permission"


def test_a_pipe_is_shown_as_it_arrives() -> None:
    frame = Frame(_START_NS, b"abcde", 5)
    reading, writing = os.pipe()
    os.write(writing, pcap_header() + pcap_record(frame) + b"\0\0")
    with open_capture(f"/dev/fd/{reading}") as capture:
        batches = capture.batches()
        assert len(next(batches)) == 1
        os.write(writing, pcap_record(frame)[2:])  # the rest of the second record: its first two bytes are there
        assert len(next(batches)) == 1
        os.write(writing, pcap_record(frame)[:-1])
        os.close(writing)
        assert list(batches) == []
        assert capture.damage is not None
        assert capture.damage.parameters["packet"] == 3
    os.close(reading)


def test_standard_input_packed_or_not() -> None:
    frames = [Frame(_START_NS + number * 1000, bytes(number), number) for number in range(100)]
    script = "from capture_building import frames_of; frames, damage = frames_of('-'); print(len(frames), damage)"
    for content in (pcap(frames), gzip.compress(pcap(frames))):
        run = subprocess.run(
            [sys.executable, "-c", script], input=content, capture_output=True, cwd=Path(__file__).parent, check=True
        )
        assert run.stdout == b"100 None\n"


@pytest.mark.parametrize("name", _SAMPLES)
def test_progress_ends_at_the_size_of_the_file(scratch: Path, name: str) -> None:
    content = _SAMPLES[name]
    scratch.write_bytes(content)
    told: list[tuple[int, int]] = []
    with open_capture(str(scratch), progress=lambda done, total: told.append((done, total))) as capture:
        list(capture.batches())
    assert told[-1] == (len(content), len(content))


@pytest.mark.parametrize("name", ["pcap", "gzip"])
def test_nothing_is_fetched_from_a_closed_file(scratch: Path, name: str) -> None:
    scratch.write_bytes(_SAMPLES[name])
    with open_capture(str(scratch)) as capture:
        assert capture.fetch(40, 5) == b"abcde"
    capture.close()
    assert capture.fetch(40, 5) == b""


def test_descriptors_are_given_back(scratch: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for content, _ in _REFUSED.values():
        scratch.write_bytes(content)
        _refused(str(scratch))
    for content in _SAMPLES.values():
        _read(scratch, content)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_gzip_bomb_stays_out_of_memory(scratch: Path) -> None:
    huge_block = block("<", 0x77, bytes(16_000_000))
    with gzip.open(scratch, "wb", compresslevel=1) as bomb:
        bomb.write(_LE)
        for _ in range(20):
            bomb.write(huge_block)
        bomb.write(_GOOD)
    script = (
        "import sys, resource; from inspector.capture.files import open_capture\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "frames = sum(len(batch) for batch in open_capture(sys.argv[1]).batches())\n"
        "print(frames, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    run = subprocess.run([sys.executable, "-c", script, str(scratch)], capture_output=True, check=True, text=True)
    frames, grown_kib = map(int, run.stdout.split())
    assert frames == 1
    assert grown_kib < 100 << 10  # 100 MiB of the 320 that it holds
