"""``line``: text, line by line."""

from inspector.framing.delimiter import LONGEST
from inspector.framing.framer import Framer, Waiting


class LineFramer(Framer):
    """Lines, ended by LF or CRLF."""

    filler = b"\0"

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            line = yield from self.take_until(b"\n", LONGEST)
            self.check(line)
            self.emit()

    def check(self, line: bytes) -> None:
        """Any line will do."""
