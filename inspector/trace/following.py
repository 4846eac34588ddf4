"""One direction of a conversation, followed message by message as its bytes come, in bounded memory."""

from bisect import bisect_left, bisect_right
from operator import itemgetter
from typing import NamedTuple

from inspector.framing.framer import Framer, Message
from inspector.tcp.reassembly import Gap, Piece

_HELD_BYTES = 1 << 16
_start = itemgetter(0)
_NO_PACKET = 0  # a gap is where nothing came


class Followed(NamedTuple):
    """A message, its first bytes, and which packet brought the bytes from which offset of the stream on."""

    message: Message
    first_bytes: bytes
    packets: tuple[tuple[int, int], ...]


class Follower:
    """Feed it the parts of a stream in order; it holds the first bytes of the message under way."""

    def __init__(self, framer: Framer) -> None:
        self.framer = framer
        self.messages = 0
        self._held = bytearray()
        self._base = 0  # the offset of what is held
        self._pieces: list[tuple[int, int]] = []  # (where it begins, packet)

    def feed(self, part: Piece | Gap) -> list[Followed]:
        """The messages that these bytes complete; a gap is filled with zeros."""
        data = part.data if isinstance(part, Piece) else bytes(part.end - part.start)
        self._pieces.append((part.start, part.packet if isinstance(part, Piece) else _NO_PACKET))
        held_to = self._base + len(self._held)
        if held_to == part.start and len(self._held) < _HELD_BYTES:
            self._held += data
        complete = self.framer.feed(data) if isinstance(part, Piece) else self.framer.feed_missing(len(data))
        found = [self._followed(message, part.start, data) for message in complete]
        if found:
            self._let_go(part.start, data)
        self.messages += len(found)
        return found

    def finish(self) -> list[Followed]:
        """The stream has ended: what that completes or cuts off."""
        found = [self._followed(message, 0, b"") for message in self.framer.finish()]
        self.messages += len(found)
        return found

    def under_way(self) -> Followed:
        """The message that is not complete."""
        return self._followed(self.framer.under_way, 0, b"")

    def _followed(self, message: Message, start: int, data: bytes) -> Followed:
        """``data``, from ``start`` on, has the bytes that are not held."""
        first_bytes = self._held[message.start - self._base : message.end - self._base]
        if message.start >= self._base + len(self._held):
            first_bytes = bytearray(data[message.start - start : message.end - start])
        first = max(bisect_right(self._pieces, message.start, key=_start) - 1, 0)
        pieces = self._pieces[first : bisect_left(self._pieces, message.end, key=_start)]
        return Followed(message, bytes(first_bytes), tuple(piece for piece in pieces if piece[1] != _NO_PACKET))

    def _let_go(self, start: int, data: bytes) -> None:
        """Of what is complete nothing is held any more."""
        begun = self.framer.under_way.start
        if begun >= start:
            self._held = bytearray(data[begun - start :][:_HELD_BYTES])
        else:
            del self._held[: begun - self._base]
        self._base = begun
        self._pieces = self._pieces[-1:]
