"""Text broken to lines. Widths are cells of a terminal.

English breaks at spaces; Chinese has none, and breaks between any two characters but for punctuation, which stays with
what it belongs to (避头尾).
"""

from itertools import pairwise
from unicodedata import east_asian_width

from inspector.views.safe_text import cells

_NEVER_FIRST = frozenset("，。；：、？！）》〉】』」”’％…·),.;:!?]}%")
_NEVER_LAST = frozenset("（《〈【『「“‘([{")


def wrapped(words: list[str], width: int, separator: str) -> list[str]:
    """Words joined to lines of at most ``width`` cells; Chinese breaks within them too where spaces separate words.

    What is longer than a line and cannot be broken is cut into pieces.
    """
    lines: list[str] = []
    for word in words:
        for at, part in enumerate(_parts(word) if separator == " " or cells(word) > width else [word]):
            glue = "" if at else separator
            if lines and cells(lines[-1]) + cells(glue) + cells(part) <= width:
                lines[-1] += glue + part
            else:
                lines.extend(_pieces(part, width))
    return lines or [""]


def clipped(text: str, width: int) -> str:
    """The text, or its beginning and "…"."""
    return text if cells(text) <= width else _pieces(text, max(width - 1, 1))[0] + "…"


def _parts(word: str) -> list[str]:
    """A word at all places where a line may end within it."""
    if word.isascii():
        return [word]
    parts = [word[:1]]
    for before, char in pairwise(word):
        if _breakable(before, char):
            parts.append(char)
        else:
            parts[-1] += char
    return parts


def _breakable(before: str, after: str) -> bool:
    return (_is_wide(before) or _is_wide(after)) and before not in _NEVER_LAST and after not in _NEVER_FIRST


def _is_wide(char: str) -> bool:
    return east_asian_width(char) in "WF"


def _pieces(word: str, width: int) -> list[str]:
    pieces = [""]
    for char in word:
        if cells(pieces[-1]) + cells(char) > width:
            pieces.append("")
        pieces[-1] += char
    return pieces
