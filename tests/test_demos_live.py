"""The demos, run and captured for real: what they are to show is what their packets show, each time, also at once."""

import subprocess
import sys
from pathlib import Path

import pytest

import inspector
from inspector.sandbox import refusal
from inspector.tcp.reassembly import Piece
from inspector.tcp.report import Closing, Opening
from inspector.tcp.segment import Flag
from inspector.tcp.states import Side, TcpState
from inspector.trace.conversation import Row

REFUSAL = refusal()
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(REFUSAL is not None, reason=f"no private network here: {REFUSAL}"),
]

TIMES = range(5)
AT_ONCE = 4
PRINTED = {"hello": "hello world", "udp": "好的"}  # by the client


def start(name: str, written: Path) -> "subprocess.Popen[str]":
    """Run a demo with a picture in plain text, and its packets in a file."""
    command = [sys.executable, "-m", "inspector", "demo", name, "--width", "100", "--write", str(written)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")


def drawn(running: "subprocess.Popen[str]", name: str) -> str:
    """The picture of a demo that went well."""
    shown, told = running.communicate(timeout=60)
    assert running.returncode == 0, told
    beginning, *printed = told.splitlines()
    assert beginning.startswith(f"inspector: running demo {name} in a private network: ")
    [(label, text)] = [(line.split()[0], line) for line in printed]
    assert label == "client"
    assert text.endswith(PRINTED[name])
    return shown


def states(rows: list[Row], side: Side) -> list[TcpState]:
    """The states that an endpoint went through."""
    moves = [move for row in rows if row.report for move in row.report.transitions if move.side is side]
    return [moves[0].before, *(move.after for move in moves)]


def check_hello(written: Path, shown: str) -> None:
    with inspector.read(str(written)) as trace:
        [conversation] = trace.conversations()
        assert (conversation.protocol, conversation.server.port) == ("TCP", 8001)
        assert (conversation.payload_to_server, conversation.payload_to_client) == (5, 11)
        rows, end = trace.rows(conversation.number)
        parts = [(side, part.data) for side, part in trace.stream(conversation.number) if isinstance(part, Piece)]
    assert end is not None
    assert end.outcome.opening is Opening.HANDSHAKE
    # The client's ACK of the FIN waits for the client's own FIN, but not for long.
    assert end.outcome.closing in (Closing.THREE_SEGMENTS, Closing.FOUR_SEGMENTS)
    assert end.outcome.closed_by is Side.SERVER
    assert parts == [(Side.CLIENT, b"hello"), (Side.SERVER, b"hello world")]
    assert states(rows, Side.CLIENT) == ["CLOSED", "SYN-SENT", "ESTABLISHED", "CLOSE-WAIT", "LAST-ACK", "CLOSED"]
    assert states(rows, Side.SERVER) == [
        *("LISTEN", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT"),
    ]
    assert [row.report.analysis for row in rows if row.report] == [()] * len(rows)
    assert sum(bool(row.report and row.report.segment.flags & Flag.RST) for row in rows) == 0
    for word in ('"hello"', '"hello world"', "SYN,ACK", "TIME-WAIT", "closed by the server", f"{len(rows)} packets"):
        assert word in shown, word


def check_udp(written: Path, shown: str) -> None:
    with inspector.read(str(written)) as trace:
        [conversation] = trace.conversations()
        rows, end = trace.rows(conversation.number)
    assert (conversation.protocol, conversation.server.port, end) == ("UDP", 8002, None)
    assert [(row.side, row.payload.decode()) for row in rows] == [(Side.CLIENT, "你好"), (Side.SERVER, "好的")]
    assert [row.answers for row in rows] == [None, rows[0].packet]
    assert not any(row.notice or row.report for row in rows)
    for word in ("你好", "好的", "2 packets"):
        assert word in shown, word


CHECKS = {"hello": check_hello, "udp": check_udp}


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("name", CHECKS)
def test_a_demo_shows_what_it_is_to_show(name: str, time: int, tmp_path: Path) -> None:
    written = tmp_path / f"{time}.pcapng"
    CHECKS[name](written, drawn(start(name, written), name))


def test_demos_at_once_do_not_meet(tmp_path: Path) -> None:
    files = {tmp_path / f"{number}.pcap": name for number, name in enumerate(list(CHECKS) * (AT_ONCE // 2))}
    running = {written: start(name, written) for written, name in files.items()}
    pictures = {written: drawn(process, files[written]) for written, process in running.items()}
    for written, name in files.items():
        CHECKS[name](written, pictures[written])
