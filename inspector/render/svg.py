"""A picture of lines as SVG, for documents. Nothing in it is fetched from anywhere."""

import re
from collections.abc import Iterable
from io import StringIO

from inspector.render.terminal import styled
from inspector.views.line import Line

_MONOSPACE = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', 'Noto Sans Mono CJK SC', monospace"
_FONT_FACE = re.compile(r"@font-face \{\{.*?\}\}\s*", re.DOTALL)
_FONT_FAMILY = re.compile(r"font-family: (?:Fira Code, monospace|arial)")


def export_svg(lines: Iterable[Line], title: str, width: int, *, light: bool = False) -> str:
    """The lines as they look in a terminal of that many cells, dark or light."""
    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.console import Console
    from rich.terminal_theme import SVG_EXPORT_THEME

    console = Console(
        record=True, width=width, file=StringIO(), force_terminal=True, color_system="standard", highlight=False
    )
    console.print(*[styled(line) for line in lines], sep="\n", soft_wrap=True)
    pattern = _FONT_FAMILY.sub(f"font-family: {_MONOSPACE}", _FONT_FACE.sub("", CONSOLE_SVG_FORMAT))
    return console.export_svg(title=title, theme=SVG_EXPORT_THEME, code_format=pattern, unique_id="inspector")
