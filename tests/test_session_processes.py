"""Processes beside a watch: who owns a port, and the calls of one that runs already."""

import os
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.calls.call import SocketCall
from inspector.capture.privileges import can_capture
from inspector.session.processes import AttachedProcess, Owner, owners
from inspector.text.problems import LiveProblem

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
SERVER = """
import socket
with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        with connection:
            while said := connection.recv(100):
                connection.sendall(said.upper())
"""


@pytest.fixture
def server() -> Iterator[tuple[int, int]]:
    """A server that runs already: its process and its port."""
    with subprocess.Popen([sys.executable, "-c", textwrap.dedent(SERVER)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield process.pid, int(process.stdout.readline())
        process.terminate()


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"hello")
        return connection.recv(100)


def attached(process: int) -> AttachedProcess:
    try:
        return AttachedProcess(process)
    except LiveProblem as problem:
        pytest.skip(f"strace may not attach here: {problem}")


def test_the_owner_of_a_port_is_found(server: tuple[int, int]) -> None:
    process, port = server
    name = Path(f"/proc/{process}/comm").read_text().strip()
    assert owners([port]) == [Owner(port, process, name)]
    assert owners([1]) == []
    assert owners([]) == []


def test_datagram_sockets_have_owners_too() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(("127.0.0.1", 0))
        port = endpoint.getsockname()[1]
        assert [(owner.port, owner.process) for owner in owners([port])] == [(port, os.getpid())]


@needs_strace
def test_the_calls_of_a_process_that_runs_already(server: tuple[int, int]) -> None:
    process, port = server
    attachment = attached(process)
    try:
        assert ask(port) == b"HELLO"
        calls: list[SocketCall] = []
        while "close" not in [call.name for call in calls]:
            calls += attachment.new_calls()
            if [call.name for call in calls][-1:] in (["recvfrom"], ["read"]) and calls[-1].returned == 0:
                break
        calls += attachment.last_calls()
    finally:
        attachment.close()
    assert [call.name for call in calls][:3] == ["accept", "recvfrom", "sendto"]
    assert {call.local for call in calls[:3]} == {("127.0.0.1", port)}
    assert ask(port) == b"HELLO"  # it runs on, alone


def test_a_process_that_is_not_there_is_told() -> None:
    with pytest.raises(LiveProblem, match="no process 4194999"):
        AttachedProcess(4_194_999)


@needs_strace
@pytest.mark.skipif(os.geteuid() == 0, reason="root may attach to everything")
def test_another_users_process_is_told_with_the_remedy() -> None:
    with pytest.raises(LiveProblem, match="sudo"):
        AttachedProcess(1)


@needs_strace
@pytest.mark.live
@pytest.mark.skipif(not can_capture(), reason="needs the right to capture")
def test_watch_shows_the_calls_beside_the_packets(server: tuple[int, int], tmp_path: Path) -> None:
    process, port = server
    attached(process).close()
    file = tmp_path / "kept.pcapng"
    command = [sys.executable, "-m", "inspector", "watch", "--port", str(port), "--pid", str(process)]
    with subprocess.Popen(
        [*command, "--count", "10", "--width", "124", "--write", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "LANG": "C.UTF-8"},
    ) as watch:
        assert watch.stderr is not None
        for line in watch.stderr:
            if f"process {process}".encode() in line:
                break
        assert ask(port) == b"HELLO"
        shown, _ = watch.communicate(timeout=30)
    assert "accept()" in shown.decode()
    assert "recvfrom(100)" in shown.decode()
    assert "sendto" in file.with_suffix(".calls.jsonl").read_text()
