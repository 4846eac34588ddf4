"""The public way to watch from Python: a trace that grows while a block of code runs."""

import os
import tempfile
import threading
import weakref
from queue import Empty, SimpleQueue
from types import TracebackType

import numpy as np

from inspector.capture import bundled
from inspector.capture.batch import FrameBatch
from inspector.capture.live import LiveCapture
from inspector.capture.privileges import drop_to_invoking_user
from inspector.trace.selection import Selection
from inspector.trace.trace import Trace


class _SpooledFrames:
    """Frames of a live capture, kept in a temporary file without a name, which goes with this object."""

    def __init__(self) -> None:
        self._fd, path = tempfile.mkstemp(prefix="inspector-")
        os.unlink(path)  # noqa: PTH108 - mkstemp gives a str
        self._bytes = 0
        self._closing = weakref.finalize(self, os.close, self._fd)

    def keep(self, batch: FrameBatch) -> FrameBatch:
        """Copy a batch whose buffer will not last; the copy's positions are those of the file."""
        view = memoryview(batch.buffer)
        frames = zip(batch.offset.tolist(), batch.captured_bytes.tolist(), strict=True)
        buffer = b"".join(view[offset : offset + length] for offset, length in frames)
        offset = np.cumsum(batch.captured_bytes, dtype=np.int64) - batch.captured_bytes
        position = offset + self._bytes
        os.pwrite(self._fd, buffer, self._bytes)
        self._bytes += len(buffer)
        return FrameBatch(
            buffer,
            offset,
            batch.captured_bytes,
            batch.wire_bytes,
            batch.time_ns,
            batch.link_type,
            batch.interface,
            batch.status,
            position,
        )

    def fetch(self, position: int, captured_bytes: int) -> bytes:
        """The bytes of a frame."""
        return os.pread(self._fd, captured_bytes, position)

    def close(self) -> None:
        """Give the file back."""
        self._closing()


class Recording(Trace):
    """A trace of what passes an interface while a ``with`` block runs; see ``watch``.

    It can be asked inside the block (what has arrived so far) and after it (everything), until ``close``. After the
    block the last packets have been read.
    """

    def __init__(self, capture: LiveCapture, selection: Selection) -> None:
        self._frames = _SpooledFrames()
        super().__init__(self._frames, selection)
        self._capture = capture
        self._arrived: SimpleQueue[FrameBatch] = SimpleQueue()
        self._thread = threading.Thread(target=self._record, name="capture", daemon=True)

    def __enter__(self) -> "Recording":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._capture.stop()
        self._thread.join()
        self._capture.close()

    @property
    def dropped(self) -> int:
        """Packets that the kernel had no room for."""
        return self._capture.statistics().dropped

    def _record(self) -> None:
        for batch in self._capture.batches():
            if len(batch):
                self._arrived.put(self._frames.keep(batch))

    def _refresh(self) -> None:
        while True:
            try:
                self.add(self._arrived.get_nowait())
            except Empty:
                return


def watch(
    port: int | None = None, *, interface: str = "lo", host: str | None = None, bpf: str | None = None
) -> Recording:
    """Capture on an interface while a ``with`` block runs.

    Needs the right to capture; under sudo it becomes the invoking user. Raises RightProblem, LiveProblem, UsageProblem.
    """
    selection = Selection(frozenset() if port is None else frozenset((port,)), host)
    capture = LiveCapture.on(interface, bpf)
    drop_to_invoking_user()
    return Recording(capture, selection)


def read(path: str) -> Trace:
    """Index a capture: a file (pcap, pcapng, gzip of either), "-" for standard input, or the name of a bundled one.

    Raises FileProblem when it cannot be read at all; ``Trace.damage`` tells where a damaged file stops making sense.
    """
    return Trace.read(bundled.located(path))
