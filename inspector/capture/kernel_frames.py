"""From what the kernel tells of frames (ring headers, or messages beside frames) to a batch."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import I64, U8, U16, U32, FrameBatch, FrameStatus
from inspector.capture.packet_socket import Link

_PACKET_OUTGOING = 4
_ETH_P_8021Q = 0x8100

_STATUS_CHECKSUM_NOT_READY = 1 << 3
_STATUS_VLAN_VALID = 1 << 4
_STATUS_VLAN_TPID_VALID = 1 << 6
_STATUS_GSO_TCP = 1 << 8
_MEANING_OF_STATUS = {
    _STATUS_CHECKSUM_NOT_READY: FrameStatus.CHECKSUM_NOT_READY,
    _STATUS_GSO_TCP: FrameStatus.GSO,
}

VLAN_TAG_BYTES = 4
_MAC_ADDRESSES_BYTES = 12


class KernelFrames(NamedTuple):
    """What the kernel tells of frames in one buffer: arrays with one entry a frame, as ring and recvmsg give them."""

    offset: I64  # VLAN_TAG_BYTES in front of it are free
    captured_bytes: U32
    wire_bytes: U32
    time_ns: I64
    kernel_status: U32  # TP_STATUS_ bits
    packet_type: U8  # PACKET_OUTGOING ...
    vlan_control: U16
    vlan_protocol: U16  # TPID, when TP_STATUS_VLAN_TPID_VALID


_FIELD_TYPES = (np.int64, np.uint32, np.uint32, np.int64, np.uint32, np.uint8, np.uint16, np.uint16)


def frames_from_rows(rows: Sequence[tuple[int, ...]]) -> KernelFrames:
    """The same from one tuple a frame, fields in that order."""
    table = np.array(rows, np.int64).reshape(-1, len(KernelFrames._fields))
    return KernelFrames(*(table[:, index].astype(dtype) for index, dtype in enumerate(_FIELD_TYPES)))


def frame_batch(frames: KernelFrames, buffer: memoryview, link: Link) -> FrameBatch:
    """The frames as a batch: one copy of each on loopback, VLAN tags back in their place (``buffer`` is written to)."""
    outgoing = frames.packet_type == _PACKET_OUTGOING
    if link.is_loopback and outgoing.any():
        frames = KernelFrames(*(column[~outgoing] for column in frames))
        outgoing = outgoing[~outgoing]
    tag_bytes = _put_vlan_tags_back(frames, buffer)
    offset = frames.offset - tag_bytes
    return FrameBatch(
        buffer=buffer,
        offset=offset,
        captured_bytes=frames.captured_bytes + tag_bytes,
        wire_bytes=frames.wire_bytes + tag_bytes,
        time_ns=frames.time_ns,
        link_type=np.full(len(offset), link.link_type, np.uint16),
        interface=np.zeros(len(offset), np.uint16),
        status=_frame_status(frames.kernel_status, outgoing),
        position=offset,
    )


def empty_batch(link: Link) -> FrameBatch:
    """A batch without frames: nothing came for a while."""
    return frame_batch(frames_from_rows([]), memoryview(b""), link)


def _frame_status(kernel_status: U32, outgoing: npt.NDArray[np.bool_]) -> U8:
    status = outgoing * np.uint8(FrameStatus.OUTGOING)
    for bit, meaning in _MEANING_OF_STATUS.items():
        status |= ((kernel_status & bit) != 0) * np.uint8(meaning)
    return status


def _put_vlan_tags_back(frames: KernelFrames, buffer: memoryview) -> U32:
    """Write the 802.1Q tags that the kernel took out back into their frames; the bytes by which each frame grew.

    The two addresses move towards the front, so a frame then begins VLAN_TAG_BYTES before its ``offset``.
    """
    tagged = (frames.kernel_status & _STATUS_VLAN_VALID) != 0
    if tagged.any():
        octets = np.frombuffer(buffer, np.uint8)
        old = frames.offset[tagged, np.newaxis]
        new = old - VLAN_TAG_BYTES
        addresses = np.arange(_MAC_ADDRESSES_BYTES)
        octets[new + addresses] = octets[old + addresses]
        has_protocol = (frames.kernel_status[tagged] & _STATUS_VLAN_TPID_VALID) != 0
        protocol = np.where(has_protocol, frames.vlan_protocol[tagged], _ETH_P_8021Q)
        tags = np.stack([protocol, frames.vlan_control[tagged]], axis=1).astype(">u2").view(np.uint8)
        octets[new + _MAC_ADDRESSES_BYTES + np.arange(VLAN_TAG_BYTES)] = tags
    grown: U32 = tagged * np.uint32(VLAN_TAG_BYTES)
    return grown
