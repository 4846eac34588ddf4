"""``size-then-body``: the upload of the tutorial."""

from inspector.framing.framer import Framer, FramingError, Message, Waiting

_MOST_DIGITS = 20


class SizeThenBodyFramer(Framer):
    """A size as decimal text, and at once so many bytes.

    Nothing ends the number, so where it ends is known only with the end of the stream: a number of digits whose value
    is as much as follows. When several are, the first is taken; when none is, the longest, and the body is cut off.
    """

    def __init__(self) -> None:
        self._start = b""
        super().__init__()

    def messages(self) -> Waiting:
        """One, at the end."""
        while len(self._start) <= _MOST_DIGITS and not self._closed:
            self._start = bytes(self._buffer[: _MOST_DIGITS + 1])
            if len(self._start) <= _MOST_DIGITS:
                yield
        if not self._start[:1].isdigit():
            raise FramingError(0, "no_size")
        yield from self.skip_all()
        digits = len(self._start) - len(self._start.lstrip(b"0123456789"))
        digits = min(digits, _MOST_DIGITS)
        fitting = [count for count in range(1, digits + 1) if int(self._start[:count]) == self.offset - count]
        header_end = fitting[0] if fitting else digits
        self._found.append(Message(0, self.offset, header_end, bool(fitting)))
        self._begun = self.offset
