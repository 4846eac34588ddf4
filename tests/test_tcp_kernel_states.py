"""The states told from the packets are those of the Linux kernel, whose tracepoints recorded both endpoints.

The lab captures lie on both sides of a relay that delays, drops and duplicates. Sequences are compared, not times: what
happens to an endpoint is seen later by the other side. LISTEN is not compared (it comes from a call), nor is a last
CLOSED that no packet tells of (the end of TIME-WAIT, or of a process).
"""

import csv
from collections import defaultdict
from itertools import dropwhile
from pathlib import Path

import pytest
from oracle_rows import CAPTURES, NO_ORACLES, Row, flags_of, is_analysed, read_rows, segment_of

from inspector.tcp.connection import Connection
from inspector.tcp.segment import Flag
from inspector.tcp.states import Side, TcpState

STATES_FILES = sorted((CAPTURES / "oracle").glob("lab__*.states.tsv"))
pytestmark = pytest.mark.skipif(not STATES_FILES, reason=NO_ORACLES)

Ends = tuple[str, str]  # local and remote, "address|port"
NOT_THE_KERNELS_STATES = {
    # The poll of every 5 ms saw TIME-WAIT before the exact trace wrote FIN-WAIT-2.
    ("lab__many_random_loss", "10.9.0.2|50007", "10.9.0.1|40016"),
    # TIME-WAIT came and was ended by a reset between two polls.
    ("lab__many_random_loss", "10.9.0.1|40001", "10.9.0.2|50007"),
    # The program aborted in CLOSING, 0.1 ms before the last ACK: no packet shows that TIME-WAIT was left out.
    ("lab__many_random_loss", "10.9.0.2|50007", "10.9.0.1|40001"),
}


def kernel_states(path: Path) -> dict[Ends, list[str]]:
    states = defaultdict(list)
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            states[row["local"], row["remote"]].append(row["to"])
    return states


def told_states(packets: list[Row]) -> dict[Ends, list[str]]:
    """What the transitions of all connections say of each endpoint, repetitions apart."""
    told: dict[Ends, list[str]] = defaultdict(list)
    connections: dict[str, tuple[Connection, Ends]] = {}
    for row in filter(is_analysed, packets):
        source, destination = f"{row['src']}|{row['sport']}", f"{row['dst']}|{row['dport']}"
        if row["tcp_stream"] not in connections:
            assert flags_of(row) & (Flag.SYN | Flag.ACK) == Flag.SYN
            connections[row["tcp_stream"]] = Connection(), (source, destination)
        connection, ends = connections[row["tcp_stream"]]
        side = Side.CLIENT if source == ends[0] else Side.SERVER
        for move in connection.feed(segment_of(row, side)).transitions:
            own = told[ends if move.side is Side.CLIENT else ends[::-1]]
            if move.after is not TcpState.LISTEN and own[-1:] != [move.after]:
                own.append(move.after)
    return told


def without_beginning(states: list[str]) -> list[str]:
    return list(dropwhile(lambda state: state == "CLOSED", (state for state in states if state != "LISTEN")))


@pytest.mark.parametrize("capture_side", ["client", "server"])
@pytest.mark.parametrize("path", STATES_FILES, ids=lambda path: path.name.split(".")[0])
def test_every_endpoint_goes_through_the_kernels_states(path: Path, capture_side: str) -> None:
    scenario = path.name.split(".")[0]
    told = told_states(read_rows(path.with_name(f"{scenario}__{capture_side}_side.pcap.packets.tsv.gz")))
    for (local, remote), states in kernel_states(path).items():
        if (scenario, local, remote) in NOT_THE_KERNELS_STATES:
            continue
        wanted, got = without_beginning(states), without_beginning(told[local, remote])
        if wanted[-1:] == ["CLOSED"] and got[-1:] != ["CLOSED"]:
            wanted.pop()
        assert got == wanted, (local, remote)
