"""Watching real traffic, by the command and from Python: what is shown while it runs, how it ends, what was written.

These tests have a network of their own, so that nothing but their own packets pass.
"""

import functools
import json
import os
import pty
import resource
import shutil
import signal
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import ioctl
from pathlib import Path
from struct import pack
from types import TracebackType
from typing import IO, Any

import pytest
from private_network import in_private_network, run_inside

import inspector
from inspector.capture.privileges import can_capture
from inspector.tcp.reassembly import Piece
from inspector.text.problems import LiveProblem, RightProblem

pytestmark = pytest.mark.live

PORT = 8001
SIOCSIFFLAGS = 0x8914  # netdevice(7); flag 1 is IFF_UP


@pytest.fixture(scope="module", autouse=True)
def inside(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> None:
    run_inside(request, tmp_path_factory.mktemp("inside"))


class Watch:
    """``inspector watch`` in a process of its own, once it has said that it watches."""

    def __init__(self, *words: str, **settings: Any) -> None:
        command = [sys.executable, "-m", "inspector", "watch", *words]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8", **settings
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.shown: IO[str] = self.process.stdout
        self.told: IO[str] = self.process.stderr
        self.beginning = self.told.readline()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.process.kill()
        self.process.__exit__(kind, error, trace)

    def next_packet(self) -> dict[str, Any]:
        """The next line of ``--json``."""
        packet: dict[str, Any] = json.loads(self.shown.readline())
        return packet

    def end(self, number: signal.Signals = signal.SIGINT) -> tuple[list[str], list[str], int]:
        """End it: the rest of what it shows, of what it tells, and its exit status."""
        self.process.send_signal(number)
        return self.rest()

    def rest(self) -> tuple[list[str], list[str], int]:
        """The same, when it ends by itself."""
        shown, told = self.process.communicate(timeout=30)
        return shown.splitlines(), told.splitlines(), self.process.returncode


def counts(told: list[str]) -> tuple[int, int, int]:
    """Captured, shown, dropped, as the last line but problems tells."""
    [line] = [line for line in told if "captured" in line]
    captured, shown, dropped = (int(part.split()[-1].replace(",", "")) for part in line.split(", "))
    return captured, shown, dropped


@contextmanager
def udp_pair(port: int = PORT) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A sender connected to a receiver."""
    with socket.socket(type=socket.SOCK_DGRAM) as receiver, socket.socket(type=socket.SOCK_DGRAM) as sender:
        receiver.bind(("127.0.0.1", port))
        sender.connect(("127.0.0.1", port))
        yield sender, receiver


def converse(port: int = PORT) -> None:
    """One TCP connection: hello, echoed, closed by the client first."""
    with (
        socket.create_server(("127.0.0.1", port)) as listener,
        socket.create_connection(("127.0.0.1", port)) as client,
        listener.accept()[0] as server,
    ):
        client.sendall(b"hello")
        server.sendall(server.recv(100))
        client.recv(100)
        client.shutdown(socket.SHUT_WR)
        server.recv(100)


def frames_in(path: Path) -> int:
    """How many frames tshark reads in a file in which it finds nothing wrong."""
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    command = [tshark, "-n", "-r", str(path), "-T", "fields", "-e", "frame.number"]
    read = subprocess.run(command, capture_output=True, text=True, check=False)
    assert read.returncode == 0, read.stderr
    return len(read.stdout.split())


@in_private_network
def test_rows_arrive_while_it_runs() -> None:
    with Watch("--json") as watch, udp_pair() as (sender, _):
        for number in range(3):
            sender.send(bytes(number))
            packet = watch.next_packet()
            assert (packet["packet"], packet["payload_bytes"]) == (number + 1, number)
        assert watch.process.poll() is None
        shown, told, status = watch.end()
        assert (shown, status) == ([], 0)
        assert counts(told) == (3, 3, 0)


@in_private_network
def test_messages_are_shown_as_they_complete() -> None:
    """A header that comes byte by byte, two messages in one segment, and one that is cut off; the framing is found."""
    with (
        Watch("--messages", "--port", str(PORT), "--width", "100") as watch,
        socket.create_server(("127.0.0.1", PORT)) as listener,
        socket.create_connection(("127.0.0.1", PORT)) as client,
        listener.accept()[0] as server,
    ):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(b"\0")
        for piece in (b"\0\0\5hello", b"\0\0\0\6\xe4\xbd\xa0\xe5\xa5\xbd\0\0\0\3you", b"\0\0\0\2ok"):
            server.recv(100)
            client.sendall(piece)
        watch.shown.readline()
        first = [watch.shown.readline() for _ in range(4)]
        client.sendall(b"\0\0\0\7cut")
        while b"cut" not in server.recv(100):
            pass
        client.close()
        server.close()
        shown, told, status = watch.end()
    assert [line.split("message ")[1].split()[0] for line in first] == ["1", "2", "3", "4"]
    assert [line.split()[-1] for line in first] == ["hello", "你好", "you", "ok"]
    assert "cut off" in shown[0]
    assert status == 0, told


@in_private_network
def test_layers_are_drawn_while_it_runs() -> None:
    with Watch("--layers", "--port", str(PORT), "--width", "80") as watch:
        converse()
        for line in watch.shown:
            if "5 B" in line and line.startswith("L7"):
                break
        shown, told, status = watch.end()
    assert status == 0, told
    assert any(line.startswith("L1 physical") for line in shown)


@in_private_network
def test_a_ladder_is_drawn_while_it_runs() -> None:
    with Watch("--port", str(PORT), "--width", "100") as watch:
        assert watch.beginning == f"inspector: watching lo, port {PORT}; Ctrl-C ends\n"
        converse()
        for line in watch.shown:
            if "hello" in line:
                break
        assert watch.process.poll() is None
        shown, told, status = watch.end()
        assert status == 0
        captured, taken, dropped = counts(told)
        assert captured == taken >= 9
        assert dropped == 0
        assert any(f"127.0.0.1:{PORT}" in line and "by client" in line for line in shown), shown


@in_private_network
def test_only_what_was_asked_for_is_shown() -> None:
    with Watch("--json", "--port", str(PORT), "--port", "8002") as watch:
        for port in (8003, 8002, 8004, PORT):
            with udp_pair(port) as (sender, _):
                sender.send(b"?")
        ports = [int(watch.next_packet()["dst"].rpartition(":")[2]) for _ in range(2)]
        assert ports == [8002, PORT]
        _, told, _ = watch.end()
        assert counts(told) == (4, 2, 0)


@in_private_network
def test_it_ends_after_a_count_of_shown_packets(tmp_path: Path) -> None:
    written = tmp_path / "three.pcap"
    with Watch("--json", "--port", str(PORT), "--count", "3", "--write", str(written)) as watch:
        with udp_pair(8002) as (sender, _):
            sender.send(b"not asked for")
        converse()
        shown, told, status = watch.rest()
    assert [json.loads(line)["flags"] for line in shown] == [["SYN"], ["SYN", "ACK"], ["ACK"]]
    assert status == 0
    assert counts(told)[1:] == (3, 0)
    assert frames_in(written) == 3


@in_private_network
def test_it_ends_after_a_time() -> None:
    with Watch("--json", "--duration", "0.3") as watch, udp_pair() as (sender, _):
        sender.send(b"within it")
        shown, told, status = watch.rest()
    assert (len(shown), status) == (1, 0)
    assert counts(told) == (1, 1, 0)


@in_private_network
@pytest.mark.parametrize(("ending", "suffix"), [("SIGINT", "pcap"), ("SIGTERM", "pcapng"), ("SIGHUP", "pcap")])
def test_signals_end_it_with_a_complete_file(ending: str, suffix: str, tmp_path: Path) -> None:
    written = tmp_path / f"watched.{suffix}"
    with Watch("--json", "--write", str(written)) as watch:
        converse()
        shown, told, status = watch.end(signal.Signals[ending])
    assert status == 0
    captured, taken, dropped = counts(told)
    assert captured == taken == len(shown) == frames_in(written)
    assert dropped == 0
    assert json.loads(shown[0])["flags"] == ["SYN"]
    flags = [json.loads(line)["flags"] for line in shown]
    assert sum("FIN" in each for each in flags) == 2


@in_private_network
def test_ctrl_c_ends_a_job_that_a_shell_started_in_the_background() -> None:
    def ignore() -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    with Watch("--json", preexec_fn=ignore) as watch:
        assert watch.end()[2] == 0


@in_private_network
@pytest.mark.parametrize("suffix", ["pcap", "pcapng"])
def test_killed_it_leaves_all_that_was_shown_in_the_file(suffix: str, tmp_path: Path) -> None:
    written = tmp_path / f"killed.{suffix}"
    with Watch("--json", "--write", str(written)) as watch:
        converse()
        for shown in range(1, 8):
            assert watch.next_packet()["packet"] == shown
        watch.process.kill()
        assert watch.process.wait() == -signal.SIGKILL
    assert frames_in(written) >= 7


@in_private_network
def test_a_full_disk_ends_the_saving_but_not_the_watching(tmp_path: Path) -> None:
    written = tmp_path / "full.pcap"

    def little_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))

    with Watch("--json", "--write", str(written), preexec_fn=little_room) as watch, udp_pair() as (sender, _):
        for number in range(1, 10):
            sender.send(bytes(200))
            assert watch.next_packet()["packet"] == number
        shown, told, status = watch.end()
    assert shown == []
    assert status == 1
    assert counts(told) == (9, 9, 0)
    [problem] = [line for line in told if str(written) in line]
    assert "full" in problem
    assert frames_in(written) == (1000 - 24) // (16 + 42 + 200)


@in_private_network
def test_what_cannot_be_written_at_all_is_said_before_anything_is_watched(tmp_path: Path) -> None:
    there = tmp_path / "there.pcap"
    there.write_bytes(b"precious")
    for words in (["--write", str(there)], ["--write", "/dev/full", "--overwrite"], ["--write", "/nonesuch/x.pcap"]):
        with Watch(*words) as watch:
            shown, told, status = watch.rest()
        assert (shown, told, status) == ([], [], 1)
        assert words[1] in watch.beginning
    assert there.read_bytes() == b"precious"


@in_private_network
def test_a_reader_who_leaves_ends_it_quietly(tmp_path: Path) -> None:
    written = tmp_path / "left.pcap"
    with Watch("--json", "--write", str(written)) as watch, udp_pair() as (sender, _):
        sender.send(b"read")
        watch.next_packet()
        watch.shown.close()
        while watch.process.poll() is None:
            sender.send(b"for nobody")
        assert watch.process.returncode == 0
        assert watch.told.read() == ""
    assert frames_in(written) >= 2


@in_private_network
def test_a_terminal_that_is_closed_ends_it_with_a_complete_file(tmp_path: Path) -> None:
    written = tmp_path / "hung-up.pcap"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "inspector", "watch", "--write", str(written)]
    login = functools.partial(ioctl, 0, termios.TIOCSCTTY, 0)  # its controlling terminal, in a session of its own
    with (
        udp_pair() as (sender, _),
        subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, preexec_fn=login
        ) as watch,
    ):
        os.close(theirs)
        shown = b""
        while b"watching" not in shown:
            shown += os.read(ours, 10_000)
        sender.send(b"seen")
        while b"seen" not in shown:
            shown += os.read(ours, 10_000)
        os.close(ours)
        assert watch.wait(timeout=30) >= 0
    assert frames_in(written) == 1


@in_private_network
def test_what_the_kernel_dropped_is_counted() -> None:
    with Watch("--json") as watch, udp_pair() as (sender, _):
        watch.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, watch.process.pid, os.WSTOPPED)
        for _ in range(1_500):
            sender.send(bytes(65_000))
        watch.process.send_signal(signal.SIGCONT)
        shown, told, status = watch.end()
    captured, taken, dropped = counts(told)
    assert captured == taken == len(shown)
    assert dropped > 0
    assert captured + dropped == 1_500
    assert status == 0


@in_private_network
def test_a_flood_is_saved_and_counted_and_what_comes_beside_it_is_shown(tmp_path: Path) -> None:
    written = tmp_path / "flood.pcap"
    many, words = 60_000, ("--json", "--write", str(written))
    with Watch(*words) as watch, udp_pair() as (sender, _), udp_pair(PORT + 1) as (other, _):
        watch.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, watch.process.pid, os.WSTOPPED)
        for _ in range(many):
            sender.send(b"flood")
        watch.process.send_signal(signal.SIGCONT)
        while written.stat().st_size < 24 + many * (16 + 42 + 5):
            time.sleep(0.01)
        other.send(b"beside it")
        assert watch.next_packet()["packet"] == many + 1
        shown, told, status = watch.end()
    assert shown == []
    assert counts(told) == (many + 1, 1, 0)
    assert "only counted" in told[0]
    assert status == 0
    with inspector.read(str(written)) as trace:
        assert [(each.server.port, each.packets) for each in trace.conversations()] == [(PORT, many), (PORT + 1, 1)]


@in_private_network
def test_why_nothing_is_shown_is_told_once() -> None:
    with (
        Watch("--json", "--port", "8009") as nobody,
        Watch("--json", "--port", "8002") as other,
        Watch("--json", "--host", "10.0.0.1") as none,
        Watch("--json", "--port", "8002", "--filter", "port 8002") as silent,
        Watch("--json", "--port", str(PORT)) as busy,
        socket.create_server(("127.0.0.1", 8002)),
        udp_pair() as (sender, _),
    ):
        sender.send(b"?")
        assert nobody.told.readline() == (
            "inspector: nothing yet: no program listens on port 8009 of this machine; start the server\n"
        )
        assert other.told.readline() == "inspector: nothing yet: there is traffic on lo, but none on port 8002\n"
        assert none.told.readline() == ("inspector: nothing yet: there is traffic on lo, but none that was asked for\n")
        assert silent.told.readline() == "inspector: nothing yet: there is no traffic on lo at all\n"
        for watch in (nobody, other, none, silent, busy):
            _, told, status = watch.end()
            assert (len(told), status) == (1, 0), told


@in_private_network
def test_the_end_of_the_interface_ends_it() -> None:
    with Watch("--json") as watch, udp_pair() as (sender, _):
        sender.send(b"last words")
        assert watch.next_packet()["payload_bytes"] == 10
        with socket.socket() as control:
            ioctl(control, SIOCSIFFLAGS, pack("16sH22x", b"lo", 0))
            _, told, status = watch.rest()
            ioctl(control, SIOCSIFFLAGS, pack("16sH22x", b"lo", 1))
    assert counts(told) == (1, 1, 0)
    assert "lo" in told[-1]
    assert status == 1


@in_private_network
def test_from_python_a_trace_grows_while_a_block_runs() -> None:
    with inspector.watch(port=PORT) as trace:
        assert trace.conversations() == []
        with udp_pair() as (sender, _), udp_pair(8002) as (sender_to_another, _):
            sender.send(b"one")
            sender_to_another.send(b"not asked for")
            while not len(trace):
                pass
            [first] = trace.conversations()
            assert (first.protocol, first.packets, first.server.port) == ("UDP", 1, PORT)
            sender.send(b"two")
            while len(trace) < 2:
                pass
            assert trace.conversation(1).packets == 2
        converse()
    datagrams, connection = trace.conversations()
    assert [row.payload for row in trace.rows(datagrams.number)[0]] == [b"one", b"two"]
    rows, end = trace.rows(connection.number)
    assert end is not None
    assert (end.outcome.opening, end.outcome.closed_by) == ("handshake", 0)
    parts = [(side.name, part) for side, part in trace.stream(connection.number)]
    assert [(name, part.data) for name, part in parts if isinstance(part, Piece)] == [
        ("CLIENT", b"hello"),
        ("SERVER", b"hello"),
    ]
    assert trace.frame(rows[0].packet)[47] == 0x02
    assert trace.dropped == 0
    trace.close()


@in_private_network
def test_from_python_nothing_that_came_within_the_block_is_missing() -> None:
    with inspector.watch() as trace, udp_pair() as (sender, _):
        for number in range(20_000):
            sender.send(number.to_bytes(4, "big"))
    assert len(trace) + trace.dropped == 20_000
    rows, _ = trace.rows(1)
    numbers = [int.from_bytes(row.payload, "big") for row in rows]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == len(trace)
    trace.close()


@in_private_network
def test_from_python_an_error_in_the_block_passes_and_the_capture_ends() -> None:
    def fail() -> None:
        with recording, udp_pair() as (sender, _):
            sender.send(b"before")
            raise ZeroDivisionError

    recording = inspector.watch()
    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(recording) == 1
    recording.close()
    with pytest.raises(LiveProblem, match="nonesuch0"):
        inspector.watch(interface="nonesuch0")


@pytest.mark.skipif(can_capture(), reason="the right to capture is there")
def test_from_python_the_missing_right_is_told() -> None:
    with pytest.raises(RightProblem, match="root"):
        inspector.watch(port=PORT)
