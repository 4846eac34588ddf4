"""The private network: what programs see in it, how they end, and that nothing is ever left running."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from inspector.sandbox import PrivateNetwork, Program, refusal
from inspector.text.problems import LiveProblem, RightProblem

REFUSAL = refusal()
OPEN_SOCKET = "inspector.capture.scapy_socket:open_socket"
pytestmark = pytest.mark.skipif(REFUSAL is not None, reason=f"no private network here: {REFUSAL}")


@pytest.fixture
def network() -> Iterator[PrivateNetwork]:
    with PrivateNetwork() as network:
        yield network


@pytest.fixture
def output() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as output:
        yield output


def python(network: PrivateNetwork, code: str, **options: object) -> Program:
    """Start a Python program in the network."""
    return network.start([sys.executable, "-c", textwrap.dedent(code)], **options)  # type: ignore[arg-type]


def text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read().decode()


def refuse(interface: str) -> None:
    """An opener that fails; the helper process imports this module to call it."""
    raise LiveProblem("live.interface_down", interface=interface)


def test_a_program_is_its_user_and_has_no_rights_over_the_network(network: PrivateNetwork, output: IO[bytes]) -> None:
    program = python(
        network,
        """
        import json, os, socket
        status = dict(line.split(":", 1) for line in open("/proc/self/status"))
        print(json.dumps([os.getpid(), os.getuid(), os.getgid(), int(status["CapEff"], 16) > 0, socket.if_nameindex()]))
        """,
        stdout=output,
    )
    assert program.wait() == 0
    is_root = os.getuid() == 0
    assert json.loads(text(output)) == [program.pid, os.getuid(), os.getgid(), is_root, [[1, "lo"]]]


def test_programs_with_net_admin_have_that_right_over_their_network_alone(output: IO[bytes]) -> None:
    with PrivateNetwork(OPEN_SOCKET, net_admin=True) as network:
        program = python(
            network,
            """
            import os, pathlib, socket, struct
            status = dict(line.split(":", 1) for line in open("/proc/self/status"))
            if os.getuid():
                assert int(status["CapEff"], 16) == 1 << 12, status["CapEff"]
            pathlib.Path("/proc/sys/net/ipv4/tcp_syn_retries").write_text("3")
            drop_all = struct.pack("HBBI", 6, 0, 0, 0)
            import ctypes
            program = ctypes.create_string_buffer(drop_all)
            with socket.socket() as endpoint:
                endpoint.setsockopt(socket.SOL_SOCKET, 26, struct.pack("HP", 1, ctypes.addressof(program)))
            """,
            stderr=output,
        )
        assert program.wait() == 0, text(output)


def test_ports_below_1024_are_free_and_both_loopbacks_answer(network: PrivateNetwork, output: IO[bytes]) -> None:
    program = python(
        network,
        """
        import pathlib, socket
        for host in ["127.0.0.1"] + ["::1"] * pathlib.Path("/proc/sys/net/ipv6").exists():
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            with socket.create_server((host, 80), family=family) as server:
                with socket.create_connection((host, 80)) as client:
                    assert 40001 <= client.getsockname()[1] <= 49999
        """,
        stderr=output,
    )
    assert program.wait() == 0, text(output)


def test_streams_environment_directory_and_exit_status(
    network: PrivateNetwork, output: IO[bytes], tmp_path: Path
) -> None:
    given = {"PATH": os.environ["PATH"], "GREETING": "grüß dich"}
    with tempfile.TemporaryFile() as questions:
        questions.write(b"question\n")
        questions.seek(0)
        command = 'read word; echo "$word" "$GREETING"; pwd; ls /nonesuch; exit 7'
        program = network.start(
            ["sh", "-c", command], stdin=questions, stdout=output, stderr=subprocess.DEVNULL, env=given, cwd=tmp_path
        )
        assert program.wait() == 7
    assert text(output).splitlines() == ["question grüß dich", str(tmp_path)]
    assert program.poll() == program.wait() == program.stop() == 7


@pytest.mark.parametrize(
    ("argv", "cwd", "words"),
    [
        (["nonesuch-program"], None, "cannot start nonesuch-program: "),
        (["/etc/passwd"], None, "Permission denied"),
        (["true"], "/nonesuch", "/nonesuch"),
    ],
)
def test_what_cannot_be_executed_is_said(network: PrivateNetwork, argv: list[str], cwd: str | None, words: str) -> None:
    with pytest.raises(LiveProblem) as caught:
        network.start(argv, cwd=cwd)
    assert words in str(caught.value)
    assert network.start(["true"]).wait() == 0


def test_a_program_that_runs_is_awaited_as_long_as_asked(network: PrivateNetwork) -> None:
    reading, writing = os.pipe()
    program = network.start(["cat"], stdin=reading)
    assert program.poll() is None
    assert program.wait(0.01) is None
    os.close(writing)
    os.close(reading)
    assert program.wait() == 0


STUBBORN = """
import signal, sys, time
for name in sys.argv[2:]:
    signal.signal(getattr(signal, name), signal.SIG_IGN)
print("ready", file=open(sys.argv[1], "w"))
time.sleep(1000)
"""


@pytest.mark.parametrize(
    ("ignored", "status"),
    [([], -signal.SIGINT), (["SIGINT"], -signal.SIGTERM), (["SIGINT", "SIGTERM"], -signal.SIGKILL)],
)
def test_stopping_gets_firmer_until_it_is_obeyed(
    network: PrivateNetwork, tmp_path: Path, ignored: list[str], status: int
) -> None:
    fifo = tmp_path / "ready"
    os.mkfifo(fifo)
    program = network.start([sys.executable, "-c", STUBBORN, str(fifo), *ignored], stderr=subprocess.DEVNULL)
    fifo.read_text()
    assert program.stop(grace_seconds=0.2) == status


def test_an_ignored_interrupt_of_the_owner_is_not_passed_on() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in a background job of a shell script
    try:
        with PrivateNetwork() as network:
            assert network.start(["sleep", "1000"]).stop() == -signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)


# A program, its child, and a grandchild that left its session and lost its parent: each holds standard output open.
FAMILY = ["sh", "-c", "trap '' INT TERM; (setsid sleep 1000 &); sleep 1000 & echo $$; wait"]


def everybody_ended(reading: int) -> bool:
    """Whether all who held the other end of the pipe are gone; waits for it."""
    with os.fdopen(reading, "rb") as pipe:
        pipe.read()
    return True


def test_nothing_is_left_after_closing() -> None:
    reading, writing = os.pipe()
    with PrivateNetwork() as network:
        program = network.start(FAMILY, stdout=writing)
        os.close(writing)
        assert os.read(reading, 100) == b"%d\n" % program.pid
        network.close(grace_seconds=0.1)
    assert everybody_ended(reading)
    assert program.wait() == -signal.SIGKILL


OWNER = """
import json, sys, time
sys.path[:] = json.loads(sys.argv[1])
from inspector.sandbox import PrivateNetwork
with PrivateNetwork(sys.argv[3]) as network:
    network.start(json.loads(sys.argv[2]))
    time.sleep(1000)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_is_left_when_the_owner_is_killed(number: signal.Signals) -> None:
    command = [sys.executable, "-c", OWNER, json.dumps(sys.path), json.dumps(FAMILY), OPEN_SOCKET]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert int(owner.stdout.readline()) > 0
        owner.send_signal(number)
        assert owner.stdout.read() == b""
    assert owner.returncode == -number


def test_programs_end_with_their_helper(network: PrivateNetwork) -> None:
    program = network.start(["sleep", "1000"])
    helper = int(Path(f"/proc/{program.pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(helper, signal.SIGKILL)
    assert program.wait() == -signal.SIGKILL
    with pytest.raises(LiveProblem, match="helper process ended"):
        network.start(["true"])


def test_a_problem_of_the_opener_is_the_owners_problem() -> None:
    with pytest.raises(LiveProblem, match="the interface is down"), PrivateNetwork(f"{__name__}:refuse"):
        pytest.fail("entered")


@pytest.mark.live
def test_it_is_captured_from_outside() -> None:
    from inspector.capture.live import LiveCapture
    from inspector.capture.ring import Ring

    with PrivateNetwork(OPEN_SOCKET) as network:
        assert network.capture_fd is not None
        with LiveCapture.from_fd(network.capture_fd, "lo") as capture:
            assert isinstance(capture._reader, Ring)
            code = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'from inside', ('127.0.0.1', 9))"
            with socket.socket(type=socket.SOCK_DGRAM) as sender:
                sender.sendto(b"from outside", ("127.0.0.1", 9))
            assert python(network, code).wait() == 0
            capture.stop()
            payloads = [
                bytes(batch.buffer[offset + 42 : offset + size])
                for batch in capture.batches()
                for offset, size in zip(batch.offset.tolist(), batch.captured_bytes.tolist(), strict=True)
            ]
        assert payloads[0] == b"from inside"
        assert len(payloads) == 2  # and the answer that nobody listens


@pytest.mark.live
def test_with_an_mtu_segments_are_as_on_a_wire(output: IO[bytes]) -> None:
    from inspector.capture.batch import FrameStatus
    from inspector.capture.live import LiveCapture

    with (
        PrivateNetwork(OPEN_SOCKET, mtu=1500) as network,
        LiveCapture.from_fd(network.capture_fd or -1, "lo") as capture,
    ):
        program = python(
            network,
            """
            import socket
            server = socket.create_server(("127.0.0.1", 80))
            socket.create_connection(("127.0.0.1", 80)).sendall(bytes(50_000))
            """,
            stderr=output,
        )
        assert program.wait() == 0, text(output)
        capture.stop()
        sizes, status = [], 0
        for batch in capture.batches():
            sizes += batch.captured_bytes.tolist()
            status |= int(batch.status.max(initial=0))
        assert max(sizes) == 1514
        assert not status & FrameStatus.GSO


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_under_sudo_programs_belong_to_the_invoking_user(monkeypatch: pytest.MonkeyPatch, output: IO[bytes]) -> None:
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    with PrivateNetwork(give_up_rights="inspector.capture.privileges:drop_to_invoking_user") as network:
        program = network.start(["sh", "-c", "id -u; id -g; echo $HOME; grep CapEff /proc/self/status"], stdout=output)
        assert program.wait() == 0
        network.start(["sleep", "1000"])
    assert text(output).split() == ["65534", "65534", "/nonexistent", "CapEff:", "0000000000000000"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")
def test_under_sudo_net_admin_is_that_of_a_user_in_a_network_of_her_own(
    monkeypatch: pytest.MonkeyPatch, output: IO[bytes]
) -> None:
    monkeypatch.setenv("SUDO_UID", "65534")
    monkeypatch.setenv("SUDO_GID", "65534")
    user = "inspector.capture.privileges:drop_to_invoking_user"
    try:
        with PrivateNetwork(OPEN_SOCKET, give_up_rights=user, net_admin=True) as network:
            program = network.start(
                ["sh", "-c", "id -u; grep CapEff /proc/self/status; readlink /proc/self/ns/user"], stdout=output
            )
            assert program.wait() == 0
    except RightProblem as forbidden:
        pytest.skip(f"no user namespace for a user here: {forbidden}")
    uid, _, capabilities, namespace = text(output).split()
    assert (uid, int(capabilities, 16)) == ("65534", 1 << 12)
    assert namespace != str(Path("/proc/self/ns/user").readlink())


TELL_REFUSAL = """
from inspector.sandbox import refusal
problem = refusal()
print(type(problem).__name__, problem)
"""
# As a container's seccomp profile does: unshare(2) fails with EPERM.
FORBID_UNSHARE = """
import ctypes, platform, struct
number = {"x86_64": 272, "aarch64": 97}[platform.machine()]
filters = b"".join(struct.pack("HBBI", *line) for line in [
    (0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x00050001), (0x06, 0, 0, 0x7FFF0000)])
buffer = ctypes.create_string_buffer(filters)
program = struct.pack("HxxxxxxP", 4, ctypes.addressof(buffer))
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0
"""


def told_refusal(code: str, *wrapper: str) -> list[str]:
    """What a Python process that ``wrapper`` starts is told about private networks."""
    command = [*wrapper, sys.executable, "-c", f"import sys; sys.path[:] = {sys.path!r}\n{code}{TELL_REFUSAL}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unshare failed" in ended.stderr:
        pytest.skip("user namespaces are for root only here")
    assert not ended.stderr
    return ended.stdout.splitlines()


def test_a_container_that_forbids_it_is_the_reason_told() -> None:
    reason = RightProblem("sandbox.forbidden", reason="Operation not permitted")
    assert told_refusal(FORBID_UNSHARE) == [f"RightProblem {reason}"]


@pytest.mark.skipif(not Path("/usr/bin/unshare").exists(), reason="needs unshare(1) to set a limit that binds only us")
def test_a_limit_that_forbids_it_is_the_reason_told() -> None:
    limit = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
    told = told_refusal("", "unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh")
    assert told == [f"RightProblem {RightProblem('sandbox.no_network_namespaces_left')}"]
