"""Every capture of the corpus against tshark: how many frames, their times and lengths."""

import csv
import gzip
from pathlib import Path
from typing import NamedTuple

import pytest
from capture_building import frames_of

from inspector.capture.files import open_capture
from inspector.text.problems import FileProblem

_CORPUS = Path(__file__).parents[2] / "shared" / "captures"
_CAPTURES = sorted(path for path in (_CORPUS / "captures").glob("*/*") if path.is_file())
_NOT_READ = {
    "libpcap__pcap-invalid-version-1.pcap": "file.version",
    "libpcap__shb-option-too-long.pcapng": "file.bad_block",
}

_OVERFLOWED = {("tcpflow__bug8.pcap", 1), ("tcpdump__timestamp_invalid_nano.pcap", 3)}  # tshark's 32-bit nanoseconds
_LATEST_NS = (2**63 // 10**9 - 1) * 10**9

pytestmark = pytest.mark.skipif(not _CAPTURES, reason="the corpus of real captures is not on this machine")


class _Frame(NamedTuple):
    captured_bytes: int
    wire_bytes: int
    time_ns: int | None  # None where tshark tells no time, or one that overflowed


def _time_ns(epoch: str) -> int:
    seconds, fraction = map(int, epoch.split("."))
    return min(seconds * 10**9 + fraction, _LATEST_NS)


def _expected(name: str) -> list[_Frame]:
    with gzip.open(_CORPUS / "oracle" / f"{name}.packets.tsv.gz", "rt", encoding="utf-8", errors="replace") as table:
        rows = list(csv.DictReader(table, delimiter="\t", quoting=csv.QUOTE_NONE))
    timeless = {row["frame"] for row in rows if not row["time_epoch"] or (name, int(row["frame"])) in _OVERFLOWED}
    return [
        _Frame(
            int(row["cap_len"]), int(row["wire_len"]), None if row["frame"] in timeless else _time_ns(row["time_epoch"])
        )
        for row in rows
    ]


@pytest.mark.parametrize("path", _CAPTURES, ids=lambda path: path.name)
def test_frames_are_those_of_tshark(path: Path) -> None:
    expected = _expected(path.name)
    if path.name in _NOT_READ:
        assert expected == []
        with pytest.raises(FileProblem) as refused:
            open_capture(str(path))
        assert refused.value.key == _NOT_READ[path.name]
        return
    frames, damage = frames_of(str(path), chunk_bytes=100_000)
    assert damage is None
    assert len(frames) == len(expected)
    for frame, truth in zip(frames, expected, strict=True):
        time_ns = None if truth.time_ns is None else frame.time_ns
        assert _Frame(len(frame.data), frame.wire_bytes, time_ns) == truth
