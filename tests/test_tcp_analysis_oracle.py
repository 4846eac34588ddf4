"""The analysis against tshark, on every TCP segment of the capture corpus."""

from collections import Counter
from pathlib import Path

import pytest
from oracle_rows import NO_ORACLES, ORACLE_FILES, Row, last_of, tcp_streams, tshark_names

from inspector.tcp.analysis import Analyzer, SegmentAnalysis

pytestmark = pytest.mark.skipif(not ORACLE_FILES, reason=NO_ORACLES)

# After these tshark counts what it captured, and takes SACK blocks off; ours stays SND.NXT - SND.UNA of RFC 9293.
FLIGHT_COUNTED_OTHERWISE = {"lost_segment", "ack_lost_segment", "spurious_retransmission"}


def differences(said: SegmentAnalysis, row: Row) -> dict[str, tuple[object, object]]:
    """Field: ours and tshark's, where they are not the same."""
    scale_unknown = row["window_scalefactor"] == "-1"
    pairs: dict[str, tuple[object, object]] = {
        "names": (sorted(said.names), sorted(tshark_names(row))),
        "duplicate_ack_number": (said.duplicate_ack_number, last_of(row["duplicate_ack_num"])),
        "relative_seq": (said.relative_seq, int(row["seq_rel"])),
        "relative_ack": (said.relative_ack, int(row["ack_rel"])),
        "scaled_window": (said.scaled_window, None if scale_unknown else int(row["window_scaled"])),
    }
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("path", ORACLE_FILES, ids=lambda path: path.name.removesuffix(".packets.tsv.gz"))
def test_every_segment_is_as_tshark_says(path: Path) -> None:
    wrong = {}
    for stream in tcp_streams(path):
        analyzer = Analyzer(reused=stream.reused)
        for segment, row in zip(stream.segments, stream.rows, strict=True):
            if differs := differences(analyzer.feed(segment), row):
                wrong[segment.packet] = differs
    assert not wrong


def test_bytes_in_flight_are_tsharks_until_something_is_lost() -> None:
    rows: Counter[bool] = Counter()
    for path in ORACLE_FILES:
        for stream in tcp_streams(path):
            analyzer = Analyzer(reused=stream.reused)
            for segment, row in zip(stream.segments, stream.rows, strict=True):
                said = analyzer.feed(segment)
                if row["sack_le"] or FLIGHT_COUNTED_OTHERWISE.intersection(said.names):
                    break
                if segment.payload_bytes:
                    rows[said.bytes_in_flight == last_of(row["bytes_in_flight"])] += 1
                else:
                    assert said.bytes_in_flight is None
    assert rows[True] > 16_000
    assert rows[False] <= 10  # handshakes captured in the wrong order, two connections in one stream, fuzzed numbers
