"""``dns``: DNS over TCP, RFC 1035 section 4.2.2."""

from inspector.framing.framer import Framer, FramingError, Waiting

_HEADER_BYTES = 12


class DnsFramer(Framer):
    """The length in two bytes, then the message."""

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            length = int.from_bytes((yield from self.take(2)), "big")
            if length < _HEADER_BYTES:
                raise FramingError(self.offset - 2, "length")
            self.end_header()
            header = yield from self.take(_HEADER_BYTES)
            self.end_header("response" if header[2] & 0x80 else "query")
            self._header_end = self._begun + 2
            yield from self.skip(length - _HEADER_BYTES)
            self.emit()
