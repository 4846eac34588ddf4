"""The process inside the private network: makes it, hands out its capture socket, starts and ends programs in it.

It talks with ``network`` over a socket pair (SOCK_SEQPACKET, one JSON object a message, file descriptors beside it):

====================================  ==============================================================================
from ``network``                      its first argument is the number of the socket, the second the settings
``{"start": argv, "cwd":, "env":}``   with four descriptors: standard input, output, error, and the program's channel
``{"signal": number, "pid": pid}``    to the program's process group
to ``network``                        ``{}`` with the capture socket, or ``{"problem": class, "key":, "parameters":}``
to a program's channel                ``{"pid": pid}`` or ``{"errno":, "filename":}``; at its end ``{"returncode":}``
====================================  ==============================================================================

When the other end closes, because the owner is done or was killed, every process that came from here is killed.
"""

import contextlib
import ctypes
import importlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from inspector.sandbox.namespaces import LOOPBACK, enter, keep_net_admin
from inspector.sandbox.network import MESSAGE_BYTES
from inspector.text.problems import Problem

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_CHILD_SUBREAPER = 36
_DEFAULT_IN_PROGRAMS = (
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGHUP,
    signal.SIGTERM,
)  # a shell's & ignores the first two


def main() -> None:
    """Serve one private network until its owner closes the control socket."""
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.loads(sys.argv[2])
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        if settings["net_admin"] and settings["give_up_rights"]:  # the rights will be those of a user namespace of hers
            if os.geteuid() == 0 and settings["open_capture"]:
                _named(settings["open_capture"])(LOOPBACK).close()  # imports what root's folders may hold
            _give_up_rights(settings)
            libc.prctl(_PR_SET_DUMPABLE, 1, 0, 0, 0)  # lost with the rights: without it /proc/self is root's
        if settings["private"]:
            enter(settings["mtu"])
        capture = _named(settings["open_capture"])(LOOPBACK) if settings["open_capture"] else None
        _give_up_rights(settings)
    except Problem as problem:
        _send(control, problem=type(problem).__name__, key=problem.key, parameters=problem.parameters)
        return
    socket.send_fds(control, [b"{}"], [capture.fileno()] if capture else [])
    if capture:
        capture.close()  # the owner holds the only one: its end is the end of the capture
    programs = _Programs(control, libc, net_admin=settings["net_admin"])
    try:
        programs.serve()
    finally:
        _kill_all_children()


def _give_up_rights(settings: dict[str, Any]) -> None:
    if settings["give_up_rights"]:
        _named(settings["give_up_rights"])()


def _named(dotted: str) -> Any:
    """The object that ``package.module:name`` names."""
    module, _, name = dotted.partition(":")
    return getattr(importlib.import_module(module), name)


def _send(channel: socket.socket, **message: object) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the owner may be gone, which serve() sees
        channel.send(json.dumps(message).encode())


class _Programs:
    """The programs that run, and their channels."""

    def __init__(self, control: socket.socket, libc: ctypes.CDLL, *, net_admin: bool) -> None:
        self._control = control
        self._libc = libc
        self._net_admin = net_admin
        self._running: dict[int, tuple[subprocess.Popen[bytes], socket.socket]] = {}

    def serve(self) -> None:
        """Follow requests and ends of children until the control socket is closed."""
        wake_read, wake_write = os.pipe()
        for end in (wake_read, wake_write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(self._control, selectors.EVENT_READ)
            selector.register(wake_read, selectors.EVENT_READ)
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if wake_read in ready:
                    os.read(wake_read, MESSAGE_BYTES)
                    self._reap()
                if self._control in ready and not self._follow_request():
                    return

    def _follow_request(self) -> bool:
        message, descriptors, _, _ = socket.recv_fds(self._control, MESSAGE_BYTES, 4, socket.MSG_CMSG_CLOEXEC)
        if not message:
            return False
        request = json.loads(message)
        if "start" in request:
            self._start(request, descriptors)
        elif request["pid"] in self._running:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(request["pid"], request["signal"])
        return True

    def _start(self, request: dict[str, Any], descriptors: list[int]) -> None:
        stdin, stdout, stderr, channel_descriptor = descriptors
        channel = socket.socket(fileno=channel_descriptor)
        try:
            process = subprocess.Popen(
                request["start"],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                cwd=request["cwd"],
                env=request["env"],
                process_group=0,  # the owner's Ctrl-C is the owner's to pass on
                preexec_fn=self._prepare_program,
            )
        except OSError as error:
            _send(channel, errno=error.errno, filename=os.fsdecode(error.filename or request["start"][0]))
            channel.close()
        else:
            _send(channel, pid=process.pid)
            self._running[process.pid] = process, channel
        finally:
            for descriptor in (stdin, stdout, stderr):
                os.close(descriptor)

    def _prepare_program(self) -> None:
        """In the new process: it ends when the helper ends, and can be interrupted."""
        self._libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        for number in _DEFAULT_IN_PROGRAMS:
            signal.signal(number, signal.SIG_DFL)
        if self._net_admin:
            keep_net_admin(self._libc)

    def _reap(self) -> None:
        """Collect all ended children; orphans of programs are among them, since this process is their subreaper."""
        with contextlib.suppress(ChildProcessError):
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in self._running:
                    process, channel = self._running.pop(ended.si_pid)
                    _send(channel, returncode=process.wait())
                    channel.close()
                else:
                    os.waitpid(ended.si_pid, 0)


def _kill_all_children() -> None:
    """Kill and collect children until there are none: orphans of those killed come here and are killed in turn."""
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    with contextlib.suppress(ChildProcessError, FileNotFoundError):
        while True:
            for pid in children.read_bytes().split():
                os.kill(int(pid), signal.SIGKILL)
            os.wait()
