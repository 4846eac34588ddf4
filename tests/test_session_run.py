"""``inspector run``: programs of every kind in a private network, and nothing left behind."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.capture.privileges import can_capture
from inspector.sandbox import refusal

REFUSAL = refusal()
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(REFUSAL is not None, reason=f"no private network here: {REFUSAL}"),
]
RUN = [sys.executable, "-m", "inspector", "run"]
SERVER = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 8001))
while True:
    connection, _ = listener.accept()
    with connection:
        while said := connection.recv(1024):
            connection.sendall(said.upper())
"""
CLIENT = """
import socket, sys
with socket.create_connection(("127.0.0.1", 8001)) as connection:
    connection.sendall(b"hello")
    print(connection.recv(100).decode())
"""


@pytest.fixture
def programs(tmp_path: Path) -> tuple[list[str], list[str]]:
    """A server that never ends, and a client."""
    for name, text in (("server.py", SERVER), ("client.py", CLIENT)):
        (tmp_path / name).write_text(text)
    return [sys.executable, str(tmp_path / "server.py")], [sys.executable, str(tmp_path / "client.py")]


def run(*words: str, stdin: str = "", **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run it to its end."""
    environment = {**os.environ, "LANG": "C.UTF-8", "COLUMNS": "120", **settings}
    return subprocess.run(
        [*RUN, *words], input=stdin, capture_output=True, text=True, timeout=60, env=environment, check=False
    )


def processes_with(word: str) -> list[str]:
    """Command lines of this machine that have a word."""
    lines = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            lines.append((folder / "cmdline").read_text(errors="replace").replace("\0", " "))
        except OSError:
            continue
    return [line for line in lines if word in line]


def test_the_picture_has_packets_and_calls_and_the_server_is_gone(programs: tuple[list[str], list[str]]) -> None:
    server, client = programs
    ended = run("--", *server, "--and", *client)
    assert ended.returncode == 0
    for word in (
        "three-way handshake",
        "listen(",
        "accept()",
        "connect(:8001)",
        "sendall(5 B)",
        '5 B "hello"',
        "= 5 B",
    ):
        assert word in ended.stdout, word
    assert "client.py │ HELLO" in ended.stderr
    assert not processes_with(server[1])


def test_the_status_is_that_of_the_last_program(programs: tuple[list[str], list[str]]) -> None:
    server, _ = programs
    assert run("--", *server, "--and", sys.executable, "-c", "raise SystemExit(7)").returncode == 7
    killed = run("--", sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert killed.returncode == 128 + signal.SIGKILL
    assert "nothing to draw" in killed.stderr


def test_standard_input_goes_to_the_last_program(programs: tuple[list[str], list[str]]) -> None:
    server, _ = programs
    ended = run("--", *server, "--and", sys.executable, "-c", "print(input()[::-1])", stdin="olleh\n")
    assert "│ hello" in ended.stderr


def test_output_can_go_to_a_file_and_never_reaches_a_terminal_raw(tmp_path: Path) -> None:
    hostile = "import sys; sys.stdout.buffer.write(b'\\x1b[2Jred\\xff\\n')"
    shown = run("--", sys.executable, "-c", hostile)
    assert "\\x1b[2Jred\\xff" in shown.stderr
    assert "\x1b" not in shown.stderr
    path = tmp_path / "output.txt"
    kept = run("--output", str(path), "--", sys.executable, "-c", hostile)
    assert "red" not in kept.stderr
    assert "red" in path.read_text()


def test_packets_and_calls_are_kept_and_shown_again(programs: tuple[list[str], list[str]], tmp_path: Path) -> None:
    server, client = programs
    capture = tmp_path / "talk.pcapng"
    first = run("--write", str(capture), "--", *server, "--and", *client)
    calls = [json.loads(line) for line in (tmp_path / "talk.calls.jsonl").read_text().splitlines()]
    assert {"connect", "accept", "sendall", "recv"} <= {call["name"] for call in calls}
    again = subprocess.run(
        [sys.executable, "-m", "inspector", "replay", str(capture)],
        capture_output=True,
        env={**os.environ, "LANG": "C.UTF-8", "COLUMNS": "120"},
        check=True,
    )
    assert again.stdout.decode() == first.stdout
    refused = run("--write", str(capture), "--", *server, "--and", *client)
    assert refused.returncode == 1
    assert "it exists" in refused.stderr


def test_an_interrupt_stops_everything_and_the_picture_is_drawn(programs: tuple[list[str], list[str]]) -> None:
    server, client = programs
    quiet = f"import runpy, time; runpy.run_path({client[1]!r}); print('waiting', flush=True); time.sleep(1000)"
    with subprocess.Popen(
        [*RUN, "--", *server, "--and", sys.executable, "-c", quiet],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LANG": "C.UTF-8"},
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "waiting" in line:
                break
        running.send_signal(signal.SIGINT)
        shown, _ = running.communicate(timeout=30)
    assert "three-way handshake" in shown
    assert running.returncode == 128 + signal.SIGINT
    assert not processes_with(server[1])


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        ([], 2, "no program to run"),
        (["--", "true", "--and"], 2, "no program to run"),
        (["--", "/nonexistent/program"], 1, "cannot start /nonexistent/program"),
        (["--output", "/nonexistent/file", "--", "true"], 1, "cannot write /nonexistent/file"),
    ],
)
def test_what_is_wrong_is_one_line(words: list[str], status: int, told: str) -> None:
    ended = run(*words)
    assert ended.returncode == status
    assert told in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr


def test_a_program_that_ignores_signals_and_leaves_children_is_ended() -> None:
    stubborn = (
        "import os, signal, time\n"
        "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)\n"
        "import socket; listener = socket.create_server(('127.0.0.1', 8001))\n"
        "if os.fork() == 0: os.setsid()\n"
        "time.sleep(12345)\n"
    )
    ended = run("--", sys.executable, "-c", stubborn, "--and", "true")
    assert ended.returncode == 0
    assert not processes_with("12345")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_under_sudo_everything_is_the_users(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    file = tmp_path / "kept.pcapng"
    code = "import os, socket; print(os.getuid()); socket.socket().connect_ex(('127.0.0.1', 9))"
    ended = run(
        *("--recorder", "none", "--write", str(file), "--", "/usr/bin/python3", "-c", code),
        SUDO_UID="65534",
        SUDO_GID="65534",
        HOME="/",
    )
    assert "65534" in ended.stderr, ended.stderr
    assert {path.stat().st_uid for path in (file, file.with_suffix(".calls.jsonl"))} == {65534}


@pytest.mark.skipif(not can_capture(), reason="needs the right to capture")
def test_the_ordinary_network_can_be_used_too(programs: tuple[list[str], list[str]]) -> None:
    server, client = programs
    code = Path(server[1]).read_text().replace("8001", "28001")
    Path(server[1]).write_text(code)
    Path(client[1]).write_text(Path(client[1]).read_text().replace("8001", "28001"))
    ended = run("--host-network", "--port", "28001", "--", *server, "--and", *client)
    assert "127.0.0.1:28001" in ended.stdout
    assert "accept()" in ended.stdout
    assert ended.returncode == 0
    assert not processes_with(server[1])


@pytest.mark.skipif(can_capture(), reason="this user may capture")
def test_the_ordinary_network_needs_the_right_to_capture() -> None:
    ended = run("--host-network", "--", "true")
    assert ended.returncode == 1
    assert ("sudo " if shutil.which("sudo") else "su -c ") in ended.stderr
    assert "--host-network" in ended.stderr


def test_a_server_that_is_stopped_is_not_shown_to_fail(programs: tuple[list[str], list[str]]) -> None:
    server, client = programs
    code = Path(server[1]).read_text()
    Path(server[1]).write_text(f"import atexit; atexit.register(print, 'goodbye')\n{code}")
    ended = run("--", *server, "--and", *client)
    assert "goodbye" in ended.stderr
    assert "KeyboardInterrupt" not in ended.stderr
    assert "Traceback" not in ended.stderr
