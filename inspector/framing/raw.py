"""``raw``: no framing."""

from inspector.framing.framer import Framer, Waiting


class RawFramer(Framer):
    """The whole stream is one message."""

    def messages(self) -> Waiting:
        """Until it ends."""
        yield from self.skip_all()
        if self.offset:
            self.emit()
