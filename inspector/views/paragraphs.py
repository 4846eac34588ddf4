"""Text of several lines under a picture: each paragraph ruled off by its title."""

from collections.abc import Iterable, Iterator

from inspector.views.ladder_layout import rule, wrapped
from inspector.views.line import Line, Span, line_in_ascii, line_of

_WIDEST = 100  # longer lines are hard to read


def paragraphs(texts: Iterable[tuple[str, str]], width: int, *, ascii_only: bool) -> Iterator[Line]:
    """Lines of (title, text), after an empty one."""
    lines = [Line()]
    for title, text in texts:
        lines.append(line_of(rule(title, "", width)))
        lines += [line_of([Span(line)]) for line in wrapped(text.split(" "), min(width, _WIDEST), " ")]
    return map(line_in_ascii, lines) if ascii_only else iter(lines)
