"""A byte stream cut into messages: what all framings share.

A framing is a generator over the bytes of one direction: it asks for as many as it needs next, wherever the pieces end
in which they arrive. So every chunking of a stream gives the same messages.
"""

import sys
from collections.abc import Generator
from typing import NamedTuple

Waiting = Generator[None, None, None]


class Message(NamedTuple):
    """An application message as an interval of the stream: offsets from, up to, and where its body begins.

    ``complete`` is False for what the stream's end cut off. ``kind`` is what the protocol calls it (``GET``, a status,
    a record type), "" when it has no such word.
    """

    start: int
    end: int
    header_end: int
    complete: bool = True
    kind: str = ""


class FramingError(Exception):
    """The bytes at an offset of the stream are not of this framing; ``reason`` is a word for it. ``value`` is a number
    that stands there and cannot be, ``limit`` what it may be at most."""

    def __init__(self, offset: int, reason: str, value: int = 0, limit: int = 0) -> None:
        super().__init__(f"{reason} at {offset}")
        self.offset = offset
        self.reason = reason
        self.value = value
        self.limit = limit


class _StreamEnd(Exception):
    """The stream ended where the framing needs more."""


class Framer:
    """One direction under way: ``feed`` it bytes in any pieces, then ``finish``.

    Where the bytes do not fit, ``problem`` says so and no more messages come. ``messages`` of a subclass is the
    framing.
    """

    filler = b""  # what missing bytes may be taken for, in a framing that ends at marks alone

    def __init__(self) -> None:
        self.problem: FramingError | None = None
        self._passing = 0  # bytes of a body that are waited for, and not looked at
        self._buffer = bytearray()
        self._base = 0  # the offset of the buffer's first byte
        self._at = 0  # how far the framing has read, in the buffer
        self._begun = 0  # offsets of the message under way
        self._header_end: int | None = None
        self._kind = ""
        self._closed = False
        self._found: list[Message] = []
        self._run = self.messages()

    def messages(self) -> Waiting:
        """The framing: take what is needed, ``emit`` each message."""
        raise NotImplementedError

    def feed(self, data: bytes) -> list[Message]:
        """The messages that these bytes complete."""
        if self.problem is not None:
            return []
        self._buffer += data
        return self._advance()

    def feed_missing(self, count: int) -> list[Message]:
        """Bytes that nobody has: a body may lack them. Where a header should be, no more messages can be told apart."""
        passed = count if self.filler else min(count, self._passing)
        found = self.feed((self.filler or b"\0") * passed)
        if passed < count and self.problem is None:
            self.problem = FramingError(self._base + len(self._buffer), "missing")
        return found

    def finish(self) -> list[Message]:
        """The stream has ended: what that completes, and what it cuts off."""
        self._closed = True
        if self.problem is not None:
            return []
        found = self._advance()
        under_way = self.under_way
        return found if self.problem is not None or under_way.end == under_way.start else [*found, under_way]

    @property
    def offset(self) -> int:
        """How far the framing has read, in the stream."""
        return self._base + self._at

    @property
    def under_way(self) -> Message:
        """The message that is not complete, as far as it has come."""
        end = self._base + len(self._buffer)
        return Message(self._begun, end, end if self._header_end is None else self._header_end, False, self._kind)

    @property
    def header_known(self) -> bool:
        """Whether the header of the message under way is complete."""
        return self._header_end is not None

    def take(self, count: int) -> Generator[None, None, bytes]:
        """The next bytes, exactly so many."""
        while len(self._buffer) - self._at < count:
            yield from self._more()
        taken = bytes(self._buffer[self._at : self._at + count])
        self._at += count
        return taken

    def take_until(self, delimiter: bytes, limit: int) -> Generator[None, None, bytes]:
        """The next bytes up to and with the delimiter; FramingError when that is farther than ``limit``."""
        looked = self._at
        while (found := self._buffer.find(delimiter, looked)) < 0:
            if len(self._buffer) - self._at > limit:
                raise FramingError(self.offset, "no_delimiter", limit=limit)
            looked = max(self._at, len(self._buffer) - len(delimiter) + 1)
            before = self._base
            yield from self._more()
            looked -= self._base - before
        return (yield from self.take(found + len(delimiter) - self._at))

    def skip(self, count: int) -> Waiting:
        """Pass over bytes, which need not all be there at a time."""
        while count:
            step = min(count, len(self._buffer) - self._at)
            self._at += step
            count -= step
            if count:
                self._passing = count
                yield from self._more()
                self._passing = 0

    def skip_all(self) -> Waiting:
        """Pass over everything until the stream ends."""
        while not self._closed:
            self._at = len(self._buffer)
            self._passing = sys.maxsize
            yield
        self._at = len(self._buffer)

    def end_header(self, kind: str = "") -> None:
        """The message's body begins here."""
        self._header_end, self._kind = self.offset, kind or self._kind

    def emit(self) -> None:
        """The message ends here."""
        header_end = self._begun if self._header_end is None else self._header_end
        self._found.append(Message(self._begun, self.offset, header_end, True, self._kind))
        self._begun, self._header_end, self._kind = self.offset, None, ""

    def _more(self) -> Waiting:
        if self._closed:
            raise _StreamEnd
        yield

    def _advance(self) -> list[Message]:
        try:
            next(self._run)
        except (StopIteration, _StreamEnd):
            pass
        except FramingError as error:
            self.problem = error
        del self._buffer[: self._at]
        self._base += self._at
        self._at = 0
        found, self._found = self._found, []
        return found
