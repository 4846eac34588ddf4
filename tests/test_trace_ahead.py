"""A file that another process decodes is the same trace; and what happens when there is no such process, or it ends."""

import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NoReturn

import pytest
from capture_building import Frame, pcap
from oracle_rows import CAPTURES

from inspector.capture.files import CaptureFile, open_capture
from inspector.decode.columns import COLUMN_TYPES
from inspector.decode.fast import Decoder
from inspector.text.problems import FileProblem
from inspector.trace import ahead
from inspector.trace import trace as trace_module
from inspector.trace.trace import Trace

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="work is shared on Linux only")
BUNDLED = sorted((Path(__file__).parents[1] / "captures").glob("*.pcap*"))
REAL = sorted(path for path in (CAPTURES / "captures").glob("*/*") if path.is_file())
SMALL_CHUNK_BYTES = 3000


@pytest.fixture(autouse=True)
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "WORTHWHILE_BYTES", 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _process: {0, 1})
    monkeypatch.setattr(trace_module, "open_capture", partial(open_capture, chunk_bytes=SMALL_CHUNK_BYTES))


def told(trace: Trace) -> list[object]:
    """All that there is to know of a trace without its frames."""
    columns = [getattr(trace.columns, name).tolist() for name in COLUMN_TYPES]
    instances = [
        [getattr(trace.instance(number), name) for name in trace.instance(number).__slots__]
        for number in range(1, trace.conversation_count + 1)
    ]
    damage = trace.damage and (trace.damage.key, trace.damage.parameters)
    intake = trace._intake
    known = [intake.quoted, intake.reassembled, intake.decoder.addresses.since(0), intake.decoder.packets]
    return [columns, instances, damage, trace.comments, known, trace.conversations()]


@pytest.mark.parametrize("path", [*BUNDLED, *REAL], ids=lambda path: path.name)
def test_it_is_the_same_trace(path: Path) -> None:
    try:
        alone = Trace.read(str(path))
    except FileProblem:
        with pytest.raises(FileProblem):
            Trace.read(str(path), fork=True)
        return
    with alone, Trace.read(str(path), fork=True) as helped:
        assert told(helped) == told(alone)


@pytest.fixture
def capture(tmp_path: Path) -> str:
    path = tmp_path / "many.pcap"
    path.write_bytes(pcap([Frame(number * 1000, bytes(60), 60) for number in range(1000)]))
    return str(path)


def test_progress_is_told_once(capture: str) -> None:
    told: list[tuple[int, int]] = []
    size = Path(capture).stat().st_size
    with Trace.read(capture, lambda *each: told.append(each), fork=True) as trace:
        assert len(trace) == 1000
    assert told[-1] == (size, size)
    assert [done for done, _ in told[1:]] == sorted({done for done, _ in told[1:]})


def test_without_another_process_it_is_read_in_this_one(capture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused() -> NoReturn:
        raise BlockingIOError

    monkeypatch.setattr(os, "fork", refused)
    with Trace.read(capture, fork=True) as trace:
        assert len(trace) == 1000


def test_small_files_and_those_that_arrive_are_read_in_one_process(
    capture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_capture(capture) as file:
        assert ahead.worthwhile(file)
        monkeypatch.setattr(ahead, "WORTHWHILE_BYTES", file.size + 1)
        assert not ahead.worthwhile(file)
    monkeypatch.setattr(ahead, "WORTHWHILE_BYTES", 1)
    read_end, write_end = os.pipe()
    os.write(write_end, pcap([Frame(0, bytes(60), 60)]))
    os.close(write_end)
    with open_capture(f"/proc/self/fd/{read_end}") as arriving:
        assert not ahead.worthwhile(arriving)
    os.close(read_end)


def test_a_process_that_is_killed_is_not_taken_for_one_that_is_done(
    capture: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = CaptureFile.batches

    def killed(file: CaptureFile) -> Iterator[object]:
        yield from (batch for batch, _ in zip(batches(file), range(3), strict=False))
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(CaptureFile, "batches", killed)
    with pytest.raises(RuntimeError, match="ended early"):
        Trace.read(capture, fork=True)


def test_a_process_that_fails_does_not_go_on_as_this_one(capture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Decoder, "decode", lambda *_: 1 // 0)
    with pytest.raises(RuntimeError, match="ended early"):
        Trace.read(capture, fork=True)


def children() -> set[str]:
    """The processes that this one has started and not waited for; those of other tests among them."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {pid for task in tasks for pid in task.read_text(encoding="ascii").split()}


def test_nobody_is_left_when_nobody_reads_on(capture: str) -> None:
    before = children()
    with open_capture(capture, chunk_bytes=SMALL_CHUNK_BYTES) as file:
        decoded = ahead.decoded_ahead(file, None)
        next(decoded)
        assert children() > before
        decoded.close()
    assert children() <= before
