"""Frames that say the same as one decoded before: of its length, and equal in every byte that decides what the columns
tell of conversation and payload. In a flood this is seen at a tenth of what decoding costs."""

from typing import NamedTuple

import numpy as np

from inspector.capture.batch import I64, FrameBatch
from inspector.decode.columns import Mark, Network, PacketColumns
from inspector.decode.protocols import TCP, UDP
from inspector.decode.tunnels import UDP_TUNNELS
from inspector.tcp.segment import Flag

_LOOKED_AT_BYTES = 80
_KEPT = 16
_WHOLE = 0xFF
_IPV4_BYTES, _IPV6_BYTES = 20, 40
# The bits that decide, by byte of each header; whatever else may differ.
_IPV4 = {0: _WHOLE, 2: _WHOLE, 3: _WHOLE, 6: 0x3F, 7: _WHOLE, 9: _WHOLE} | dict.fromkeys(range(12, 20), _WHOLE)
_IPV6 = {0: 0xF0} | dict.fromkeys([4, 5, 6, *range(8, 40)], _WHOLE)
_DECIDING = {
    TCP: dict.fromkeys(range(4), _WHOLE) | {12: 0xF0, 13: int(Flag.SYN)},
    UDP: dict.fromkeys(range(6), _WHOLE),
}
_HEADER_BYTES = {TCP: 20, UDP: 8}
_UNUSUAL = int(Mark.FRAGMENT | Mark.SNAPPED | Mark.MALFORMED | Mark.QUOTING)


class Known(NamedTuple):
    """What is known of a frame without decoding it."""

    conversation: int  # 0: none, it was not selected
    payload_bytes: int


class _Shape(NamedTuple):
    """How a frame looks that is known."""

    captured_bytes: int
    wire_bytes: int
    link_type: int
    mask: bytes
    masked: bytes


class AlikeFrames:
    """A few frames, and what they are; the ones learned first are forgotten for new ones."""

    def __init__(self) -> None:
        self._shapes: dict[_Shape, Known] = {}

    def __len__(self) -> int:
        return len(self._shapes)

    def known(self) -> list[Known]:
        """What ``find`` gives the places of."""
        return list(self._shapes.values())

    def learn(self, batch: FrameBatch, row: int, columns: PacketColumns, index: int, conversation: int) -> None:
        """Remember a frame of the batch, decoded as row ``index`` of the columns, if it is an ordinary one."""
        captured, offset = int(batch.captured_bytes[row]), int(batch.offset[row])
        frame = bytes(batch.buffer[offset : offset + min(captured, _LOOKED_AT_BYTES)])
        mask = _mask(frame, columns, index)
        if mask is None:
            return
        masked = bytes(map(int.__and__, frame.ljust(_LOOKED_AT_BYTES, b"\0"), mask))
        shape = _Shape(captured, int(batch.wire_bytes[row]), int(batch.link_type[row]), mask, masked)
        self._shapes.pop(shape, None)
        self._shapes[shape] = Known(conversation, int(columns.payload_bytes[index]))
        if len(self._shapes) > _KEPT:
            del self._shapes[next(iter(self._shapes))]

    def forget(self, conversation: int) -> None:
        """Frames of that conversation are to be decoded again."""
        self._shapes = {shape: known for shape, known in self._shapes.items() if known.conversation != conversation}

    def find(self, batch: FrameBatch) -> I64:
        """For each frame of the batch the place in ``known`` of what it is, -1 where that is not known."""
        found: I64 = np.full(len(batch), -1, np.int64)
        if len(batch.buffer) < _LOOKED_AT_BYTES:
            return found
        left = np.flatnonzero(batch.offset <= len(batch.buffer) - _LOOKED_AT_BYTES)
        windows = np.ndarray(
            len(batch.buffer) - _LOOKED_AT_BYTES + 1, f"V{_LOOKED_AT_BYTES}", batch.buffer, strides=(1,)
        )
        words = windows[batch.offset[left]].view(np.uint64).reshape(len(left), -1)
        for place, shape in enumerate(self._shapes):
            alike = batch.captured_bytes[left] == shape.captured_bytes
            alike &= batch.wire_bytes[left] == shape.wire_bytes
            alike &= batch.link_type[left] == shape.link_type
            masks, values = np.frombuffer(shape.mask, np.uint64), np.frombuffer(shape.masked, np.uint64)
            for column in np.flatnonzero(masks).tolist():
                alike &= words[:, column] & masks[column] == values[column]
            found[left[alike]] = place
            left, words = left[~alike], words[~alike]
        return found


def _mask(frame: bytes, columns: PacketColumns, index: int) -> bytes | None:
    """Which bits of a frame decide; None where it is not an ordinary one, or opens a connection."""
    protocol, start = int(columns.protocol[index]), int(columns.transport_offset[index])
    is_v4 = int(columns.network[index]) == Network.IPV4
    at = start - (_IPV4_BYTES if is_v4 else _IPV6_BYTES)
    deciding = _DECIDING.get(protocol)
    if deciding is None or at < 0 or len(frame) < start + _HEADER_BYTES[protocol] or columns.mark[index] & _UNUSUAL:
        return None
    if {int(columns.source_port[index]), int(columns.destination_port[index])} & UDP_TUNNELS.keys():
        return None
    if is_v4:
        ordinary = frame[at] == 0x45 and frame[at + 9] == protocol and not (frame[at + 6] & 0x3F or frame[at + 7])
    else:
        ordinary = frame[at] >> 4 == 6 and frame[at + 6] == protocol
    if not ordinary or (protocol == TCP and int(columns.flags[index]) & Flag.SYN):
        return None
    mask = bytearray(b"\xff" * at + bytes(_LOOKED_AT_BYTES - at))
    for begin, bits in ((at, _IPV4 if is_v4 else _IPV6), (start, deciding)):
        for byte, which in bits.items():
            mask[begin + byte] = which
    return bytes(mask)
