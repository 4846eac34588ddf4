"""``resp``: the protocol of Redis, versions 2 and 3."""

from inspector.framing.framer import Framer, FramingError, Waiting

_LINE = 1 << 16
_LONGEST = 1 << 29
_DEPTH = 32


class RespFramer(Framer):
    """Values: a type byte, a length or a value, CRLF."""

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            yield from self._value(0)
            self.emit()

    def _value(self, depth: int) -> Waiting:
        line = yield from self.take_until(b"\r\n", _LINE)
        at = self.offset - len(line)
        kind, rest = line[:1], line[1:-2]
        if depth == 0:
            self.end_header()
        if kind in b"$=!" and kind:
            if (length := self._length(rest, at)) >= 0:
                yield from self.skip(length)
                if (yield from self.take(2)) != b"\r\n":
                    raise FramingError(self.offset - 2, "resp")
        elif kind in b"*~>%|" and kind:
            if depth == _DEPTH:
                raise FramingError(at, "resp")
            for _ in range(max(self._length(rest, at), 0) * (2 if kind in b"%|" else 1)):
                yield from self._value(depth + 1)
        elif kind not in b"+-:,#_(" or not kind:
            raise FramingError(at, "resp")

    def _length(self, digits: bytes, at: int) -> int:
        if not digits.removeprefix(b"-").isdigit() or len(digits) > 10 or int(digits) > _LONGEST:
            raise FramingError(at, "resp")
        return int(digits)
