"""The command as a user runs it: exit status, one clear line for what is wrong, and everything readable still shown."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inspector import demos
from inspector.capture.privileges import can_capture
from inspector.views.safe_text import cells

PROJECT = Path(__file__).parents[1]
HELLO = PROJECT / "captures" / "hello.pcapng"
INSPECTOR = [sys.executable, "-m", "inspector"]

PACKET_KEYS = set(
    """packet time_ns conversation protocol src dst frame_bytes payload_bytes flags seq ack relative_seq
relative_ack window scaled_window analysis duplicate_ack_number findings client_state server_state client_state_known
server_state_known transitions""".split()  # noqa: SIM905
)
CONVERSATION_KEYS = set(
    """conversation protocol client server client_known packets_to_server packets_to_client
payload_to_server payload_to_client start_ns duration_ns tunnel client_state server_state opening closing closed_by
conn_state history handshake_rtt_ns retransmissions""".split()  # noqa: SIM905
)


def inspector(*words: str, stdin: bytes = b"", **settings: str) -> subprocess.CompletedProcess[bytes]:
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": os.environ.get("HOME", "/"), **settings}
    return subprocess.run([*INSPECTOR, *words], input=stdin, capture_output=True, env=environment, check=False)


WRONG = {
    "no such file": (["replay", "/nonexistent/trace.pcap"], 1),
    "no such name": (["replay", "nosuch"], 1),
    "a directory": (["packets", "/"], 1),
    "no capture": (["conversations", str(PROJECT / "pyproject.toml")], 1),
    "an empty file": (["replay", "/dev/null"], 1),
    "a port out of range": (["watch", "--port", "65536"], 2),
    "no number": (["replay", "hello", "--conversation", "one"], 2),
    "a conversation that is not there": (["follow", "hello", "--conversation", "2"], 2),
    "raw without a direction": (["follow", "hello", "--conversation", "1", "--raw"], 2),
    "a host that is no address": (["packets", "hello", "--host", "localhost!"], 2),
    "no such command": (["wach"], 2),
    "no such demo": (["demo", "nosuch"], 2),
    "speed and step": (["replay", "hello", "--speed", "2", "--step"], 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line_with_a_status(name: str) -> None:
    words, status = WRONG[name]
    done = inspector(*words)
    [line] = done.stderr.decode().splitlines()
    assert line.startswith("inspector: ")
    assert len(line) > len("inspector: ") + 20
    assert done.returncode == status


@pytest.mark.parametrize("cut", range(1, HELLO.stat().st_size, 37))
def test_a_torn_capture_is_shown_as_far_as_it_goes(cut: int, tmp_path: Path) -> None:
    torn = tmp_path / "torn.pcapng"
    torn.write_bytes(HELLO.read_bytes()[:cut])
    whole = inspector("packets", "hello", "--json").stdout.splitlines()
    done = inspector("packets", str(torn), "--json")
    shown = done.stdout.splitlines()
    assert done.returncode in (0, 1, 3)
    assert len(done.stderr.splitlines()) == (done.returncode != 0)
    assert shown == whole[: len(shown)]
    if done.returncode == 0:
        assert len(shown) in (0, *range(1, 11))


def test_packets_and_conversations_as_json_have_the_documented_keys() -> None:
    packets = [json.loads(line) for line in inspector("packets", "hello", "--json").stdout.splitlines()]
    assert len(packets) == 10
    assert all(set(packet) >= PACKET_KEYS for packet in packets)
    [conversation] = [json.loads(line) for line in inspector("conversations", "hello", "--json").stdout.splitlines()]
    assert set(conversation) >= CONVERSATION_KEYS
    assert (conversation["opening"], conversation["closed_by"]) == ("handshake", "server")
    assert conversation["payload_to_server"] == len("hello")
    [datagrams] = [json.loads(line) for line in inspector("conversations", "udp", "--json").stdout.splitlines()]
    assert "client_state" not in datagrams


def test_follow_writes_the_exact_bytes_of_one_direction() -> None:
    follow = ["follow", "hello", "--conversation", "1", "--raw", "--direction"]
    assert inspector(*follow, "to-server").stdout == b"hello"
    assert inspector(*follow, "to-client").stdout == b"hello world"


def test_a_capture_comes_through_a_pipe_and_by_name_alike() -> None:
    by_name = inspector("replay", "hello", "--calls", "off")
    assert inspector("replay", "-", stdin=HELLO.read_bytes()).stdout == by_name.stdout  # calls lie beside a file


def test_a_pipe_gets_no_colour_and_100_columns_unless_told() -> None:
    plain = inspector("replay", "hello").stdout.decode()
    assert "\x1b" not in plain
    assert max(map(len, plain.split("\n"))) == 100
    assert max(map(len, inspector("replay", "hello", COLUMNS="80").stdout.decode().split("\n"))) == 80
    assert b"\x1b[" in inspector("replay", "hello", "--color", "always").stdout
    assert inspector("replay", "hello", "--ascii").stdout.isascii()
    assert inspector("replay", "udp", PYTHONIOENCODING="ascii").stdout.isascii()


def test_steps_come_one_for_each_key() -> None:
    step = inspector("replay", "hello", "--step", stdin=b"\n\nq\n").stdout.decode()
    assert "SYN,ACK" in step
    assert '"hello"' not in step
    assert '"hello world"' in inspector("replay", "hello", "--step", stdin=b"\n" * 20).stdout.decode()


@pytest.mark.parametrize(
    "command",
    ["replay", "explain", "explain handshake", "explain zero-window", "quiz", "calls", "layers", "explain --packet 99"],
)
def test_the_name_of_a_file_is_no_command_to_the_terminal(command: str, tmp_path: Path) -> None:
    hostile = tmp_path / "a\x1b[31mb\x9b.pcapng"
    hostile.write_bytes(HELLO.read_bytes()[:-9])
    ended = inspector(*command.split(), str(hostile), LANG="C.UTF-8")
    assert ended.stderr
    for printed in (ended.stdout.decode(), ended.stderr.decode()):
        assert printed.replace("\n", "").isprintable()
    assert "\x1b" not in inspector("explain", "a\x1b[31mb").stderr.decode()


@pytest.mark.parametrize("command", ["quiz hello", "explain handshake --step", "layers hello --packet 4 --step"])
def test_no_standard_input_is_the_end_of_input(command: str) -> None:
    ended = subprocess.run(
        f"{shlex.join([*INSPECTOR, *command.split()])} <&-", shell=True, capture_output=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_reader_who_leaves_ends_it_quietly() -> None:
    with subprocess.Popen(
        [*INSPECTOR, "replay", "hello", "--speed", "1000"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait() == 0


def test_ctrl_c_ends_it_quietly() -> None:
    with subprocess.Popen(
        [*INSPECTOR, "replay", "hello", "--step"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait() == 130
        assert running.stderr.read() == b""


def test_demos_are_listed() -> None:
    listed = inspector("demo", "--list").stdout.decode().splitlines()
    assert [line.split()[0] for line in listed] == demos.names()
    assert {"hello", "sticky", "udp-closed"} <= set(demos.names())
    assert max(map(cells, listed)) <= 80


@pytest.mark.live
@pytest.mark.skipif(not can_capture(), reason="needs the right to capture")
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_watch_that_is_ended_is_complete(ending: signal.Signals, tmp_path: Path) -> None:
    written = tmp_path / "watched.pcap"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        command = [*INSPECTOR, "watch", "--port", str(port), "--write", str(written)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
            assert running.stderr is not None
            assert running.stdout is not None
            running.stderr.readline()
            with socket.create_connection(("127.0.0.1", port)) as client, listener.accept()[0] as server:
                client.sendall(b"watching?")
                server.recv(100)
            running.send_signal(ending)
            shown = running.stdout.read()
            counts = running.stderr.read()
            assert running.wait() == 0
    assert "watching?" in shown
    packets = inspector("packets", str(written), "--json").stdout.splitlines()
    assert f"captured {len(packets)}, shown {len(packets)}, dropped by the kernel 0" in counts
    assert json.loads(packets[0])["flags"] == ["SYN"]


@pytest.mark.skipif(can_capture(), reason="the right to capture is there")
def test_without_the_right_the_command_that_works_is_told() -> None:
    done = inspector("watch", "--port", "8001")
    [line] = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert "watch --port 8001" in line
    assert "setcap" not in line
