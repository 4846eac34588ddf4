"""Protocols with a header of their own: TLS records, DNS over TCP, RESP (Redis), WebSocket."""

from collections.abc import Generator

from inspector.framing.framer import Framer, FramingError, Message, Waiting

_TLS_TYPES = {20: "change_cipher_spec", 21: "alert", 22: "handshake", 23: "application_data", 24: "heartbeat"}
_TLS_LONGEST = (1 << 14) + 2048  # RFC 5246 section 6.2.3; TLS 1.3 allows less
_DNS_HEADER_BYTES = 12
_RESP_LINE = 1 << 16
_RESP_LONGEST = 1 << 29
_RESP_DEPTH = 32
_CONTROL = 8  # opcodes from here on are control frames, never in fragments
_OPCODES = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}


class TlsFramer(Framer):
    """TLS records, RFC 8446 section 5.1: type, version, length in two bytes, and so many bytes."""

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            header = yield from self.take(5)
            kind, major, length = header[0], header[1], int.from_bytes(header[3:5], "big")
            if kind not in _TLS_TYPES or major != 3 or length > _TLS_LONGEST:
                raise FramingError(self.offset - 5, "record")
            self.end_header(_TLS_TYPES[kind])
            yield from self.skip(length)
            self.emit()


class DnsFramer(Framer):
    """DNS over TCP, RFC 1035 section 4.2.2: the length in two bytes, then the message."""

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            length = int.from_bytes((yield from self.take(2)), "big")
            if length < _DNS_HEADER_BYTES:
                raise FramingError(self.offset - 2, "length")
            self.end_header()
            header = yield from self.take(_DNS_HEADER_BYTES)
            self.end_header("response" if header[2] & 0x80 else "query")
            self._header_end = self._begun + 2
            yield from self.skip(length - _DNS_HEADER_BYTES)
            self.emit()


class RespFramer(Framer):
    """The protocol of Redis, versions 2 and 3: a type byte, a length or a value, CRLF."""

    def messages(self) -> Waiting:
        """One after the other."""
        while True:
            yield from self._value(0)
            self.emit()

    def _value(self, depth: int) -> Waiting:
        line = yield from self.take_until(b"\r\n", _RESP_LINE)
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
            if depth == _RESP_DEPTH:
                raise FramingError(at, "resp")
            for _ in range(max(self._length(rest, at), 0) * (2 if kind in b"%|" else 1)):
                yield from self._value(depth + 1)
        elif kind not in b"+-:,#_(" or not kind:
            raise FramingError(at, "resp")

    def _length(self, digits: bytes, at: int) -> int:
        if not digits.removeprefix(b"-").isdigit() or len(digits) > 10 or int(digits) > _RESP_LONGEST:
            raise FramingError(at, "resp")
        return int(digits)


class WebSocketFramer(Framer):
    """WebSocket frames, RFC 6455 section 5.2, after the HTTP message that upgrades to them."""

    def messages(self) -> Waiting:
        """The upgrade, then messages; a control frame between fragments is a message of its own, and told first."""
        yield from self.take_until(b"\r\n\r\n", 1 << 20)
        self.end_header("upgrade")
        self.emit()
        while True:
            start = self.offset
            final, opcode, length = yield from self._header()
            header_end = self.offset
            if opcode >= _CONTROL and start > self._begun:
                yield from self.skip(length)
                self._found.append(Message(start, self.offset, header_end, True, _OPCODES[opcode]))
                continue
            if start == self._begun:
                self.end_header(_OPCODES[opcode])
            yield from self.skip(length)
            if final:
                self.emit()

    def _header(self) -> Generator[None, None, tuple[bool, int, int]]:
        start = self.offset
        first, second = yield from self.take(2)
        opcode, length = first & 15, second & 127
        if first & 0x70 or opcode not in _OPCODES:
            raise FramingError(start, "frame")
        if length > 125:
            length = int.from_bytes((yield from self.take(2 if length == 126 else 8)), "big")
        if second & 0x80:
            yield from self.take(4)  # the mask
        return bool(first & 0x80), opcode, length
