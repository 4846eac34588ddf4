"""The one gate through which captured text passes on its way to a screen.

Captured bytes are hostile: a terminal would obey their escape sequences, bidirectional controls turn the text around
them, and characters without a known width push a picture's columns apart. All of these come out as visible escapes.
What comes out has a known width: ``cells`` and the terminal library agree on it, character by character.
"""

import codecs
from functools import lru_cache
from unicodedata import category, east_asian_width

_HIDDEN = frozenset(("Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Mc", "Me", "Zl", "Zp"))
_NAMED = {"\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": "\\0"}
# Visible, but not of the width that the Unicode version of Python gives them.
_DISPUTED = tuple(
    range(first, last + 1)
    for first, last in (
        (0x1160, 0x11FF),  # Hangul jamo that join the one before
        (0x2630, 0x2637),
        (0x268A, 0x268F),
        (0x3164, 0x3164),  # Hangul fillers
        (0x4DC0, 0x4DFF),
        (0xD7B0, 0xD7FF),
        (0xFFA0, 0xFFA0),
        (0x1D300, 0x1D376),
        (0x1F1E6, 0x1F1FF),  # letters that pair to a flag
        (0x1F3FB, 0x1F3FF),  # skin tones
    )
)
_SURROGATE_OF_BYTE = range(0xDC80, 0xDD00)  # what surrogateescape makes of a byte that is no UTF-8
_MOSTLY_TEXT = 0.8
_LOOK_BYTES = 64


def cells(text: str) -> int:
    """How many cells of a terminal the text takes: East Asian wide characters take two."""
    return len(text) if text.isascii() else sum([2 if east_asian_width(char) in "WF" else 1 for char in text])


def padded(text: str, width: int) -> str:
    """The text and spaces behind it, up to so many cells."""
    return text + " " * (width - cells(text))


def safe_text(text: str, *, ascii_only: bool = False) -> str:
    """The text on one line, everything invisible escaped; with ``ascii_only`` everything beyond ASCII too."""
    if text.isascii() and text.isprintable():
        return text
    return "".join([_visible(char, ascii_only) for char in text])


def safe_stream(text: str) -> str:
    """A text of several lines: as ``safe_text``, but newlines stay."""
    return "\n".join([safe_text(line) for line in text.split("\n")])


def safe_line(data: bytes, limit_cells: int, *, ascii_only: bool = False, cut: bool = False) -> str:
    """Captured bytes as text of at most ``limit_cells`` (at least 1); "…" stands for what did not fit.

    A backslash is doubled, so that it is told from an escape. ``cut``: the data goes on behind what is given.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = decoder.decode(data[: 4 * limit_cells + 4], final=not cut)
    if _is_plain(text):
        pieces, widths = list(text), [1] * len(text)
    else:
        pieces = ["\\\\" if char == "\\" else _visible(char, ascii_only) for char in text]
        widths = [cells(piece) for piece in pieces]
    used = sum(widths)
    if used <= limit_cells and not cut:
        return "".join(pieces)
    while used > limit_cells - 1:
        pieces.pop()
        used -= widths.pop()
    return "".join([*pieces, "~" if ascii_only else "…"])


def safe_hex(data: bytes, limit_cells: int, *, ascii_only: bool = False, cut: bool = False) -> str:
    """Captured bytes as hexadecimal pairs, at most ``limit_cells`` (at least 1) wide; "…" as in ``safe_line``."""
    if not cut and 3 * len(data) - 1 <= limit_cells:
        return data.hex(" ")
    shown = data[: max(limit_cells - 1, 0) // 3].hex(" ")
    return f"{shown} {'~' if ascii_only else '…'}".lstrip()


def is_text(data: bytes) -> bool:
    """Whether captured bytes are better read as text than as hexadecimal."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    text = decoder.decode(data[:_LOOK_BYTES])
    if _is_plain(text):
        return True
    readable = sum([char in "\t\r\n" or _visible(char, False) == char for char in text])
    return readable >= _MOSTLY_TEXT * len(text)


def _is_plain(text: str) -> bool:
    """Whether every character stands for itself in one cell: most text does, and a busy capture has no time."""
    return text.isascii() and text.isprintable() and "\\" not in text


@lru_cache(maxsize=4096)
def _visible(char: str, ascii_only: bool) -> str:
    number = ord(char)
    if number in _SURROGATE_OF_BYTE:
        return f"\\x{number - 0xDC00:02x}"
    if char in _NAMED:
        return _NAMED[char]
    shown = category(char) not in _HIDDEN and not any(number in disputed for disputed in _DISPUTED)
    if shown and not (ascii_only and number > 0x7E):
        return char
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
