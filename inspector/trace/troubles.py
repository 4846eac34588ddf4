"""Which conversations show trouble, told by the columns alone: what is read closely when not all can be."""

import numpy as np

from inspector.capture.batch import I64, U32
from inspector.decode.columns import Mark, PacketColumns
from inspector.tcp.segment import Flag
from inspector.trace.grouping import is_segment

_CONTROL = int(Flag.SYN | Flag.FIN | Flag.RST)
_SYN, _FIN, _RST = int(Flag.SYN), int(Flag.FIN), int(Flag.RST)


def troubles(columns: PacketColumns, size: int) -> U32:
    """By conversation number below ``size``: resets, zero windows, segments that step back or leave a hole, ICMP
    errors."""
    found = np.zeros(size, np.uint32)
    segments = np.flatnonzero(is_segment(columns) & (columns.conversation > 0))
    flags = columns.flags[segments]
    odd = (flags & _RST != 0) | ((columns.window[segments] == 0) & (flags & _CONTROL == 0))
    _count(found, columns.conversation[segments[odd]])
    _count(found, columns.conversation[segments[_out_of_step(columns, segments)]])
    _count(found, columns.conversation[columns.mark & int(Mark.QUOTING) != 0])
    found[0] = 0
    return found


def _count(found: U32, numbers: U32) -> None:
    found += np.bincount(numbers, minlength=len(found)).astype(np.uint32)


def _out_of_step(columns: PacketColumns, segments: I64) -> I64:
    """The places of segments that take up sequence numbers and do not begin where their side's highest one ended."""
    flags = columns.flags[segments]
    length = columns.payload_bytes[segments].astype(np.int64) + (flags & _SYN != 0) + (flags & _FIN != 0)
    places = np.flatnonzero((length > 0) & (flags & _RST == 0))
    rows = segments[places]
    side = columns.conversation[rows].astype(np.int64) << 1 | (columns.mark[rows] & int(Mark.TO_CLIENT) != 0)
    order = np.argsort(side, kind="stable")
    rows, side, length = rows[order], side[order], length[places][order]
    begins = np.concatenate(([True], side[1:] != side[:-1]))[: len(side)]
    group = np.cumsum(begins) - 1
    seq = columns.seq[rows]
    start = (seq - seq[begins][group]).astype(np.int32).astype(np.int64)
    far = group << 34  # keeps the highest end of one side below all numbers of the next
    highest = np.maximum.accumulate(start + length + far) - far
    expected = np.concatenate(([0], highest[:-1]))[: len(side)]
    out_of_step: I64 = places[order[~begins & (start != expected)]]
    return out_of_step
