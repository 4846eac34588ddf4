"""Segments, and what tshark says of them, from the oracle files of the capture corpus (ORACLES.md there).

No capture is decoded: each row of ``<capture>.packets.tsv.gz`` has the header fields already.
"""

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from inspector.tcp.options import MAX_WINDOW_SCALE, NO_OPTIONS, TcpOptions
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.states import Side

CAPTURES = Path(__file__).parents[2] / "shared" / "captures"
ORACLE_FILES = sorted((CAPTURES / "oracle").glob("*.packets.tsv.gz"))
NO_ORACLES = f"no oracle files at {CAPTURES}"  # reason to skip

NAMES = [
    *("retransmission", "fast_retransmission", "spurious_retransmission", "out_of_order", "lost_segment"),
    *("ack_lost_segment", "duplicate_ack", "zero_window", "zero_window_probe", "zero_window_probe_ack"),
    *("window_update", "window_full", "keep_alive", "keep_alive_ack", "reused_ports"),
]
Row = dict[str, str]


@dataclass
class Stream:
    """One tcp.stream of tshark. ``reused``: an earlier stream of the same capture has its addresses and ports."""

    number: str
    reused: bool
    segments: list[Segment] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)


def read_rows(path: Path) -> list[Row]:
    """All rows of one oracle file."""
    with gzip.open(path, "rt", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def tcp_streams(path: Path) -> list[Stream]:
    """The analysed segments of one capture, a stream each, in order of the first segment."""
    streams: dict[str, Stream] = {}
    senders: dict[str, tuple[str, str]] = {}  # stream: the client's address and port
    used: set[frozenset[tuple[str, str]]] = set()
    for row in read_rows(path):
        if not is_analysed(row):
            continue
        number, source, destination = row["tcp_stream"], (row["src"], row["sport"]), (row["dst"], row["dport"])
        if number not in streams:
            ends = frozenset((source, destination))
            streams[number] = Stream(number, reused=ends in used)
            used.add(ends)
            from_server = flags_of(row) & (Flag.SYN | Flag.ACK) == Flag.SYN | Flag.ACK
            senders[number] = destination if from_server else source
        side = Side.CLIENT if source == senders[number] else Side.SERVER
        streams[number].segments.append(segment_of(row, side))
        streams[number].rows.append(row)
    return list(streams.values())


def is_analysed(row: Row) -> bool:
    """Whether tshark analysed the row's segment: not quoted in an ICMP error, not a fragment, its header complete."""
    return bool(row["tcp_stream"] and row["tcp_len"] and row["seq_raw"]) and not row["in_icmp_error"]


def segment_of(row: Row, side: Side) -> Segment:
    """The row's segment; options are those of a SYN, as far as the columns tell."""
    return Segment(
        packet=int(row["frame"]),
        time_ns=time_ns_of(row),
        side=side,
        seq=int(row["seq_raw"]),
        ack=int(row["ack_raw"]),
        flags=flags_of(row),
        window=int(row["window"]),
        payload_bytes=int(row["tcp_len"]),
        options=options_of(row) if flags_of(row) & Flag.SYN else NO_OPTIONS,
    )


def flags_of(row: Row) -> int:
    """The low eight control bits."""
    return int(row["tcp_flags"], 16) & 0xFF


def time_ns_of(row: Row) -> int:
    """Nanoseconds since the epoch."""
    seconds, _, fraction = row["time_epoch"].partition(".")
    nanoseconds = int(fraction.ljust(9, "0"))
    return int(seconds) * 1_000_000_000 + (-nanoseconds if seconds.startswith("-") else nanoseconds)


def options_of(row: Row) -> TcpOptions:
    """MSS, window scale and SACK permitted."""
    mss, window_scale = last_of(row["mss"]), last_of(row["wscale"])
    return TcpOptions(
        mss=mss,
        window_scale=None if window_scale is None else min(window_scale, MAX_WINDOW_SCALE),
        sack_permitted=bool(row["sack_perm"]),
        malformed=bool(row["short"] or row["malformed"]),
    )


def last_of(values: str) -> int | None:
    """The last of several values in a column."""
    return int(values.split(",")[-1]) if values else None


def tshark_names(row: Row) -> set[str]:
    """The findings; tshark sets ``retransmission`` on fast and spurious ones too, which is left out."""
    names = {name for name in NAMES if row[name]}
    if names & {"fast_retransmission", "spurious_retransmission"}:
        names.discard("retransmission")
    return names


def all_streams() -> Iterator[tuple[Path, Stream]]:
    """Every stream of every oracle file."""
    for path in ORACLE_FILES:
        for stream in tcp_streams(path):
            yield path, stream
