"""A running capture: frames from the source are selected, saved and read, and come out as events for a view."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from inspector import text
from inspector.capture.batch import FrameBatch
from inspector.capture.live import LiveCapture
from inspector.capture.privileges import drop_to_invoking_user
from inspector.capture.writer import CaptureWriter
from inspector.session.processes import AttachedProcess, Owner, owners
from inspector.text.problems import Problem
from inspector.trace.intake import Rows
from inspector.trace.live import Arrival, LiveTrace
from inspector.trace.passed_over import Part
from inspector.trace.selection import Selection

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Limits:
    """When a capture ends by itself: after so many selected packets, or so long; None for never."""

    packets: int | None = None
    duration_ns: int | None = None


class LiveSession:
    """Joins a live capture, the trace it feeds and the file it is written to."""

    def __init__(
        self,
        capture: LiveCapture,
        selection: Selection | None = None,
        writer: CaptureWriter | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.capture = capture
        self.trace = LiveTrace(selection, lambda time_ns: time.time_ns() - time_ns, capture.waiting)
        self.write_problem: Problem | None = None
        self._writer = writer
        self._limits = limits or Limits()

    def events(self, over: Callable[[], bool] = lambda: False) -> Iterator[Arrival | None]:
        """Each packet as it arrives; None after each batch, at least ten times a second: time to look at the clock.

        Ends when the capture is stopped, a limit is reached, or ``over`` says so while the source is quiet.
        """
        started_ns = time.monotonic_ns()
        for batch in self.capture.batches():
            for part in self.trace.parts(batch):
                yield from self._read(part)
            yield None
            enough = self._limits.packets is not None and self.trace.taken >= self._limits.packets
            timed_out = (
                self._limits.duration_ns is not None and time.monotonic_ns() - started_ns >= self._limits.duration_ns
            )
            if enough or timed_out or (not len(batch) and over()):
                self.capture.stop()
                if enough:
                    return

    def close(self) -> None:
        """Complete the file, give back the socket."""
        if self._writer is not None:
            self._writer.close()
        self.capture.close()

    def _read(self, part: Part) -> Iterator[Arrival]:
        """Save the frames that are selected, and read those that are shown."""
        columns, rows = (None, part.selected) if part.selected is not None else self.trace.select(part.batch)
        if self._limits.packets is not None:
            rows = rows[: self._limits.packets - self.trace.taken]
        if self._writer is not None and len(rows):
            self._write(self._writer, part.batch, rows)
        if columns is None:
            self.trace.count(part, rows)
        else:
            yield from self.trace.feed(part.batch, columns, rows)

    def _write(self, writer: CaptureWriter, batch: FrameBatch, rows: Rows) -> None:
        """Save frames; a full disk ends the saving, not the watching."""
        try:
            writer.write(batch, rows)
        except Problem as problem:
            self.write_problem = problem
            self._writer = None
            writer.close()


@dataclass(frozen=True, slots=True)
class WatchRequest:
    """What to watch, and where to save it."""

    interface: str = "lo"
    selection: Selection = field(default_factory=Selection)
    bpf: str | None = None  # a filter that the kernel applies
    limits: Limits = field(default_factory=Limits)
    write: str | None = None
    overwrite: bool = False
    process: int | None = None  # one whose calls are to be recorded


class OpenedWatch(NamedTuple):
    """A session, and what had to be found out or begun while there were rights."""

    session: LiveSession
    owners: list[Owner]  # of the ports asked for
    attached: AttachedProcess | None


def open_watch(request: WatchRequest) -> OpenedWatch:
    """Open the socket and its ring, then become the user who called sudo, and only then open the file to write.

    Whatever the caller needs later must be imported before: root's folders are closed afterwards. Raises LiveProblem,
    RightProblem, UsageProblem, FileProblem.
    """
    text.load_all()
    capture = LiveCapture.on(request.interface, request.bpf)
    with ExitStack() as stack:
        stack.callback(capture.close)
        owning = owners(request.selection.ports)
        attached = None
        if request.process is not None:
            attached = AttachedProcess(request.process)
            stack.callback(attached.close)
        drop_to_invoking_user()
        writer = writer_for(capture, request.write, overwrite=request.overwrite)
        stack.pop_all()
    return OpenedWatch(LiveSession(capture, request.selection, writer, request.limits), owning, attached)


def writer_for(capture: LiveCapture, path: str | None, *, overwrite: bool) -> CaptureWriter | None:
    """A file for what is captured; None when none is asked for. Raises FileProblem."""
    if path is None:
        return None
    [interface] = capture.interfaces
    return CaptureWriter.create(path, link_type=interface.link_type, overwrite=overwrite, interface_name=interface.name)


@contextmanager
def ended_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and SIGHUP call ``stop`` while this lasts; a second one of them kills as usual.

    A background job of a non-interactive shell ignores SIGINT, so all three must end a capture completely.
    """

    def end(number: int, _frame: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stop()

    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    for number in ENDING_SIGNALS:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
