"""Frames read one by one from a capture socket, where the kernel refuses a ring or the system has none."""

import contextlib
import select
import socket
import struct
import time
from typing import Any, NamedTuple

from inspector.capture.batch import FrameBatch
from inspector.capture.kernel_frames import VLAN_TAG_BYTES, frame_batch, frames_from_rows
from inspector.capture.packet_socket import (
    LINKTYPE_ETHERNET,
    LINKTYPE_NULL,
    LINKTYPE_RAW,
    SOL_PACKET,
    Link,
    link_of,
)

_SO_RCVBUFFORCE = 33
_SO_TIMESTAMPNS = 35
_PACKET_AUXDATA = 8
_AUXDATA = struct.Struct("=IIIHHHH")  # struct tpacket_auxdata: status, len, snaplen, mac, net, vlan_tci, vlan_tpid
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = 256

_RECEIVE_BUFFER_BYTES = 64 * 1024 * 1024
_LARGEST_FRAME_BYTES = 65_600  # 65,536 (MTU of lo) + 14 (Ethernet), rounded up
_BATCH_BYTES = 1024 * 1024
_WARM_UP_SECONDS = 1.0
_LINK_TYPE_OF_LAYER = {"Ether": LINKTYPE_ETHERNET, "Loopback": LINKTYPE_NULL}


class MessageReader:
    """recvmsg on a packet socket: the kernel's integer timestamps, checksum and VLAN notes come along (auxdata)."""

    rest_ms = 0  # the kernel has less room for these

    def __init__(self, packet_socket: socket.socket) -> None:
        self._socket = packet_socket
        self._link = link_of(packet_socket)
        self._buffer = memoryview(bytearray(_BATCH_BYTES))
        self._delivered = 0
        packet_socket.setsockopt(SOL_PACKET, _PACKET_AUXDATA, 1)
        packet_socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        packet_socket.setblocking(False)
        try:
            packet_socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER_BYTES)
        except PermissionError:
            packet_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        _wait_for_kernel_timestamps()
        self._discard()

    def read(self) -> FrameBatch | None:
        """What has come, valid until the next call; None when nothing has. Raises OSError when the interface goes."""
        rows = []
        position = 0
        while position + VLAN_TAG_BYTES + _LARGEST_FRAME_BYTES <= _BATCH_BYTES:
            position += VLAN_TAG_BYTES
            room = self._buffer[position : position + _LARGEST_FRAME_BYTES]
            try:
                captured, ancillary, _, address = self._socket.recvmsg_into([room], _ANCILLARY_BYTES)
            except BlockingIOError:
                break
            notes = _notes(ancillary, captured)
            rows.append((position, captured, notes.wire_bytes, notes.time_ns, notes.status, address[2], *notes.vlan))
            position += captured
        if not rows:
            return None
        self._delivered += len(rows)
        return frame_batch(frames_from_rows(rows), self._buffer, self._link)

    def waiting(self) -> int:
        """The kernel does not tell."""
        return 0

    def has_delivered(self, frames: int) -> bool:
        """Whether that many frames were read since the reader was made."""
        return self._delivered >= frames

    def close(self) -> None:
        """Nothing beside the socket is held."""

    def _discard(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv_into(self._buffer)


class _Notes(NamedTuple):
    """What comes beside a frame."""

    time_ns: int
    wire_bytes: int
    status: int  # TP_STATUS_ bits
    vlan: tuple[int, int]  # TCI, TPID


def _notes(ancillary: list[tuple[int, int, bytes]], captured: int) -> _Notes:
    time_ns, status, wire_bytes, control, protocol = 0, 0, captured, 0, 0
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS):
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            time_ns = seconds * 1_000_000_000 + nanoseconds
        elif (level, kind) == (SOL_PACKET, _PACKET_AUXDATA):
            status, wire_bytes, _, _, _, control, protocol = _AUXDATA.unpack_from(data)
    return _Notes(time_ns, wire_bytes, status, (control, protocol))


def _wait_for_kernel_timestamps() -> None:
    """Return when the kernel stamps packets as they pass.

    A while after the first socket asks (net/core/dev.c, netstamp_needed_key, flipped by a work queue) a packet is still
    stamped when it is read, so a SYN would sort after its FIN. Such a stamp gives itself away: it is not older than the
    moment before the read. The ring needs no waiting, the kernel stamps a frame there at the latest when it is put in.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        probe.settimeout(_WARM_UP_SECONDS)
        probe.bind(("127.0.0.1", 0))
        deadline = time.monotonic() + _WARM_UP_SECONDS
        while time.monotonic() < deadline:
            probe.sendto(b"", probe.getsockname())
            select.select([probe], [], [], _WARM_UP_SECONDS)
            before_read_ns = time.time_ns()
            _, ancillary, _, _ = probe.recvmsg(0, _ANCILLARY_BYTES)
            if _notes(ancillary, 0).time_ns < before_read_ns:
                return


class ScapyReader:
    """scapy's own socket, for systems without packet sockets (macOS: BPF devices). Untested.

    Frames come one by one through scapy with its float timestamps; what the kernel dropped is not known.
    """

    rest_ms = 0

    def __init__(self, scapy_socket: Any) -> None:
        self._socket = scapy_socket
        self._socket.set_nonblock(True)

    def read(self) -> FrameBatch | None:
        """One frame as a batch; None when nothing has come."""
        layer, data, seconds = self._socket.recv_raw()
        if data is None:
            return None
        link = Link(_LINK_TYPE_OF_LAYER.get(layer.__name__, LINKTYPE_RAW), is_loopback=False)
        row = (0, len(data), len(data), int(seconds * 1e9), 0, 0, 0, 0)
        return frame_batch(frames_from_rows([row]), memoryview(data), link)

    def waiting(self) -> int:
        """The kernel does not tell."""
        return 0

    def has_delivered(self, frames: int) -> bool:
        """Always: what ``read`` does not give is not there."""
        return True

    def close(self) -> None:
        """The socket belongs to the capture."""
