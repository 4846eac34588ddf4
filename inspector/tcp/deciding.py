"""Which rows of a conversation decide its states and its outcome: a tracker that is fed only these ends the same.

``deciding_rows`` is the rule itself, over plain sequences, one entry a segment; whoever has the columns of many
conversations applies the same five points to all of them at once.
"""

from collections.abc import Sequence

from inspector.tcp.segment import Flag
from inspector.tcp.seqnum import MODULUS, seq_diff

_FIN, _SYN, _RST, _ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.RST), int(Flag.ACK)
_CONTROL = _FIN | _SYN | _RST
_EVER = int(Flag.SYN | Flag.RST | Flag.ACK)  # one of these has every segment


def deciding_rows(
    flags: Sequence[int], seq: Sequence[int], ack: Sequence[int], payload_bytes: Sequence[int], side: Sequence[int]
) -> list[int]:
    """The rows, counted from 0, that decide transitions, final states, opening, closing, RTT and ``conn_state``.

    1. Every row with SYN, FIN or RST.
    2. Every row after the first FIN or RST, and the last row of each side before it.
    3. Of each side, the first row with payload and the first without, of those without SYN, FIN and RST.
    4. After each SYN the next row of each side, and after each of these two the next row of the other side.
    5. All rows, where a RST is there whose number neither ends the latest row of its side nor is acknowledged by the
       latest row of the other (rows with RST apart; of no account before the other side is heard).
    6. All rows, where one is what no TCP sends: without SYN, RST and ACK, or with an ACK that acknowledges nothing of
       what the other side has begun with; and where a side sends SYNs of several numbers.
    """
    count = len(flags)
    if _has_odd_segment(flags, seq, ack, side) or _has_odd_reset(flags, seq, ack, payload_bytes, side):
        return list(range(count))
    ending = next((row for row in range(count) if flags[row] & (_FIN | _RST)), count)
    chosen = {row for row in range(count) if flags[row] & _CONTROL or row > ending}
    first: dict[tuple[int, bool], int] = {}
    last: dict[int, int] = {}
    for row in range(ending):
        last[side[row]] = row
        if not flags[row] & _CONTROL:
            first.setdefault((side[row], payload_bytes[row] > 0), row)
    chosen.update(first.values())
    if ending < count:
        chosen.update(last.values())
    following = _following(side)
    for row in range(count):
        if flags[row] & _SYN:
            for answer in following[row]:
                if answer < count:
                    chosen.update((answer, following[answer][1 - side[answer]]))
    return sorted(row for row in chosen if row < count)


def _following(side: Sequence[int]) -> list[tuple[int, int]]:
    """For each row, the next row of side 0 and of side 1; the number of rows where there is none."""
    after = [len(side), len(side)]
    following = [(0, 0)] * len(side)
    for row in range(len(side) - 1, -1, -1):
        following[row] = (after[0], after[1])
        after[side[row]] = row
    return following


def _has_odd_segment(flags: Sequence[int], seq: Sequence[int], ack: Sequence[int], side: Sequence[int]) -> bool:
    """Point 6."""
    begun: dict[int, int] = {}
    for row, own in enumerate(side):
        if flags[row] & _SYN and begun.setdefault(own, seq[row]) != seq[row]:
            return True
    return not all(
        flags[row] & _EVER and not (flags[row] & _ACK and 1 - own in begun and seq_diff(begun[1 - own], ack[row]) <= 0)
        for row, own in enumerate(side)
    )


def _has_odd_reset(
    flags: Sequence[int], seq: Sequence[int], ack: Sequence[int], payload_bytes: Sequence[int], side: Sequence[int]
) -> bool:
    """Point 5."""
    end: list[int | None] = [None, None]  # of each side's latest row
    acked: list[int | None] = [None, None]
    for row, own in enumerate(side):
        if not flags[row] & _RST:
            taken = payload_bytes[row] + bool(flags[row] & _SYN) + bool(flags[row] & _FIN)
            end[own], acked[own] = (seq[row] + taken) % MODULUS, ack[row]
        elif acked[1 - own] is not None and seq[row] not in (end[own], acked[1 - own]):
            return True
    return False
