"""``line``, ``delimiter:BYTES``, ``json-lines``: messages that end with a mark."""

import json

from inspector.framing.framer import Framer, FramingError, Waiting

LONGEST = 1 << 20


class DelimiterFramer(Framer):
    """Everything up to a delimiter, which belongs to the message."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        super().__init__()

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            yield from self.take_until(self._delimiter, LONGEST)
            self.end_header()
            self.emit()


class LineFramer(Framer):
    """Lines, ended by LF or CRLF."""

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            line = yield from self.take_until(b"\n", LONGEST)
            self.check(line)
            self.emit()

    def check(self, line: bytes) -> None:
        """Any line will do."""


class JsonLinesFramer(LineFramer):
    """One JSON value a line (jsonlines.org)."""

    def check(self, line: bytes) -> None:
        """It must be JSON."""
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            raise FramingError(self.offset - len(line), "json") from None
