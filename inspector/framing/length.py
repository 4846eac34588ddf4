"""``length:FORMAT``: every message has its length before it, as struct(3) packs it.

Options: ``header`` (the length counts the header too), ``offset=N`` (bytes of the header before the length),
``after=N`` (bytes of the header behind it), ``max=N`` (longer is no message).
"""

import struct

from inspector.framing.framer import Framer, FramingError, Message, Waiting

LONGEST = 1 << 30
FORMATS = frozenset("bBhHiIlLqQ")


class LengthFramer(Framer):
    """Length prefixes."""

    def __init__(
        self, layout: str, *, counts_header: bool = False, offset: int = 0, after: int = 0, longest: int = LONGEST
    ) -> None:
        self._length = struct.Struct(layout)
        self._offset = offset
        self._header_bytes = offset + self._length.size + after
        self._uncounted = 0 if counts_header else self._header_bytes
        self._longest = longest
        super().__init__()

    def messages(self) -> Waiting:
        """As many at a time as are there: the only framing that large captures are cut with."""
        header_bytes, uncounted, offset = self._header_bytes, self._uncounted, self._offset
        unpack = self._length.unpack_from
        while True:
            buffer, base, at = self._buffer, self._base, self._at
            size, found = len(buffer), self._found
            while size - at >= header_bytes:
                whole = unpack(buffer, at + offset)[0] + uncounted
                if not header_bytes <= whole <= self._longest + header_bytes:
                    raise FramingError(base + at, "length", whole - uncounted, self._longest)
                if size - at < whole:
                    break
                start = base + at
                found.append(Message(start, start + whole, start + header_bytes))
                at += whole
            self._at = at
            self._begun = base + at
            if size - at < header_bytes:
                yield from self._more()
            else:  # of a body that is not all here nothing is held
                self._at += header_bytes
                self.end_header()
                yield from self.skip(whole - header_bytes)
                self.emit()
