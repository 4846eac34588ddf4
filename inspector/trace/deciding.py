"""The rows that decide how connections end, of all conversations at once: ``tcp.deciding`` with numpy."""

import numpy as np
import numpy.typing as npt

from inspector.decode.columns import Mark, PacketColumns
from inspector.tcp.segment import Flag
from inspector.trace.grouping import in_order
from inspector.trace.intake import Rows

_SYN, _RST, _ACK = int(Flag.SYN), int(Flag.RST), int(Flag.ACK)
_ENDING = int(Flag.FIN | Flag.RST)
_CONTROL = int(Flag.SYN | Flag.FIN | Flag.RST)
_EVER = int(Flag.SYN | Flag.RST | Flag.ACK)

_Bools = npt.NDArray[np.bool_]
_Indices = npt.NDArray[np.int32]


def deciding_rows(columns: PacketColumns, rows: Rows) -> Rows:
    """Those of ``rows``, whole TCP segments in order, that decide; sorted by conversation, then by time.

    The numbers in the comments are the points of tcp.deciding.deciding_rows, whose answer this is, for each of them.
    """
    if not len(rows):
        return rows
    rows = rows[in_order(columns.conversation[rows])]
    conversation = columns.conversation[rows]
    flags = columns.flags[rows]
    side = ((columns.mark[rows] & int(Mark.TO_CLIENT)) != 0).astype(np.int8)
    control = flags & _CONTROL != 0
    chosen = control.copy()  # 1
    ended_before, has_end = _endings(conversation, flags & _ENDING != 0)
    chosen |= ended_before  # 2
    open_rows = np.flatnonzero(~ended_before & ~((flags & _ENDING) != 0))
    place = _place(conversation, side)
    last = np.full(int(place.max()) + 1, -1, np.int32)
    last[place[open_rows]] = open_rows
    last = last[last >= 0]
    chosen[last[has_end[last]]] = True  # 2
    plain = open_rows[~control[open_rows]]
    kind = 2 * place[plain] + (columns.payload_bytes[rows[plain]] > 0)
    first = np.full(2 * (int(place.max()) + 1), -1, np.int32)
    first[kind[::-1]] = plain[::-1]
    chosen[first[first >= 0]] = True  # 3
    following = [_next_of(conversation, side == each) for each in (0, 1)]
    for answers in (after[np.flatnonzero(flags & _SYN)] for after in following):
        known = answers[answers >= 0]
        chosen[known] = True  # 4
        others = np.where(side[known] == 0, following[1][known], following[0][known])
        chosen[others[others >= 0]] = True  # 4
    odd = np.append(_odd_resets(columns, rows, conversation, side), _odd_segments(columns, rows, place, side))
    if len(odd):
        chosen |= np.isin(conversation, conversation[odd])  # 5, 6
    selected: Rows = rows[chosen]
    return selected


def _place(conversation: npt.NDArray[np.uint32], side: npt.NDArray[np.int8]) -> _Indices:
    """A small number for each conversation and side."""
    place: _Indices = 2 * np.cumsum(_begins(conversation), dtype=np.int32) + side
    return place


def _begins(conversation: npt.NDArray[np.uint32]) -> _Bools:
    return np.concatenate(([True], conversation[1:] != conversation[:-1]))


def _endings(conversation: npt.NDArray[np.uint32], ends: _Bools) -> tuple[_Bools, _Bools]:
    """Whether a FIN or RST came before each row in its conversation, and whether one comes at all."""
    starts = np.flatnonzero(_begins(conversation))
    sizes = np.diff(np.append(starts, len(conversation)))
    before = np.cumsum(ends, dtype=np.int32) - ends
    has_end = np.repeat(np.add.reduceat(ends, starts, dtype=np.int32) > 0, sizes)
    return before > np.repeat(before[starts], sizes), has_end


def _next_of(conversation: npt.NDArray[np.uint32], wanted: _Bools) -> _Indices:
    """For each row, the next wanted row of its conversation; -1 where there is none."""
    count = len(conversation)
    index = np.where(wanted, np.arange(count, dtype=np.int32), np.int32(count))
    after = np.append(np.minimum.accumulate(index[::-1])[::-1][1:], np.int32(count))
    same = conversation[np.minimum(after, count - 1)] == conversation
    following: _Indices = np.where((after < count) & same, after, np.int32(-1))
    return following


def _odd_segments(columns: PacketColumns, rows: Rows, place: _Indices, side: npt.NDArray[np.int8]) -> _Indices:
    """The segments of point 6."""
    flags, seq = columns.flags[rows], columns.seq[rows]
    begun = np.full(int(place.max()) + 2, -1, np.int64)
    syns = np.flatnonzero(flags & _SYN)[::-1]
    begun[place[syns]] = seq[syns]
    several = flags & _SYN != 0
    several[several] = begun[place[several]] != seq[several]
    of_peer = begun[place + 1 - 2 * side]
    acked = (columns.ack[rows] - of_peer.astype(np.uint32)).astype(np.int32)
    nothing = (flags & _ACK != 0) & (of_peer >= 0) & (acked <= 0)
    odd: _Indices = np.flatnonzero((flags & _EVER == 0) | several | nothing).astype(np.int32)
    return odd


def _odd_resets(
    columns: PacketColumns, rows: Rows, conversation: npt.NDArray[np.uint32], side: npt.NDArray[np.int8]
) -> _Indices:
    """The resets of point 5."""
    flags = columns.flags[rows]
    resets = np.flatnonzero(flags & _RST).astype(np.int32)
    if not len(resets):
        return resets
    ordinary = flags & _RST == 0
    own, other = (_previous_of(conversation, side, ordinary, resets, flip) for flip in (False, True))
    taken = columns.payload_bytes[rows[own]] + (flags[own] >> 1 & 1) + (flags[own] & 1)
    seq = columns.seq[rows[resets]]
    at_end = (own >= 0) & (columns.seq[rows[own]] + taken.astype(np.uint32) == seq)
    at_ack = columns.ack[rows[other]] == seq
    odd: _Indices = resets[(other >= 0) & ~at_end & ~at_ack]
    return odd


def _previous_of(
    conversation: npt.NDArray[np.uint32], side: npt.NDArray[np.int8], ordinary: _Bools, resets: _Indices, flip: bool
) -> _Indices:
    """For each reset, the latest ordinary row of its own (``flip``: the other) side in its conversation, or -1."""
    latest = np.full((2, len(resets)), -1, np.int32)
    for each in (0, 1):
        index = np.where(ordinary & (side == each), np.arange(len(side), dtype=np.int32), np.int32(-1))
        found = np.maximum.accumulate(index)[resets]
        latest[each] = np.where(conversation[found] == conversation[resets], found, np.int32(-1))
    found_latest: _Indices = latest[side[resets] ^ flip, np.arange(len(resets))]
    return found_latest
