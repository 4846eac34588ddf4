"""A private network as its owner sees it: the capture socket that came out of it, and the programs that run in it."""

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import IO, Any, Self

from inspector.text import problems
from inspector.text.problems import LiveProblem, Problem

MESSAGE_BYTES = 1024 * 1024
GRACE_SECONDS = 0.5

_CHANNEL_BUFFER_BYTES = 200_000  # a message is sent in one piece: an environment must fit

# The interpreter is isolated from the directory it is started in, and finds modules where its owner does.
_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop(1)); from inspector.sandbox import helper; helper.main()"
)

Stream = int | IO[Any] | None


def refusal() -> Problem | None:
    """The reason why a private network cannot be made here, or None when it can; takes about 40 ms."""
    try:
        with PrivateNetwork():
            return None
    except Problem as problem:
        return problem


class Program:
    """A program running in a private network; ``pid`` is its number outside too."""

    def __init__(self, pid: int, channel: socket.socket, send_signal: Callable[[int, int], None]) -> None:
        """``channel`` is where its exit status will come; ``send_signal`` takes pid and signal. See PrivateNetwork."""
        self.pid = pid
        self._channel = channel
        self._send_signal = send_signal
        self._returncode: int | None = None

    def fileno(self) -> int:
        """A descriptor that gets readable when the program ends; -1 once its exit status has been fetched."""
        return self._channel.fileno()

    def poll(self) -> int | None:
        """The exit status, negative the signal that ended it (as subprocess.Popen.returncode); None while it runs."""
        return self.wait(0)

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """The exit status once it has ended; None when it still runs after ``timeout_seconds``."""
        if self._returncode is None:
            self._channel.settimeout(timeout_seconds)
            try:
                message = self._channel.recv(MESSAGE_BYTES)
            except (TimeoutError, BlockingIOError):
                return None
            # Without a last message the helper itself was killed, and the kernel killed its programs.
            self._returncode = json.loads(message)["returncode"] if message else -signal.SIGKILL
            self._channel.close()
        return self._returncode

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program and its process group; nothing happens when it has ended."""
        self._send_signal(self.pid, number)

    def stop(self, grace_seconds: float = GRACE_SECONDS) -> int:
        """End it: SIGINT, then SIGTERM, then SIGKILL, each after ``grace_seconds`` of patience; its exit status."""
        _stop_all([self], grace_seconds)
        return self.wait() or 0


class PrivateNetwork:
    """A network with nothing but loopback in it, made without root; a context manager that leaves nothing running.

    The owner stays outside; inside are a small helper process and the programs that it starts, under the user's own id.

    ``open_capture`` names a function ``package.module:name`` that the helper calls inside with the interface's name and
    whose result has ``fileno`` and ``close``: a socket belongs to the network where it was opened, and this room does
    not know how one is opened for capture. ``capture_fd`` is that socket (None without one), valid until ``close``.
    ``give_up_rights`` names a function without parameters, called when all is set up: under sudo, to become the user
    again. ``mtu`` makes loopback behave like a network card with that MTU. ``net_admin`` leaves the programs
    CAP_NET_ADMIN over this network; under sudo rights are then given up first, so that they are those of a user's own.

    Entering raises RightProblem where namespaces are forbidden, and whatever Problem ``open_capture`` raises.
    """

    _private = True

    def __init__(
        self,
        open_capture: str | None = None,
        *,
        give_up_rights: str | None = None,
        mtu: int | None = None,
        net_admin: bool = False,
    ) -> None:
        self._settings = {
            "private": self._private,
            "open_capture": open_capture,
            "give_up_rights": give_up_rights,
            "mtu": mtu,
            "net_admin": net_admin,
        }
        self._programs: list[Program] = []
        self.capture_fd: int | None = None

    def __enter__(self) -> Self:
        self._control, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _CHANNEL_BUFFER_BYTES)
        with other_end:
            try:
                self._helper = subprocess.Popen(
                    _helper_command(str(other_end.fileno()), json.dumps(self._settings)),
                    pass_fds=[other_end.fileno()],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    process_group=0,
                )
            except OSError as error:  # an interpreter in a folder that is closed by now
                self._control.close()
                raise LiveProblem(
                    "sandbox.cannot_start", program=sys.executable, file=sys.executable, reason=error.strerror
                ) from None
        try:
            self._await_helper()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(
        self,
        argv: Sequence[str],
        *,
        stdin: Stream = subprocess.DEVNULL,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> Program:
        """Start a program inside; returns when it is executed.

        Streams are descriptors or files, subprocess.DEVNULL, or None for the owner's own. ``env`` is the whole
        environment, None the owner's. Raises LiveProblem when it cannot be executed.
        """
        channel, other_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {"start": list(argv), "cwd": os.fspath(cwd) if cwd else None, "env": dict(env) if env else None}
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            descriptors = [
                nothing if stream == subprocess.DEVNULL else _descriptor(stream, own)
                for own, stream in enumerate((stdin, stdout, stderr))
            ]
            socket.send_fds(self._control, [json.dumps(request).encode()], [*descriptors, other_end.fileno()])
        except BrokenPipeError:
            channel.close()
            raise LiveProblem("sandbox.helper_failed") from None
        finally:
            os.close(nothing)
            other_end.close()
        answer = json.loads(channel.recv(MESSAGE_BYTES) or "{}")
        if "pid" not in answer:
            channel.close()
            raise _cannot_start(argv[0], answer)
        program = Program(answer["pid"], channel, self._send_signal)
        self._programs.append(program)
        return program

    def close(self, grace_seconds: float = GRACE_SECONDS) -> None:
        """End all programs, as ``Program.stop`` does, then the network and whatever else still runs in it."""
        try:
            _stop_all(self._programs, grace_seconds)
        finally:
            self._control.close()
            self._helper.wait()
            if self.capture_fd is not None:
                os.close(self.capture_fd)
                self.capture_fd = None

    def _send_signal(self, pid: int, number: int) -> None:
        with contextlib.suppress(OSError):  # without the helper the program is gone as well
            self._control.send(json.dumps({"signal": number, "pid": pid}).encode())

    def _await_helper(self) -> None:
        """Wait until the network is made; raises what the helper could not do."""
        message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
        if not message:
            raise LiveProblem("sandbox.helper_failed")
        self.capture_fd = descriptors[0] if descriptors else None
        answer = json.loads(message)
        if "problem" in answer:
            problem: type[Problem] = getattr(problems, answer["problem"])
            raise problem(answer["key"], **answer["parameters"])


class OrdinaryNetwork(PrivateNetwork):
    """The machine's own network in the same shape: programs run in it under the user's id, and none is left running.

    To capture there needs the right to; under sudo it is used before it is given up.
    """

    _private = False


def _helper_command(*arguments: str) -> list[str]:
    return [sys.executable, "-I", "-c", _BOOT, json.dumps(sys.path), *arguments]


def _cannot_start(program: str, answer: dict[str, Any]) -> LiveProblem:
    if not answer:
        return LiveProblem("sandbox.helper_failed")
    return LiveProblem(
        "sandbox.cannot_start", program=program, file=answer["filename"], reason=os.strerror(answer["errno"])
    )


def _descriptor(stream: Stream, own: int) -> int:
    if stream is None:
        return own
    return stream if isinstance(stream, int) else stream.fileno()


def _stop_all(programs: Sequence[Program], grace_seconds: float) -> None:
    """Ask all of them to end, more and more firmly, and wait for them together."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        running = [program for program in programs if program.poll() is None]
        for program in running:
            program.signal(number)
        deadline = time.monotonic() + grace_seconds if number != signal.SIGKILL else math.inf
        for program in running:
            patience = max(0.0, deadline - time.monotonic())
            program.wait(None if math.isinf(patience) else patience)
