"""``tls``: records, RFC 8446 section 5.1."""

from inspector.framing.framer import Framer, FramingError, Waiting

_TYPES = {20: "change_cipher_spec", 21: "alert", 22: "handshake", 23: "application_data", 24: "heartbeat"}
_LONGEST = (1 << 14) + 2048  # RFC 5246 section 6.2.3; TLS 1.3 allows less


class TlsFramer(Framer):
    """Records: type, version, length in two bytes, and so many bytes."""

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            header = yield from self.take(5)
            kind, major, length = header[0], header[1], int.from_bytes(header[3:5], "big")
            if kind not in _TYPES or major != 3 or length > _LONGEST:
                raise FramingError(self.offset - 5, "record")
            self.end_header(_TYPES[kind])
            yield from self.skip(length)
            self.emit()
