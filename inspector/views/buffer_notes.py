"""Where the bytes of a conversation are, told below the packets that change it."""

from collections.abc import Callable, Mapping, Sequence

from inspector.calls.buffers import Fill
from inspector.tcp.states import Side
from inspector.trace.conversation import Row
from inspector.views.call_words import fill_words
from inspector.views.line import Line

_EMPTY = Fill(None, 0, None)


class BufferNotes:
    """Asked for packet by packet; ``fills`` are those of both sides, ``note`` draws words of a style at a side."""

    def __init__(self, fills: Mapping[int, Sequence[Fill]], note: Callable[[str, str, Side], list[Line]]) -> None:
        self._fills = fills
        self._note = note
        self._told = [_EMPTY, _EMPTY]

    def below(self, row: Row) -> list[Line]:
        """The lines below a packet."""
        lines = []
        for side, fill in zip(Side, self._fills.get(row.packet, ()), strict=False):
            if fill != self._told[side] and (fill or self._told[side]):
                lines += self._note(fill_words(fill), "note", side)
                self._told[side] = fill
        return lines
