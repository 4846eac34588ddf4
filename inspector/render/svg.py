"""A picture of lines as SVG, for documents. Nothing in it is fetched from anywhere."""

import re
from collections.abc import Iterable
from html import escape, unescape
from io import StringIO
from itertools import groupby

from inspector.render.terminal import styled
from inspector.views.line import Line
from inspector.views.safe_text import cells

_MONOSPACE = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', 'Noto Sans Mono CJK SC', monospace"
_FONT_FACE = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
_TEXT = re.compile(r'(<text [^>]*?x=")([\d.]+)("[^>]*? textLength=")([\d.]+)("[^>]*>)([^<]*)</text>')
_FONT_FAMILY = re.compile(r"font-family: (?:Fira Code, monospace|arial)")


def export_svg(lines: Iterable[Line], title: str, width: int) -> str:
    """The lines as they look in a dark terminal of that many cells."""
    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.console import Console
    from rich.terminal_theme import SVG_EXPORT_THEME

    console = Console(
        record=True, width=width, file=StringIO(), force_terminal=True, color_system="standard", highlight=False
    )
    console.print(*[styled(line) for line in lines], sep="\n", soft_wrap=True)
    pattern = _FONT_FAMILY.sub(f"font-family: {_MONOSPACE}", _FONT_FACE.sub("", CONSOLE_SVG_FORMAT))
    drawn = console.export_svg(title=title, theme=SVG_EXPORT_THEME, code_format=pattern, unique_id="inspector")
    return _TEXT.sub(_in_cells, drawn)


def _in_cells(found: re.Match[str]) -> str:
    """A text in pieces of wide and of narrow characters: rich gives both the same room, and fonts do as they like."""
    before, x, between, length, after, content = found.groups()
    text = unescape(content)
    if cells(text) == len(text):
        return found[0]
    cell, left = float(length) / len(text), float(x)
    pieces = []
    for _, characters in groupby(text, key=cells):
        piece = "".join(characters)
        shown = escape(piece).replace("\xa0", "&#160;")
        pieces.append(f"{before}{left:g}{between}{cell * cells(piece):g}{after}{shown}</text>")
        left += cell * cells(piece)
    return "".join(pieces)
