"""``fixed:N``: all messages have the same size."""

from inspector.framing.framer import Framer, Waiting


class FixedFramer(Framer):
    """So many bytes each."""

    filler = b"\0"

    def __init__(self, size: int) -> None:
        self._size = size
        super().__init__()

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            yield from self.skip(self._size)
            self.emit()
