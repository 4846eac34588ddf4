"""``websocket``: frames, RFC 6455 section 5.2, after the HTTP message that upgrades to them."""

from collections.abc import Generator

from inspector.framing.framer import Framer, FramingError, Message, Waiting

_LONGEST_HEADERS = 1 << 20
_CONTROL = 8  # opcodes from here on are control frames, never in fragments
_COMPRESSED = 0x40  # of a data frame, RFC 7692 section 6
_OPCODES = {0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}


class WebSocketFramer(Framer):
    """The upgrade, and messages of one frame or several."""

    def messages(self) -> Waiting:
        """The upgrade, then messages; a control frame between fragments is a message of its own, and told first."""
        yield from self.take_until(b"\r\n\r\n", _LONGEST_HEADERS)
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
        compressed = _COMPRESSED if opcode < _CONTROL else 0
        if first & 0x70 & ~compressed or opcode not in _OPCODES:
            raise FramingError(start, "frame")
        if length > 125:
            length = int.from_bytes((yield from self.take(2 if length == 126 else 8)), "big")
        if second & 0x80:
            yield from self.take(4)  # the mask
        return bool(first & 0x80), opcode, length
