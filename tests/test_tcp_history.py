"""Zeek's letters and verdicts: against Zeek's own test baselines, and letter by letter."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest
from oracle_rows import CAPTURES, NO_ORACLES, Row, flags_of, is_analysed, read_rows, segment_of
from test_tcp_scenarios import segment_of as segment_of_text

from inspector.tcp.history import History
from inspector.tcp.segment import Flag
from inspector.tcp.states import Side

ZEEK_FILES = sorted((CAPTURES / "oracle").glob("*.zeek.tsv"))
HANDSHAKE = ["C SYN seq=100", "S SYN,ACK seq=300 ack=101", "C ACK seq=101 ack=301"]

CASES = {
    # letters, conn_state: segments
    ("S", "S0"): ["C SYN seq=100", "C SYN seq=100"],
    ("Sr", "REJ"): ["C SYN seq=100", "S RST,ACK seq=0 ack=101"],
    ("ShA", "S1"): HANDSHAKE,
    ("ShADad", "S1"): [
        *HANDSHAKE,
        "C ACK seq=101 ack=301 data=5",
        "S ACK seq=301 ack=106",
        "S ACK seq=301 ack=106 data=9",
    ],
    ("ShAFf", "SF"): [*HANDSHAKE, "C FIN,ACK seq=101 ack=301", "S FIN,ACK seq=301 ack=102"],
    ("ShAF", "S2"): [*HANDSHAKE, "C FIN,ACK seq=101 ack=301"],
    ("ShAf", "S3"): [*HANDSHAKE, "S FIN,ACK seq=301 ack=101"],
    ("ShAR", "RSTO"): [*HANDSHAKE, "C RST,ACK seq=101 ack=301"],
    ("ShADr", "RSTR"): [*HANDSHAKE, "C ACK seq=101 ack=301 data=5", "S RST seq=301"],
    ("SR", "RSTOS0"): ["C SYN seq=100", "C RST seq=101"],
    ("SF", "SH"): ["C SYN seq=100", "C FIN seq=101"],
    ("^hf", "SHR"): ["S SYN,ACK seq=300 ack=101", "S FIN,ACK seq=301 ack=101"],
    ("^hr", "RSTRH"): ["S SYN,ACK seq=300 ack=101", "S RST seq=301"],
    ("^hADa", "S1"): [
        "S SYN,ACK seq=300 ack=101",
        "C ACK seq=101 ack=301",
        "C ACK seq=101 ack=301 data=1",
        "S ACK seq=301 ack=102",
    ],
    ("Dd", "OTH"): ["C ACK seq=101 ack=301 data=5", "S ACK seq=301 ack=106 data=5"],
    ("ShADT", "S1"): [*HANDSHAKE, "C ACK seq=100 ack=301 data=1"],
    ("ShAW", "S1"): [*HANDSHAKE, "C ACK seq=101 ack=301 win=0"],
    ("ShAaG", "S1"): [*HANDSHAKE, "S ACK seq=301 ack=150"],
    ("ShADdG", "S1"): [*HANDSHAKE, "C ACK seq=201 ack=301 data=5", "S ACK seq=301 ack=206 data=1"],
    ("ShAI", "RSTO"): [*HANDSHAKE, "C FIN,RST,ACK seq=101 ack=301"],
    ("ShQ", "S2"): ["C SYN seq=100", "S SYN,ACK seq=300 ack=101", "C SYN,FIN seq=100"],
}


def history_of(texts: list[str]) -> History:
    history = History()
    for packet, text in enumerate(texts, start=1):
        history.feed(segment_of_text(text, packet))
    return history


@pytest.mark.parametrize(("expected", "texts"), CASES.items(), ids=lambda value: value[0] if len(value) == 2 else "")
def test_letters_and_verdict(expected: tuple[str, str], texts: list[str]) -> None:
    history = history_of(texts)
    assert (history.letters, history.conn_state) == expected


@pytest.mark.parametrize(("times", "letters"), [(1, "W"), (9, "W"), (10, "WW"), (99, "WW"), (100, "WWW")])
def test_what_may_happen_often_is_written_at_powers_of_ten(times: int, letters: str) -> None:
    assert history_of(HANDSHAKE + times * ["C ACK seq=101 ack=301 win=0"]).letters == "ShA" + letters


def test_one_hole_is_one_gap_whatever_surrounds_it() -> None:
    data = [f"C ACK seq={seq} ack=301 data=10" for seq in (111, 131, 121, 151)]  # 101 and 141 are missing
    history = history_of([*HANDSHAKE, *data, "S ACK seq=301 ack=161"])
    assert history.letters == "ShADTaG"  # the gap at 141 is the second, and not written again
    assert history.client.gaps == 2


def ends_of(row: Row, *names: str) -> frozenset[tuple[str, str]]:
    return frozenset(zip((row[name] for name in names[::2]), (row[name] for name in names[1::2]), strict=True))


def told(path: Path) -> dict[frozenset[tuple[str, str]], list[tuple[int, History]]]:
    """Number of packets and history of every connection of a capture, by its endpoints."""
    segments = defaultdict(list)
    clients: dict[str, tuple[str, str]] = {}
    by_ends = defaultdict(list)
    for row in filter(is_analysed, read_rows(path)):
        source, destination = (row["src"], row["sport"]), (row["dst"], row["dport"])
        client = clients.setdefault(row["tcp_stream"], destination if sent_by_server(row) else source)
        side = Side.CLIENT if source == client else Side.SERVER
        segments[row["tcp_stream"], frozenset((source, destination))].append(segment_of(row, side))
    for (_, ends), own in segments.items():
        history = History()
        for segment in own:
            history.feed(segment)
        by_ends[ends].append((len(own), history))
    return by_ends


def sent_by_server(row: Row) -> bool:
    """By the flags; without a SYN, by the ports of services and the ephemeral ones."""
    if flags_of(row) & Flag.SYN:
        return bool(flags_of(row) & Flag.ACK)
    source, destination = int(row["sport"]), int(row["dport"])
    return source < 1024 <= destination or source < 32768 <= destination


@pytest.mark.skipif(not ZEEK_FILES, reason=NO_ORACLES)
def test_zeeks_own_baselines() -> None:
    """Of connections where Zeek took in every packet: its time-outs and checksum tests drop some."""
    compared, different = 0, []
    for path in ZEEK_FILES:
        name = path.name.removesuffix(".zeek.tsv")
        with path.open(newline="") as lines:
            rows = [
                row for row in csv.DictReader(lines, delimiter="\t") if row["proto"] == "tcp" and row["primary"] == "1"
            ]
        histories = told(path.with_name(f"{name}.packets.tsv.gz")) if rows else {}
        for row in rows:
            same = histories.get(ends_of(row, "id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p"), [])
            if row["orig_pkts"].isdigit() and int(row["orig_pkts"]) + int(row["resp_pkts"]) in [
                count for count, _ in same
            ]:
                compared += 1
                ours = [(history.conn_state, history.letters) for _, history in same]
                if (row["conn_state"], row["history"]) not in ours:
                    different.append((name, row["conn_state"], row["history"], ours))
    assert compared >= 69
    assert not different
