"""Text of several lines under a picture: each paragraph ruled off by its title."""

from collections.abc import Iterable, Iterator

from inspector.views.ladder_layout import rule, wrapped
from inspector.views.line import Line, Span, line_of

_WIDEST = 100  # longer lines are hard to read


def paragraphs(texts: Iterable[tuple[str, str]], width: int) -> Iterator[Line]:
    """Lines of (title, text), after an empty one."""
    yield Line()
    for title, text in texts:
        yield line_of(rule(title, "", width))
        for line in wrapped(text.split(" "), min(width, _WIDEST), " "):
            yield line_of([Span(line)])
