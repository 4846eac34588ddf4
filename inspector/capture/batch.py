"""The unit that flows: a batch of frames as one buffer and, per frame, where it lies and what the capture knows of it.

A chunk of a file and a block of the live ring are both one batch, so everything downstream is written once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import IntFlag
from typing import Protocol

import numpy as np
import numpy.typing as npt

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]
I64 = npt.NDArray[np.int64]


class FrameStatus(IntFlag):
    """What the kernel or the file says of a frame beside its bytes (uint8)."""

    CHECKSUM_NOT_READY = 1  # TP_STATUS_CSUMNOTREADY: the transport checksum is left to the device
    GSO = 2  # TP_STATUS_GSO_TCP: a super-segment, captured before segmentation offload splits it
    OUTGOING = 4  # sent by this machine (PACKET_OUTGOING, cooked header type 4, pcapng epb_flags)


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """Frames in capture order; every array has one entry a frame.

    ``buffer`` holds at least all captured bytes of the frames; it is only valid until the next batch is asked for when
    it comes from a live ring, so whoever keeps bytes copies them.
    """

    buffer: bytes | bytearray | memoryview
    offset: I64  # of the first byte of each frame in ``buffer``
    captured_bytes: U32
    wire_bytes: U32
    time_ns: I64  # since the Unix epoch
    link_type: U16  # LINKTYPE_ number, www.tcpdump.org/linktypes.html
    interface: U16  # index into the source's ``interfaces``
    status: U8  # FrameStatus bits
    position: I64  # of the frame's first byte in its file (for a FrameStore); for a live batch the same as ``offset``

    def part(self, start: int, end: int) -> "FrameBatch":
        """The frames from ``start`` up to, not including, ``end``."""
        arrays = [getattr(self, field.name)[start:end] for field in fields(self)[1:]]
        return FrameBatch(self.buffer, *arrays)

    def __len__(self) -> int:
        return len(self.offset)


@dataclass(frozen=True, slots=True)
class Interface:
    """Where frames were captured: name (empty when the file does not say) and LINKTYPE_ number."""

    name: str
    link_type: int


class Source(Protocol):
    """Something that yields frames, once."""

    interfaces: list[Interface]

    def batches(self) -> Iterator[FrameBatch]:
        """All frames in order; ends at the end of a file, or when a live capture is stopped.

        A live source yields an empty batch when nothing came for a while, so that its reader can look at the clock.
        """
        ...

    def close(self) -> None:
        """Give back files, sockets and memory."""
        ...


class FrameStore(Protocol):
    """Where the bytes of a frame are found again."""

    def fetch(self, position: int, captured_bytes: int) -> bytes:
        """The captured bytes of the frame at that position; empty when they are no longer kept."""
        ...

    def close(self) -> None:
        """Give back files and memory."""
        ...
