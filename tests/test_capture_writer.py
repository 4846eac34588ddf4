"""Captures written: read back they are the same, for us and for tshark, whatever ends the program."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from capture_building import Frame, frames_of, pcap
from hypothesis import given
from hypothesis import strategies as st

from inspector.capture.batch import I64, U32, FrameBatch
from inspector.capture.files import open_capture
from inspector.capture.writer import CaptureWriter, _by_length, _Framing, _one_by_one, _packet_blocks, _pcap_records
from inspector.text.problems import FileProblem

_ENDINGS = [".pcap", ".pcapng", ".dump"]
_CORPUS = Path(__file__).parents[2] / "shared" / "captures" / "captures"
_FRAMES = st.lists(
    st.tuples(st.integers(0, 2**32 * 10**9 - 1), st.binary(max_size=70), st.integers(0, 2**32 - 1)).map(
        lambda fields: Frame(*fields)
    ),
    max_size=9,
)


def _batch(frames: list[Frame]) -> FrameBatch:
    lengths = np.array([len(frame.data) for frame in frames], np.int64)
    offset = np.cumsum(lengths) - lengths + 7
    return FrameBatch(
        buffer=bytes(7) + b"".join(frame.data for frame in frames) + b"rest",
        offset=offset,
        captured_bytes=lengths.astype(np.uint32),
        wire_bytes=np.array([frame.wire_bytes for frame in frames], np.uint32),
        time_ns=np.array([frame.time_ns for frame in frames], np.int64),
        link_type=np.array([frame.link_type for frame in frames], np.uint16),
        interface=np.zeros(len(frames), np.uint16),
        status=np.zeros(len(frames), np.uint8),
        position=offset,
    )


def _refused(path: Path, *, overwrite: bool = False) -> str:
    with pytest.raises(FileProblem) as refused:
        CaptureWriter.create(str(path), link_type=1, overwrite=overwrite)
    assert str(refused.value).startswith("cannot write")
    assert "\n" not in str(refused.value)
    return refused.value.key


def _run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A program of its own that has ``frames``, ``batch`` and ``writer``."""
    opening = (
        "import os, signal, resource, sys; from test_capture_writer import *; from test_capture_writer import _batch\n"
        "frames = [Frame(n, bytes(n), n) for n in range(20)]; batch = _batch(frames)\n"
        "writer = CaptureWriter.create(sys.argv[1], link_type=1)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", opening + script, *arguments], capture_output=True, cwd=Path(__file__).parent, text=True
    )


@pytest.mark.parametrize("ending", _ENDINGS)
@given(frames=_FRAMES, more=_FRAMES, name=st.text("lo0é", max_size=6))
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, ending: str, frames: list[Frame], more: list[Frame], name: str
) -> None:
    path = str(tmp_path_factory.getbasetemp() / f"written{ending}")
    writer = CaptureWriter.create(path, link_type=1, overwrite=True, interface_name=name)
    writer.write(_batch(frames))
    chosen = np.arange(0, len(more), 2)
    writer.write(_batch(more), chosen)
    writer.close()
    assert writer.written == len(frames) + len(chosen)
    assert frames_of(path) == (frames + more[::2], None)
    with open_capture(path) as capture:
        list(capture.batches())
        assert [described.name for described in capture.interfaces] == [name if ending == ".pcapng" else ""]


def test_times_that_a_format_cannot_hold_are_clamped(tmp_path: Path) -> None:
    frames = [Frame(time_ns, b"x", 1) for time_ns in (-1, 2**32 * 10**9, 2**63 - 1)]
    found = {}
    for ending in (".pcap", ".pcapng"):
        writer = CaptureWriter.create(str(tmp_path / f"a{ending}"), link_type=1)
        writer.write(_batch(frames))
        writer.close()
        found[ending] = [frame.time_ns for frame in frames_of(str(tmp_path / f"a{ending}"))[0]]
    assert found[".pcap"] == [0, 2**32 * 10**9 - 1, 2**32 * 10**9 - 1]
    assert found[".pcapng"][:2] == [0, 2**32 * 10**9]


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not on this machine")
@pytest.mark.skipif(not _CORPUS.is_dir(), reason="the corpus of real captures is not on this machine")
@pytest.mark.parametrize("ending", [".pcap", ".pcapng"])
@pytest.mark.parametrize(
    "original",
    ["file_formats/wireshark__dhcp-nanosecond.pcap", "link_linux_cooked/mercury__sll2_tls.pcap", "udp_icmp_dns"],
)
def test_tshark_reads_the_same_from_the_copy(tmp_path: Path, original: str, ending: str) -> None:
    path = _CORPUS / original
    path = path if path.is_file() else min(path.glob("*.pcap"))
    copy = tmp_path / f"copy{ending}"
    with open_capture(str(path)) as capture:
        writer = CaptureWriter.create(str(copy), link_type=capture.interfaces[0].link_type)
        for batch in capture.batches():
            writer.write(batch)
        writer.close()
    fields = ["frame.time_epoch", "frame.cap_len", "frame.len", "frame.protocols", "frame.md5_hash"]
    command = ["tshark", "-n", "-o", "frame.generate_md5_hash:TRUE", "-T", "fields"]
    command += [word for field in fields for word in ("-e", field)]
    seen = [
        subprocess.run([*command, "-r", str(file)], capture_output=True, check=True).stdout for file in (path, copy)
    ]
    assert seen[0]
    assert seen[0] == seen[1]


@pytest.mark.parametrize("ending", [".pcap", ".pcapng"])
def test_a_killed_program_leaves_every_batch_whole(tmp_path: Path, ending: str) -> None:
    path = str(tmp_path / f"killed{ending}")
    run = _run("for _ in range(3): writer.write(batch)\nos.kill(os.getpid(), signal.SIGKILL)", path)
    assert run.returncode == -signal.SIGKILL, run.stderr
    frames, damage = frames_of(path)
    assert (len(frames), damage) == (60, None)


def test_a_write_that_fails_leaves_the_batches_before_it(tmp_path: Path) -> None:
    path = str(tmp_path / "full.pcap")
    script = (
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1234, 1234))\n"
        "try:\n    while True: writer.write(batch)\nexcept FileProblem as problem: print(writer.written, problem)"
    )
    run = _run(script, path)
    assert run.stdout.startswith(f"40 cannot write on to {path}: File too large; it is complete up to packet 40"), run
    frames, damage = frames_of(path)
    assert (len(frames), damage) == (40, None)


def test_only_the_owner_reads_what_was_captured(tmp_path: Path) -> None:
    CaptureWriter.create(str(tmp_path / "a.pcap"), link_type=1).close()
    assert (tmp_path / "a.pcap").stat().st_mode & 0o777 == 0o600


def test_an_existing_file_is_replaced_only_when_told(tmp_path: Path) -> None:
    path = tmp_path / "a.pcap"
    path.write_bytes(pcap([Frame(0, b"abc", 3)]) * 2)
    before = path.read_bytes()
    assert _refused(path) == "file.exists"
    assert path.read_bytes() == before
    CaptureWriter.create(str(path), link_type=1, overwrite=True).close()
    assert frames_of(str(path)) == ([], None)


def test_a_symbolic_link_is_never_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link.pcap"
    link.symlink_to(target)
    assert _refused(link) == "file.exists"
    assert _refused(link, overwrite=True) == "file.symbolic_link"
    assert not target.exists()


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    assert _refused(tmp_path) == "file.write_directory"
    assert _refused(tmp_path, overwrite=True) == "file.write_directory"
    assert _refused(tmp_path / "absent" / "a.pcap") == "file.no_directory"
    assert _refused(tmp_path / ("x" * 300)) == "file.cannot_write"
    if Path("/sys/kernel").exists():
        assert _refused(Path("/sys/kernel/a.pcap")) == "file.no_write_permission"
    if Path("/dev/full").exists():
        with pytest.raises(FileProblem) as full:
            CaptureWriter.create("/dev/full", link_type=1, overwrite=True)
        assert full.value.key == "file.disk_full"


@pytest.mark.parametrize("framing", [_pcap_records, _packet_blocks])
@given(frames=_FRAMES)
def test_frames_copied_by_length_are_those_copied_one_by_one(
    framing: Callable[[U32, U32, I64], _Framing], frames: list[Frame]
) -> None:
    batch = _batch(frames * 3)
    captured = batch.captured_bytes.astype(np.int64)
    around = framing(batch.captured_bytes, batch.wire_bytes, batch.time_ns)
    assert _by_length(batch.buffer, batch.offset, captured, around) == _one_by_one(
        batch.buffer, batch.offset, captured, around
    )
