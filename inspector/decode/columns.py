"""Packet headers as numpy columns: one row a frame, 64 bytes a row."""

from dataclasses import dataclass, fields
from enum import IntEnum, IntFlag

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import I64, U8, U16, U32


class Network(IntEnum):
    """What the link layer carries (column ``network``)."""

    OTHER = 0
    ARP = 1
    IPV4 = 4
    IPV6 = 6


class Mark(IntFlag):
    """What is special about a row (column ``mark``); the low three bits are capture.batch.FrameStatus."""

    CHECKSUM_NOT_READY = 1
    GSO = 2
    OUTGOING = 4
    FRAGMENT = 8  # an IP fragment, the first included
    SNAPPED = 16  # captured_bytes < wire_bytes
    MALFORMED = 32  # a header says what cannot be, or ends before it is complete
    QUOTING = 64  # an ICMP or ICMPv6 error that quotes a datagram (PacketColumns rows: see ``quoted``)
    TO_CLIENT = 128  # sent by the conversation's server; filled in by trace


@dataclass(slots=True)
class PacketColumns:
    """One numpy array per header field, one row a frame. IPv4 addresses are the number itself; an IPv6 address is an
    index into the address table of the decoder that made the rows.

    ``protocol`` is the IP protocol number of the last header reached (6 TCP, 17 UDP, 1 ICMP, 58 ICMPv6 ...), 0 when
    ``network`` is neither IPv4 nor IPv6 or the chain of headers breaks off. ``source_port`` and ``destination_port``
    are 0 for protocols without ports; for ICMP and ICMPv6 echo both hold the identifier. ``ack`` is the field as it
    stands, also without the ACK flag.
    """

    time_ns: I64
    position: I64
    captured_bytes: U32
    wire_bytes: U32
    link_type: U16
    network: U8
    protocol: U8
    source: U32
    destination: U32
    source_port: U16
    destination_port: U16
    seq: U32
    ack: U32
    window: U16
    flags: U8  # the low 8 bits of the TCP flags; 0 for other protocols
    mark: U8
    transport_offset: U16  # of the TCP, UDP or ICMP header from the frame's first byte; 0 when there is none
    payload_offset: U16  # of the transport payload from the frame's first byte
    payload_bytes: U32  # as the headers say, whether captured or not; never Ethernet padding
    conversation: U32  # from 1, 0 for none; filled in by trace

    def __len__(self) -> int:
        return len(self.time_ns)

    @classmethod
    def empty(cls, rows: int) -> "PacketColumns":
        """Zeroed columns of that many rows."""
        return cls(**{name: np.zeros(rows, dtype) for name, dtype in COLUMN_TYPES.items()})

    def take(self, rows: npt.NDArray[np.intp]) -> "PacketColumns":
        """A copy of the chosen rows."""
        return PacketColumns(**{name: getattr(self, name)[rows] for name in COLUMN_TYPES})


COLUMN_TYPES: dict[str, npt.DTypeLike] = {
    "time_ns": np.int64,
    "position": np.int64,
    "captured_bytes": np.uint32,
    "wire_bytes": np.uint32,
    "link_type": np.uint16,
    "network": np.uint8,
    "protocol": np.uint8,
    "source": np.uint32,
    "destination": np.uint32,
    "source_port": np.uint16,
    "destination_port": np.uint16,
    "seq": np.uint32,
    "ack": np.uint32,
    "window": np.uint16,
    "flags": np.uint8,
    "mark": np.uint8,
    "transport_offset": np.uint16,
    "payload_offset": np.uint16,
    "payload_bytes": np.uint32,
    "conversation": np.uint32,
}
assert list(COLUMN_TYPES) == [field.name for field in fields(PacketColumns)]


class GrowingColumns:
    """Columns to which rows are added; room is doubled, so that little is ever held twice."""

    def __init__(self) -> None:
        self._room = PacketColumns.empty(0)
        self._rows = 0

    def append(self, columns: PacketColumns) -> None:
        """Add rows behind those that are there."""
        end = self._rows + len(columns)
        if end > len(self._room):
            self._grow(max(end, 2 * len(self._room)))
        for name in COLUMN_TYPES:
            getattr(self._room, name)[self._rows : end] = getattr(columns, name)
        self._rows = end

    def all(self) -> PacketColumns:
        """All rows so far: views that stay as they are when more are added."""
        return PacketColumns(**{name: getattr(self._room, name)[: self._rows] for name in COLUMN_TYPES})

    def _grow(self, rows: int) -> None:
        for name, dtype in COLUMN_TYPES.items():
            room = np.empty(rows, dtype)
            room[: self._rows] = getattr(self._room, name)[: self._rows]
            setattr(self._room, name, room)
