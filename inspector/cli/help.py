"""How ``--help`` is laid out: by rich, its lines broken as those of every other text, Chinese too."""

from typing import TYPE_CHECKING

from rich_argparse import RichHelpFormatter

from inspector.text import translated
from inspector.views.ladder_layout import wrapped
from inspector.views.safe_text import cells

if TYPE_CHECKING:
    from rich.containers import Lines
    from rich.text import Text


class HelpFormatter(RichHelpFormatter):
    """Breaks lines where both languages may be broken."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog)
        usage = translated("usage:")
        self._width -= cells(usage) - len(usage)  # argparse counts characters

    def start_section(self, heading: str | None) -> None:
        super().start_section(heading)
        section = self._current_section
        if section.heading:
            section.heading = translated(section.heading)

    def _rich_split_lines(self, text: "Text", width: int) -> "Lines":
        text = self._rich_whitespace_sub(text)
        ends, end = [], 0
        for line in wrapped(text.plain.split(" "), width, " "):
            start = text.plain.index(line, end)
            ends.append(start)
            end = start + len(line)
        lines = text.divide(ends[1:])
        for each in lines:
            each.rstrip()
        return lines

    def _rich_fill_text(self, text: "Text", width: int, indent: "Text") -> "Text":
        from rich.text import Text

        return Text("\n").join(indent + line for line in self._rich_split_lines(text, width)) + "\n\n"
