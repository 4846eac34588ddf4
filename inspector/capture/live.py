"""Live capture: scapy opens the socket on an interface, the kernel's ring on it hands out batches of whole frames."""

import contextlib
import os
import select
import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol, Self

from inspector.capture.batch import FrameBatch, Interface
from inspector.capture.kernel_frames import empty_batch
from inspector.capture.packet_socket import LINKTYPE_ETHERNET, Link, deafen, listen, take_statistics
from inspector.capture.ring import Ring
from inspector.capture.scapy_socket import HAS_PACKET_SOCKETS, known_link, lost_interface, open_socket
from inspector.capture.socket_frames import MessageReader, ScapyReader
from inspector.text.problems import LiveProblem

_IDLE_MS = 100  # several times what the kernel keeps a frame in a block that does not fill


class Statistics(NamedTuple):
    """What the kernel counted: frames that passed the filter, and those of them it had no room for."""

    received: int
    dropped: int


class FrameReader(Protocol):
    """How frames are got out of the socket: a ring, or one by one.

    ``rest_ms`` says for how long frames may gather, at the rate of those read last, before they must be read: fewer and
    larger batches cost less.
    """

    rest_ms: int

    def read(self) -> FrameBatch | None:
        """What has come, valid until the next call; None when nothing has; OSError when the interface goes away."""
        ...

    def waiting(self) -> int:
        """How many frames are known to have come that were not yet read."""
        ...

    def has_delivered(self, frames: int) -> bool:
        """Whether that many frames, counted as the kernel counts, have been read."""
        ...

    def close(self) -> None:
        """Give back memory; the socket belongs to the capture."""
        ...


class LiveCapture:
    """Frames of one interface as they pass, one copy of each, until ``stop`` (a Source of capture.batch).

    ``ended`` tells why when the interface ended it. A batch is valid until the next one is asked for; an empty one
    comes when there was nothing for a tenth of a second. All that passes once the constructor has returned is captured.
    """

    def __init__(
        self,
        capture_socket: Any,
        interface: str,
        readers: Sequence[Callable[[socket.socket], FrameReader]] = (Ring, MessageReader),
    ) -> None:
        """Take over an open capture socket: scapy's, or a plain packet socket (see ``on`` and ``from_fd``).

        The first of ``readers`` that the kernel accepts is used. Raises LiveProblem when frames of the interface have
        a form that is not known here, or the interface is gone.
        """
        self.interfaces: list[Interface] = []
        self.ended: LiveProblem | None = None
        self._owner = capture_socket  # scapy's object closes the file descriptor when it is collected
        self._interface = interface
        self._received = self._dropped = 0
        self._stopping = False
        self._last_frame: int | None = None  # how many frames had come when the end was asked for
        try:
            self._begin(readers)
        except BaseException:
            capture_socket.close()
            raise
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)

    @classmethod
    def on(cls, interface: str, bpf: str | None = None) -> Self:
        """Capture on an interface by name; raises what ``open_socket`` raises."""
        return cls(open_socket(interface, bpf), interface)

    @classmethod
    def from_fd(cls, fd: int, interface: str) -> Self:
        """Capture on an open packet socket, which may be of another network namespace.

        The caller keeps ``fd`` and closes it; the ring stays on the socket until then, so it serves one capture.
        """
        return cls(socket.socket(fileno=os.dup(fd)), interface)

    def batches(self) -> Iterator[FrameBatch]:
        """Batches of frames in order; ends after ``stop``, or when the interface goes away, with all that had come."""
        poll = select.poll()
        poll.register(self._owner.fileno(), select.POLLIN)
        poll.register(self._wake_read, select.POLLIN)
        woken = select.poll()
        woken.register(self._wake_read, select.POLLIN)
        rests = 0
        while not (self._stopping and self._is_drained(poll)):
            try:
                batch = self._reader.read()
            except OSError as error:
                self._end(error.errno or 0)
                continue
            if batch is not None:
                yield batch
                rests = self._reader.rest_ms
            elif rests:
                woken.poll(rests)
                rests = 0
            elif not self._wait(poll):
                if self._last_frame is not None:
                    return  # the kernel would have handed out its block long ago: it counted differently
                yield empty_batch(self._link)

    def stop(self) -> None:
        """Let ``batches`` end after what has come so far; from any thread or a signal handler."""
        self._stopping = True
        with contextlib.suppress(OSError):
            os.write(self._wake_write, b"\0")

    def waiting(self) -> int:
        """How many frames are known to wait for ``batches``."""
        return self._reader.waiting()

    def statistics(self) -> Statistics:
        """What the kernel counted since the capture began; zeros where there is no such count."""
        if HAS_PACKET_SOCKETS and not self._is_closed():
            received, dropped = take_statistics(self._socket)
            self._received += received
            self._dropped += dropped
        return Statistics(self._received, self._dropped)

    def close(self) -> None:
        """Give the ring and the socket back; the statistics stay readable. May be called again."""
        if self._is_closed():
            return
        self.statistics()
        self._reader.close()
        self._owner.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        self._wake_read = self._wake_write = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, readers: Sequence[Callable[[socket.socket], FrameReader]]) -> None:
        if not HAS_PACKET_SOCKETS:
            self._link = Link(LINKTYPE_ETHERNET, is_loopback=False)
            self._reader: FrameReader = ScapyReader(self._owner)
        else:
            self._socket: socket.socket = getattr(self._owner, "ins", self._owner)
            self._link = known_link(self._socket, self._interface)
            try:
                deafen(self._socket, self._interface)
                self._reader = _first_accepted(readers, self._socket)
                take_statistics(self._socket)
                listen(self._socket, self._interface)
            except OSError as error:
                raise lost_interface(self._interface, error.errno or 0) from None
        self.interfaces.append(Interface(self._interface, self._link.link_type))

    def _wait(self, poll: select.poll) -> bool:
        """Whether something came within a tenth of a second: frames, the wish to stop, or the interface's end."""
        events = poll.poll(_IDLE_MS)
        if any(happened & (select.POLLERR | select.POLLHUP) for _, happened in events):
            self._end(self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        return bool(events)

    def _end(self, error: int) -> None:
        self.ended = self.ended or lost_interface(self._interface, error)
        self._stopping = True

    def _is_drained(self, poll: select.poll) -> bool:
        """Whether all has been delivered that had come when this was first asked.

        Asking the kernel's counters tells when its block is still to come that it has not yet handed out.
        """
        if self._last_frame is None:
            poll.unregister(self._wake_read)
            received, dropped = self.statistics()
            self._last_frame = received - dropped
        return self._reader.has_delivered(self._last_frame)

    def _is_closed(self) -> bool:
        return self._wake_read < 0


def _first_accepted(
    readers: Sequence[Callable[[socket.socket], FrameReader]], packet_socket: socket.socket
) -> FrameReader:
    *preferred, last = readers
    for reader in preferred:
        with contextlib.suppress(OSError):
            return reader(packet_socket)
    return last(packet_socket)
