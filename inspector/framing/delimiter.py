"""``delimiter:BYTES``: messages that end with a mark."""

from inspector.framing.framer import Framer, Waiting

LONGEST = 1 << 20


class DelimiterFramer(Framer):
    """Everything up to a delimiter, which belongs to the message."""

    def __init__(self, delimiter: bytes) -> None:
        self._delimiter = delimiter
        self.filler = bytes([min({0, 1} - {delimiter[0]})])
        super().__init__()

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            yield from self.take_until(self._delimiter, LONGEST)
            self.end_header()
            self.emit()
