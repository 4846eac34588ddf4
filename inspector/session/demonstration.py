"""Running a bundled demo in a private network and capturing it there."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator

from inspector.capture.live import LiveCapture
from inspector.demos import READY, Demo
from inspector.sandbox import PrivateNetwork, Program
from inspector.session.live import LiveSession, writer_for
from inspector.text.problems import LiveProblem
from inspector.trace.live import Arrival

_OPENER = "inspector.capture.scapy_socket:open_socket"
_USER = "inspector.capture.privileges:drop_to_invoking_user"
_LONGEST_S = 30.0  # a demo that takes longer is stuck


class Demonstration:
    """A demo while it runs: a context manager; its ``session`` is that of the capture in its private network.

    Entering raises RightProblem where namespaces are forbidden, and FileProblem for ``write``.
    """

    def __init__(self, demo: Demo, *, write: str | None = None, overwrite: bool = False) -> None:
        self._demo = demo
        self._write = write
        self._overwrite = overwrite
        self._programs: dict[str, Program] = {}

    def __enter__(self) -> "Demonstration":
        with contextlib.ExitStack() as stack:
            self._network = stack.enter_context(PrivateNetwork(_OPENER, give_up_rights=_USER))
            assert self._network.capture_fd is not None
            capture = LiveCapture.from_fd(self._network.capture_fd, "lo")
            stack.callback(capture.close)
            self.session = LiveSession(capture, writer=writer_for(capture, self._write, overwrite=self._overwrite))
            stack.callback(self.session.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def events(self) -> Iterator[Arrival | None]:
        """Start the server, then the client; every packet, until both have ended and the wire is quiet."""
        self._start_server()
        self._start("client", subprocess.DEVNULL)
        deadline = time.monotonic() + _LONGEST_S

        def over() -> bool:
            # All are asked, so that the exit status of each is known.
            ended = [program.poll() is not None for program in self._programs.values()]
            return all(ended) or time.monotonic() > deadline

        yield from self.session.events(over)

    def failures(self) -> list[tuple[str, int]]:
        """(role, exit status) of each program that ended with a failure."""
        ended = ((role, program.poll()) for role, program in self._programs.items())
        return [(role, status) for role, status in ended if status]

    def _start(self, role: str, output: int) -> None:
        self._programs[role] = self._network.start(self._demo.command(role), stdout=output)

    def _start_server(self) -> None:
        """Start it and wait for its word that it can be reached."""
        read_end, write_end = os.pipe()
        try:
            self._start("server", write_end)
        finally:
            os.close(write_end)
        with os.fdopen(read_end, encoding="utf-8", errors="replace") as output:
            for line in output:
                if line.strip() == READY:
                    return
        raise LiveProblem("demo.not_ready", name=self._demo.name)
