"""Capture files cut off anywhere: what is whole is shown, the rest is told, and more bytes never show less."""

import os
from pathlib import Path

import pytest
from oracle_rows import CAPTURES, NO_ORACLES

from inspector.capture.files import open_capture
from inspector.render.json_lines import packet_line
from inspector.text.problems import Problem
from inspector.trace.trace import Trace

STEP_BYTES = 97
SMALL_BYTES = 6_000  # of which every cut is tried; of larger ones as many cuts, spread over the file
FILES = sorted((CAPTURES / "captures").glob("*/*"))


def lines_of(path: Path) -> list[str] | None:
    """The packets as JSON, None when the file is refused."""
    try:
        with Trace.read(str(path)) as trace:
            return [packet_line(record) for record in trace.records()]
    except Problem:
        return None


@pytest.mark.skipif(not FILES, reason=NO_ORACLES)
@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in FILES])
def test_a_file_cut_off_shows_what_came_before(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    if len(data) > 400_000:
        pytest.skip("its like are there in small")
    step = max(STEP_BYTES, len(data) * STEP_BYTES // SMALL_BYTES)
    whole = lines_of(path) or []
    cut = tmp_path / path.name
    shown = 0
    for size in range(0, len(data), step):
        cut.write_bytes(data[:size])
        lines = lines_of(cut) or []
        assert lines == whole[: len(lines)], size
        assert len(lines) >= shown, size
        shown = len(lines)


def frames_of(path: Path) -> list[tuple[int, int]]:
    """Time and length of each frame."""
    try:
        with open_capture(str(path)) as capture:
            return [
                frame
                for batch in capture.batches()
                for frame in zip(batch.time_ns.tolist(), batch.captured_bytes.tolist(), strict=True)
            ]
    except Problem:
        return []


@pytest.mark.skipif(not FILES, reason=NO_ORACLES)
@pytest.mark.parametrize("path", [pytest.param(path, id=path.name) for path in FILES])
def test_cut_at_every_97th_byte_the_frames_before_are_read(path: Path, tmp_path: Path) -> None:
    data = path.read_bytes()
    if len(data) > 150_000 and "EVERY_FILE" not in os.environ:
        pytest.skip("takes minutes; set EVERY_FILE to try it")
    cut = tmp_path / path.name
    cut.write_bytes(data)
    frames = frames_of(cut)
    for size in reversed(range(0, len(data), STEP_BYTES)):
        os.truncate(cut, size)
        fewer = frames_of(cut)
        assert fewer == frames[: len(fewer)], size
        frames = fewer
