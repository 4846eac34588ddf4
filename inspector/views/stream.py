"""What the two programs of a conversation said to each other: as text made safe, or as a hex dump."""

import codecs
from collections.abc import Iterable, Iterator

from inspector.tcp.reassembly import Piece
from inspector.tcp.states import Side
from inspector.text import say
from inspector.views.ladder_layout import rule
from inspector.views.line import Line, Span, line_of
from inspector.views.safe_text import safe_stream

_STYLES = {Side.CLIENT: "stream.client", Side.SERVER: "stream.server"}
_ROW_BYTES = 16


def stream_lines(parts: Iterable[tuple[Side, Piece]], *, hexadecimal: bool = False, width: int = 100) -> Iterator[Line]:
    """The pieces in order, ruled off where the sender changes. Lines of text are as long as they were sent."""
    last: Side | None = None
    dumps = {side: (_HexDump if hexadecimal else _Text)(_STYLES[side]) for side in Side}
    for side, piece in parts:
        if side is not last:
            if last is not None:
                yield from dumps[last].pause()
            sender, receiver = (say(f"ladder.{name}") for name in _names(side))
            yield line_of(rule(say("table.direction", sender=sender, receiver=receiver), "", width))
            last = side
        yield from dumps[side].feed(piece)
    for side in Side:
        yield from dumps[side].finish()


def _names(side: Side) -> tuple[str, str]:
    return ("server", "client") if side is Side.SERVER else ("client", "server")


class _Text:
    """One side's bytes as lines; a character that two pieces share is put together."""

    def __init__(self, style: str) -> None:
        self._style = style
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._open: list[str] = []  # parts of a line that is not complete

    def feed(self, piece: Piece) -> Iterator[Line]:
        """Every line that is complete."""
        first, *others = self._decoder.decode(piece.data).split("\n")
        self._open.append(first)
        for following in others:
            yield self._line()
            self._open.append(following)

    def pause(self) -> Iterator[Line]:
        """The line that is not complete, when the other side begins to speak."""
        if any(self._open):
            yield self._line()

    def finish(self) -> Iterator[Line]:
        """What is left."""
        self._open.append(self._decoder.decode(b"", final=True))
        yield from self.pause()

    def _line(self) -> Line:
        text = safe_stream("".join(self._open))
        self._open.clear()
        return Line((Span(text, self._style),))


class _HexDump:
    """One side's bytes, sixteen a line, with their offset in the stream."""

    def __init__(self, style: str) -> None:
        self._style = style

    def feed(self, piece: Piece) -> Iterator[Line]:
        """The bytes of the piece."""
        for at in range(0, len(piece.data), _ROW_BYTES):
            row = piece.data[at : at + _ROW_BYTES]
            shown = "".join([chr(byte) if 0x20 <= byte < 0x7F else "." for byte in row])
            pairs = f"{row[:8].hex(' '):<23}  {row[8:].hex(' '):<23}"
            yield line_of([Span(f"{piece.start + at:08x}  ", "number"), Span(pairs, self._style), Span(f"  {shown}")])

    def pause(self) -> Iterator[Line]:
        """Nothing is left."""
        return iter(())

    finish = pause
