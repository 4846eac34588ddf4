"""The kernel's packet ring (TPACKET_V3) on a capture socket: frames arrive in shared memory, some blocks at a time.

Layouts are struct tpacket_block_desc, tpacket3_hdr and sockaddr_ll of linux/if_packet.h.
"""

import mmap
import socket
import struct
from collections.abc import Iterator, Sequence
from itertools import islice
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
_AT_ONCE = 16  # that share of the ring is read at a time
_GATHERED = 8  # that share of the ring may fill before it is read again
_LONGEST_REST_MS = 30

_BLOCK_STATUS_OFFSET = 8
_BLOCK_HEADER = struct.Struct("=8xIIII")  # block_status, num_pkts, offset_to_first_pkt, blk_len
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
_HEADER_BYTES = _FRAME_HEADER.itemsize


class _Block(NamedTuple):
    """What the kernel says of a block that it has handed out."""

    status: int
    frames: int
    first: int  # where its first frame begins
    used_bytes: int


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
        self._copy = memoryview(bytearray(self._blocks // _AT_ONCE * _BLOCK_BYTES + _HEADER_BYTES))
        self._delivered = 0

    def read(self) -> FrameBatch | None:
        """The next blocks as a batch, valid until the next call; None when the kernel has not filled one yet.

        They are copied, so that the kernel has its blocks back before anybody looks at a frame.
        """
        blocks = list(islice(self._handed_out(), self._blocks // _AT_ONCE))
        if not blocks:
            return None
        ends = np.cumsum([block.used_bytes for block in blocks]).tolist()
        starts = [0, *ends[:-1]]
        for block, start, end in zip(blocks, starts, ends, strict=True):
            self._take(block, self._copy[start:end])
        self._delivered += sum([block.frames for block in blocks])
        memory = self._copy[: ends[-1] + _HEADER_BYTES]
        frames = _frames_of_blocks(memory, blocks, starts)
        self.rest_ms = self._rest_ms(blocks, frames.time_ns)
        return frame_batch(frames, memory, self._link)

    def waiting(self) -> int:
        """How many frames are in blocks that the kernel has filled."""
        return sum([block.frames for block in self._handed_out()])

    def has_delivered(self, frames: int) -> bool:
        """Whether that many frames were read since the ring was made; less while the kernel still fills a block."""
        return self._delivered >= frames

    def close(self) -> None:
        """Unmap the ring."""
        self._memory.release()
        self._map.close()

    def _handed_out(self) -> Iterator[_Block]:
        """The blocks that are next, as many as the kernel has filled."""
        for ahead in range(self._blocks):
            start = (self._block + ahead) % self._blocks * _BLOCK_BYTES
            block = _Block(*_BLOCK_HEADER.unpack_from(self._memory, start))
            if not block.status & _USER_OWNS:
                return
            yield block

    def _rest_ms(self, blocks: Sequence[_Block], time_ns: I64) -> int:
        """How long frames that come as fast as these may gather; not at all where they did not fill a block."""
        if blocks[-1].status & _TIMED_OUT:
            return 0
        block_ns = int(time_ns[-1] - time_ns[0]) // len(blocks)
        return max(0, min(_LONGEST_REST_MS, block_ns * (self._blocks // _GATHERED) // 1_000_000))

    def _take(self, block: _Block, copy: memoryview) -> None:
        """Copy the next block and give it back."""
        start = self._block * _BLOCK_BYTES
        copy[:] = self._memory[start : start + block.used_bytes]
        _OWNER.pack_into(self._memory, start + _BLOCK_STATUS_OFFSET, _KERNEL_OWNS)
        self._block = (self._block + 1) % self._blocks


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


def _frames_of_blocks(memory: memoryview, blocks: Sequence[_Block], starts: Sequence[int]) -> KernelFrames:
    """The columns of the frames of blocks that begin there."""
    chains = [
        start + _chain(memory[start : start + block.used_bytes], block.frames, block.first)
        for block, start in zip(blocks, starts, strict=True)
    ]
    chain = np.concatenate(chains)
    windows = np.ndarray(len(memory) - _HEADER_BYTES + 1, f"V{_HEADER_BYTES}", memory, strides=(1,))
    header = windows[chain].view(_FRAME_HEADER)  # numpy would gather a header field by field, and bytes as a whole
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
