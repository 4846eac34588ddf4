"""What a view gives to be drawn: lines of spans, each with the name of what it means; a theme gives it its colour."""

from collections.abc import Iterable
from typing import NamedTuple

# One cell for one cell, so that a picture keeps its columns where only ASCII can be shown.
_ASCII = str.maketrans("“”‘’─━╌╍│├┤┝┥▶◀╳→←↳·…µ×⋮–−§▸┐┘┌└┬┴┼╫╪┄▲╞═╤", "\"\"''-=.~|||||><x><'-~ux:--S>+++++++#%.^|=+")


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


def line_of(spans: Iterable[Span], conversation: int | None = None) -> Line:
    """A line without spaces at its end."""
    kept = list(spans)
    while kept:
        text, style = kept.pop()
        if text := text.rstrip(" "):
            kept.append(Span(text, style))
            break
    return Line(tuple(kept), conversation)


def drawn_in_ascii(text: str) -> str:
    """The drawing and punctuation of our own texts in ASCII, cell for cell; captured text is left as it is."""
    return text.translate(_ASCII)


def line_in_ascii(line: Line) -> Line:
    """A line with its drawing in ASCII."""
    return Line(tuple([Span(drawn_in_ascii(text), style) for text, style in line.spans]), line.conversation)
