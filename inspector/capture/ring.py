"""The kernel's packet ring (TPACKET_V3) on a capture socket: frames arrive in shared memory, some blocks at a time.

Layouts are struct tpacket_block_desc, tpacket3_hdr and sockaddr_ll of linux/if_packet.h.
"""

import contextlib
import mmap
import socket
import struct
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from inspector.capture.batch import I64, FrameBatch
from inspector.capture.kernel_frames import VLAN_TAG_BYTES, KernelFrames, frame_batch
from inspector.capture.packet_socket import SOL_PACKET, link_of

_RETIRE_AFTER_MS = 16  # the kernel hands out a block that is not full after one to two of these

_PACKET_RX_RING = 5
_PACKET_VERSION = 10
_PACKET_RESERVE = 12
_TPACKET_V3 = 2

# A block takes at least three of the largest frames; many blocks, because one that is handed out with a single frame is
# used up as well: 256 blocks bridge four seconds of a reader that is busy, whatever the rate.
_BLOCK_BYTES = 256 * 1024
_BLOCK_COUNTS = (256, 64, 16)  # 64 MiB; less where the kernel has not that much
_FRAME_SLOT_BYTES = 2048  # must divide the block; a V3 ring packs frames of any size
_AT_ONCE = 16  # that share of the ring is read at a time: what is lent the kernel cannot fill
_GATHERED = 8  # that share of the ring may fill before it is read again
_LONGEST_REST_MS = 30

_BLOCK_STATUS_OFFSET = 8
_BLOCK_HEADER = struct.Struct("=8xIII")  # block_status, num_pkts, offset_to_first_pkt
_OWNER = struct.Struct("=I")
_KERNEL_OWNS, _USER_OWNS, _TIMED_OUT = 0, 1, 1 << 5

_FRAME_HEADER = np.dtype(
    [
        ("next_offset", np.uint32),
        ("seconds", np.uint32),
        ("nanoseconds", np.uint32),
        ("captured_bytes", np.uint32),
        ("wire_bytes", np.uint32),
        ("status", np.uint32),
        ("frame_offset", np.uint16),
        ("network_offset", np.uint16),
        ("receive_hash", np.uint32),
        ("vlan_control", np.uint32),
        ("vlan_protocol", np.uint16),
        ("padding", np.uint8, 10),
        ("sockaddr_ll", np.uint8, 10),
        ("packet_type", np.uint8),
        ("address_bytes", np.uint8),
    ]
)


class _Block(NamedTuple):
    """What the kernel says of a block that it has handed out."""

    status: int
    frames: int
    first: int  # where its first frame begins


class Ring:
    """The ring of one socket, read as many blocks at a time as the kernel has filled.

    Raises OSError (ENOMEM, ENOPROTOOPT, EINVAL ...) where the kernel refuses a ring. Nothing may come in while it is
    put on (``packet_socket.deafen``), so that ``delivered`` and the kernel's counters begin together.
    """

    def __init__(self, packet_socket: socket.socket) -> None:
        self.rest_ms = 0
        self._link = link_of(packet_socket)
        self._blocks = _request(packet_socket)
        self._map = mmap.mmap(packet_socket.fileno(), self._blocks * _BLOCK_BYTES)
        self._memory = memoryview(self._map)
        self._block = 0
        self._lent: memoryview | None = None  # the blocks that were read and are not yet given back
        self._delivered = 0

    def read(self) -> FrameBatch | None:
        """The next blocks as a batch, valid until the next call; None when the kernel has not filled one yet."""
        if self._lent is not None:
            self._give_back(self._lent)
        blocks = list(self._handed_out())
        if not blocks:
            return None
        start = self._block * _BLOCK_BYTES
        self._lent = self._memory[start : start + len(blocks) * _BLOCK_BYTES]
        self._delivered += sum([block.frames for block in blocks])
        frames = _frames_of_blocks(self._lent, blocks)
        self.rest_ms = self._rest_ms(blocks, frames.time_ns)
        return frame_batch(frames, self._lent, self._link)

    def has_delivered(self, frames: int) -> bool:
        """Whether that many frames were read since the ring was made; less while the kernel still fills a block."""
        return self._delivered >= frames

    def close(self) -> None:
        """Unmap the ring; where somebody still has a view of a block, its memory goes when the view goes."""
        with contextlib.suppress(BufferError):
            if self._lent is not None:
                self._lent.release()
            self._memory.release()
            self._map.close()

    def _handed_out(self) -> Iterator[_Block]:
        """The blocks that are next; those beyond the end of the ring's memory are read another time."""
        for number in range(self._block, min(self._block + self._blocks // _AT_ONCE, self._blocks)):
            block = _Block(*_BLOCK_HEADER.unpack_from(self._memory, number * _BLOCK_BYTES))
            if not block.status & _USER_OWNS:
                return
            yield block

    def _rest_ms(self, blocks: Sequence[_Block], time_ns: I64) -> int:
        """How long frames that come as fast as these may gather; not at all where they did not fill a block."""
        if blocks[-1].status & _TIMED_OUT:
            return 0
        block_ns = int(time_ns[-1] - time_ns[0]) // len(blocks)
        return max(0, min(_LONGEST_REST_MS, block_ns * (self._blocks // _GATHERED) // 1_000_000))

    def _give_back(self, lent: memoryview) -> None:
        blocks = len(lent) // _BLOCK_BYTES
        for number in range(blocks):
            _OWNER.pack_into(lent, number * _BLOCK_BYTES + _BLOCK_STATUS_OFFSET, _KERNEL_OWNS)
        with contextlib.suppress(BufferError):  # numpy still looks at it
            lent.release()
        self._block = (self._block + blocks) % self._blocks
        self._lent = None


def _request(packet_socket: socket.socket) -> int:
    """Ask for the largest ring that the kernel gives; the number of its blocks."""
    packet_socket.setsockopt(SOL_PACKET, _PACKET_VERSION, _TPACKET_V3)
    packet_socket.setsockopt(SOL_PACKET, _PACKET_RESERVE, VLAN_TAG_BYTES)
    refusal = OSError()
    for blocks in _BLOCK_COUNTS:
        slots = blocks * _BLOCK_BYTES // _FRAME_SLOT_BYTES
        request = struct.pack("=7I", _BLOCK_BYTES, blocks, _FRAME_SLOT_BYTES, slots, _RETIRE_AFTER_MS, 0, 0)
        try:
            packet_socket.setsockopt(SOL_PACKET, _PACKET_RX_RING, request)
        except OSError as error:
            refusal = error
        else:
            return blocks
    raise refusal


def _frames_of_blocks(memory: memoryview, blocks: Sequence[_Block]) -> KernelFrames:
    """The columns of the frames of blocks that lie one after the other."""
    starts = range(0, len(memory), _BLOCK_BYTES)
    chains = [
        start + _chain(memory[start : start + _BLOCK_BYTES], block.frames, block.first)
        for start, block in zip(starts, blocks, strict=True)
    ]
    chain = np.concatenate(chains)
    header = np.ndarray(len(memory) - _FRAME_HEADER.itemsize, _FRAME_HEADER, memory, strides=(1,))[chain]
    return KernelFrames(
        offset=chain + header["frame_offset"],
        captured_bytes=header["captured_bytes"],
        wire_bytes=header["wire_bytes"],
        time_ns=header["seconds"].astype(np.int64) * 1_000_000_000 + header["nanoseconds"],
        kernel_status=header["status"],
        packet_type=header["packet_type"],
        vlan_control=header["vlan_control"].astype(np.uint16),
        vlan_protocol=header["vlan_protocol"],
    )


def _chain(block: memoryview, count: int, first: int) -> I64:
    """Where the frames of a block begin: each tells how far it is to the next, the last one 0."""
    words = block.cast("I")
    step = words[first >> 2]
    even: I64 = first + step * np.arange(count, dtype=np.int64)
    if count > 1 and even[-1] + 4 <= len(block):
        steps = np.ndarray(count - 1, np.uint32, block, offset=first, strides=(step,))
        if bool((steps == step).all()):  # frames of one size, as in a flood
            return even
    positions = [0] * count
    position = first
    for index in range(count):
        positions[index] = position
        position += words[position >> 2]
    return np.array(positions, np.int64)
