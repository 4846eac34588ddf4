"""Processes of this machine beside a watch: who owns the sockets on a port, and the calls of one, through strace."""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from inspector.calls.call import SocketCall
from inspector.calls.strace import StraceReader, attached
from inspector.session.quiet import kernel_sockets
from inspector.text.problems import LiveProblem

_PROC = Path("/proc")
_PR_SET_PDEATHSIG = 1
_ATTACHES_WITHIN_S = 5.0
_LOOK_EVERY_S = 0.02
_PIECE_BYTES = 1 << 16


class Owner(NamedTuple):
    """A process with a socket that can be reached at a port."""

    port: int
    process: int
    name: str


def owners(ports: Iterable[int]) -> list[Owner]:
    """Who listens on these ports, or has a datagram socket there; of other users' processes only root is told."""
    asked = frozenset(ports)
    sockets = kernel_sockets(_PROC / "net") or [] if asked else []
    inodes = {f"socket:[{each.inode}]": each.port for each in sockets if each.reachable and each.port in asked}
    found = set()
    for folder in _PROC.glob("[0-9]*") if inodes else ():
        with contextlib.suppress(OSError):  # gone meanwhile, or another user's
            for descriptor in (folder / "fd").iterdir():
                port = inodes.get(os.readlink(descriptor))  # noqa: PTH115 - "socket:[1]" is no path
                if port is not None:
                    name = (folder / "comm").read_bytes().decode("utf-8", "replace").strip()
                    found.add(Owner(port, int(folder.name), name))
    return sorted(found)


class AttachedProcess:
    """strace on a process that runs already: to be started while there are rights, read after they are given up.

    Raises LiveProblem: no strace, no such process, not allowed.
    """

    def __init__(self, process: int) -> None:
        if not (_PROC / str(process)).exists():
            raise LiveProblem("watch.no_process", process=process)
        self._reader = StraceReader()
        self._read_end, write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        libc = ctypes.CDLL(None)
        try:
            self._strace = subprocess.Popen(
                attached(process, shutil.which("strace"), f"/dev/fd/{write_end}"),
                pass_fds=[write_end],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                process_group=0,  # it ends when we do, not by the terminal's Ctrl-C
                preexec_fn=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0),
            )
        except BaseException:
            os.close(self._read_end)
            raise
        finally:
            os.close(write_end)
        self._await_attached(process)

    def new_calls(self) -> list[SocketCall]:
        """The calls that have returned since the last time."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            while piece := os.read(self._read_end, _PIECE_BYTES):
                data += piece
        return list(self._reader.feed_bytes(data))

    def last_calls(self) -> list[SocketCall]:
        """The rest, also what has not returned."""
        return [*self.new_calls(), *self._reader.finish()]

    def close(self) -> None:
        """Let the process run on alone. A strace that belongs to root by now ends with this program."""
        with contextlib.suppress(PermissionError):
            self._strace.terminate()
            self._strace.wait()
        if self._strace.stderr is not None:
            self._strace.stderr.close()
        os.close(self._read_end)

    def _await_attached(self, process: int) -> None:
        """Until strace is attached, or has said why not."""
        assert self._strace.stderr is not None
        deadline_s = time.monotonic() + _ATTACHES_WITHIN_S
        while time.monotonic() < deadline_s and self._strace.poll() is None:
            if _tracer(process) == self._strace.pid:
                return
            time.sleep(_LOOK_EVERY_S)
        self._strace.kill()
        told = self._strace.stderr.readline().decode("utf-8", "replace").strip()
        self.close()
        raise LiveProblem("watch.cannot_attach", process=process, reason=told.removeprefix("strace: ") or "strace")


def _tracer(process: int) -> int:
    """Which process traces another; 0 for none."""
    try:
        status = (_PROC / str(process) / "status").read_bytes()
    except OSError:
        return 0
    return int(status.partition(b"TracerPid:")[2].split()[0])
