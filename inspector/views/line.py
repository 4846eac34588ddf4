"""What a view gives to be drawn: lines of spans, each with the name of what it means; a theme gives it its colour."""

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """Text without control characters, and what it means: ``state``, ``arrow.data`` ... ("" for plain text)."""

    text: str
    style: str = ""


class Line(NamedTuple):
    """One line on the screen; ``conversation`` tells interleaved conversations apart."""

    spans: tuple[Span, ...] = ()
    conversation: int | None = None

    @property
    def text(self) -> str:
        """The line without styles."""
        return "".join([span.text for span in self.spans])


# One cell for one cell, so that a picture keeps its columns where only ASCII can be shown.
_ASCII = str.maketrans(
    dict(zip("─━╌╍│├┤┝┥▶◀╳", "-=.~||||><x", strict=False))
    | {"┤": "|", "┝": "|", "┥": "|", "▶": ">", "◀": "<", "╳": "x"}
)


def line_of(spans: Iterable[Span], conversation: int | None = None) -> Line:
    """A line without spaces at its end."""
    kept = list(spans)
    while kept and not (stripped := kept[-1].text.rstrip(" ")):
        kept.pop()
    if kept:
        kept[-1] = Span(stripped, kept[-1].style)
    return Line(tuple(kept), conversation)
