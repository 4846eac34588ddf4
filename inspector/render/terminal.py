"""Lines on a terminal or in a pipe. Rich draws the colours; where there are none, plain strings are written."""

import argparse
import os
import sys
from collections.abc import Iterable
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, TextIO

from inspector.render.theme import THEME
from inspector.text.language import Language, spoken
from inspector.views.line import Line, drawn_in_ascii

if TYPE_CHECKING:  # rich takes 50 ms to import: only when something is coloured
    from rich.console import Console
    from rich.text import Text

PLAIN_WIDTH = 100
_CHUNK_LINES = 512
_DRAWING = "├─━╍▶│╳→µ"


class Painter:
    """Writes lines to a stream. ``color`` is "auto", "always" or "never"; ``width`` overrides what the terminal says.

    ``ascii`` tells views to draw in ASCII: it was asked for, or the stream's encoding has no drawing characters. Words
    of another language than English stay what they are.
    """

    def __init__(
        self, stream: TextIO, *, color: str = "auto", width: int | None = None, ascii_only: bool = False
    ) -> None:
        self._stream = stream
        self.width = width or _width(stream)
        self.colored = color == "always" or (color == "auto" and _wants_color(stream))
        self.ascii = ascii_only or not _can_encode(stream)

    def prepare(self) -> None:
        """Import now what drawing needs, for a process that will lose the right to read its own files."""
        if self.colored:
            self._console.print(end="")

    def paint(self, line: Line) -> None:
        """Write one line, at once."""
        self.paint_all((line,))
        self._stream.flush()

    def paint_all(self, lines: Iterable[Line]) -> None:
        """Write many lines."""
        remaining = iter(lines)
        while chunk := list(islice(remaining, _CHUNK_LINES)):
            if self.colored:
                self._console.print(*map(self._styled, chunk), sep="\n")
            else:
                self.write([line.text for line in chunk])

    def write(self, lines: Iterable[str]) -> None:
        """Write plain lines; what the stream's encoding cannot take is escaped."""
        remaining = iter(lines)
        while chunk := list(islice(remaining, _CHUNK_LINES)):
            self._stream.write(self._encodable("\n".join(chunk)) + "\n")

    def _encodable(self, text: str) -> str:
        if not self.ascii or text.isascii():
            return text
        encoding = "ascii" if spoken() is Language.ENGLISH else self._stream.encoding or "ascii"
        return drawn_in_ascii(text).encode(encoding, "backslashreplace").decode(encoding)

    def _styled(self, line: Line) -> "Text":
        return styled(Line(tuple([span._replace(text=self._encodable(span.text)) for span in line.spans])))

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console

        return Console(
            file=self._stream,
            force_terminal=True,
            color_system="standard",
            no_color=False,
            markup=False,
            highlight=False,
            emoji=False,
            soft_wrap=True,
            width=self.width,
        )


def painter_for(options: argparse.Namespace) -> Painter:
    """The painter of standard output, as ``--color`` and ``--ascii`` say where a command has them."""
    color, ascii_only = getattr(options, "color", "auto"), getattr(options, "ascii", False)
    return Painter(sys.stdout, color=color or "auto", width=getattr(options, "width", None), ascii_only=ascii_only)


def styled(line: Line) -> "Text":
    """A line as rich text, never as markup."""
    from rich.text import Text

    return Text.assemble(*[(text, THEME.get(style, "")) for text, style in line.spans], end="")


def _wants_color(stream: TextIO) -> bool:
    """Colour is for terminals, and not where NO_COLOR is set (no-color.org)."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _width(stream: TextIO) -> int:
    """COLUMNS, or the terminal's width, or 100 cells for a pipe."""
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or PLAIN_WIDTH
    except (OSError, ValueError):  # a pipe, or nothing with a file descriptor
        return PLAIN_WIDTH


def _can_encode(stream: TextIO) -> bool:
    try:
        _DRAWING.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
