"""The byte stream of one direction, put together from segments that come twice, out of order, cut short, or never."""

from bisect import bisect_left
from collections.abc import Callable, Container, Iterator
from typing import NamedTuple

from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import MODULUS, unwrap
from inspector.tcp.states import Side

_FIN, _SYN, _RST, _ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.RST), int(Flag.ACK)
_MASK = MODULUS - 1  # takes a number modulo 2**32
MAX_WAITING_BYTES = 64 << 20  # beyond a hole; more, and the hole is given up


class Piece(NamedTuple):
    """Bytes of the stream; ``start`` is their offset, ``packet`` the first that brought them."""

    start: int
    data: bytes
    packet: int


class Gap(NamedTuple):
    """Bytes of the stream that were not captured: offsets ``start`` up to, not including, ``end``."""

    start: int
    end: int


class StreamAssembler:
    """Assembles what one side sends; feed it that side's segments and the other side's ACKs in order of capture.

    Offsets count from the byte after the SYN; of a capture that began later, from the first segment seen. Every byte is
    given out once, in order, as soon as all before it is there; of differing copies the first captured stands. What is
    missing is a Gap once the peer has acknowledged it, and at the end.
    """

    __slots__ = ("_acked", "_base", "_delivered", "_end", "_highest", "_waiting", "_waiting_bytes")

    def __init__(self) -> None:
        self._base: int | None = None  # the sequence number of offset 0
        self._delivered = 0
        self._acked = 0
        self._highest = 0  # the end of what was sent, captured or cut off
        self._end: int | None = None  # where the FIN stands
        self._waiting: list[Piece] = []  # beyond a hole: sorted, not overlapping
        self._waiting_bytes = 0

    def add(self, segment: Segment, payload: bytes) -> list[Piece | Gap]:
        """What the segment completes; ``payload`` is as much of its data as was captured.

        SYN and FIN take one sequence number each; data after a FIN is no part of the stream. The text that a RST may
        carry (RFC 9293 section 3.5.3) is given out where it stands, as tshark and tcpflow do.
        """
        flags = segment.flags
        if flags & _RST and not payload:
            return []
        seq = segment.seq + (flags >> 1 & 1)
        if self._base is None or (flags & _SYN and not self._highest):
            self._base = seq & _MASK
        start = self._offset(seq)
        end = start + segment.payload_bytes
        if flags & _FIN and self._end is None:
            self._end = end
        if self._end is not None:
            end = min(end, self._end)
        self._highest = max(self._highest, end)
        self._place(start, payload[: max(end - start, 0)], segment.packet)
        return self._complete()

    def acknowledged(self, ack: int) -> list[Piece | Gap]:
        """What the peer's ACK completes: it has received what we have not, so nothing more will come of that."""
        if self._base is None:
            return []
        self._acked = max(self._acked, self._offset(ack))
        return self._complete() if self._waiting else []

    def finish(self) -> list[Piece | Gap]:
        """All that is left, with its gaps."""
        parts = self._complete(self._highest)
        end = max(self._highest, self._acked)
        if self._end is not None:
            end = min(end, self._end)
        if end > self._delivered:
            parts.append(Gap(self._delivered, end))
            self._delivered = end
        return parts

    def _offset(self, seq: int) -> int:
        assert self._base is not None
        return unwrap(seq, self._base + self._delivered) - self._base

    def _place(self, start: int, data: bytes, packet: int) -> None:
        """Put those bytes among the waiting that were missing so far."""
        if start < self._delivered:
            data = data[self._delivered - start :]
            start = self._delivered
        waiting = self._waiting
        index = bisect_left(waiting, start, key=_piece_end)
        while data:
            following = waiting[index].start if index < len(waiting) else start + len(data)
            if following > start:
                piece = Piece(start, data[: following - start], packet)
                waiting.insert(index, piece)
                self._waiting_bytes += len(piece.data)
            covered = _piece_end(waiting[index])
            data = data[max(covered - start, 0) :]
            start = max(start, covered)
            index += 1

    def _complete(self, given_up: int = 0) -> list[Piece | Gap]:
        """Give out the waiting up to the first hole that may still be filled."""
        given_up = max(given_up, self._acked)
        parts: list[Piece | Gap] = []
        taken = 0
        for piece in self._waiting:
            if piece.start > self._delivered:
                if piece.start > given_up and self._waiting_bytes <= MAX_WAITING_BYTES:
                    break
                parts.append(Gap(self._delivered, piece.start))
            parts.append(piece)
            taken += 1
            self._delivered = _piece_end(piece)
            self._waiting_bytes -= len(piece.data)
        del self._waiting[:taken]
        return parts


class ConnectionAssembler:
    """The streams of the chosen sides of a connection, each in order and both as they become complete."""

    def __init__(self, sides: Container[Side] = tuple(Side)) -> None:
        self._assemblers = {side: StreamAssembler() for side in Side if side in sides}

    def add(self, segment: Segment, payload: Callable[[], bytes]) -> Iterator[tuple[Side, Piece | Gap]]:
        """What the next segment completes; its payload is asked for when its sender was chosen."""
        receiver = self._assemblers.get(segment.side.other)
        if receiver is not None and segment.flags & _ACK:
            for part in receiver.acknowledged(segment.ack):
                yield segment.side.other, part
        sender = self._assemblers.get(segment.side)
        if sender is not None:
            for part in sender.add(segment, payload()):
                yield segment.side, part

    def finish(self) -> Iterator[tuple[Side, Piece | Gap]]:
        """What is left."""
        for side, assembler in self._assemblers.items():
            for part in assembler.finish():
                yield side, part


def _piece_end(piece: Piece) -> int:
    return piece.start + len(piece.data)
