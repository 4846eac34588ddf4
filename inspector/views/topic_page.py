"""A topic as a page: what stands above its pictures and below them, and the list of all topics."""

from collections.abc import Iterable, Iterator
from itertools import count, groupby

from inspector.explain.narration import Narration
from inspector.explain.topics import Topic, Variant
from inspector.text import has, say
from inspector.views.explanation import below_row
from inspector.views.ladder import LadderPart
from inspector.views.ladder_layout import WIDEST, clipped, filled, rule
from inspector.views.line import Line, Span, line_of
from inspector.views.safe_text import cells, padded

_WIDEST_TEXT = 100  # longer lines are hard to read
_LEAST_QUESTION = 36
_INDENT = "  "


def topic_list(topics: Iterable[Topic], width: int) -> Iterator[Line]:
    """Every topic with its question, by group."""
    listed = list(topics)
    name_cells = max(len(topic.name) for topic in listed)
    title_cells = max(cells(say(f"topics.{topic.area}.title")) for topic in listed)
    room = width - name_cells - 2
    beside = room - title_cells - 2 >= _LEAST_QUESTION  # else the question stands below the title
    indent = width - room + (title_cells + 2 if beside else 0)
    for group, own in groupby(listed, key=lambda topic: topic.group):
        yield line_of(rule(say(f"explain.group_{group}"), "", min(width, WIDEST)))
        for topic in own:
            name = Span(f"{topic.name:<{name_cells}}  ", "head")
            title = clipped(say(f"topics.{topic.area}.title"), room)
            asked = say(f"topics.{topic.area}.question")
            if beside:
                first, *others = filled(asked, room - title_cells - 2)
                yield line_of([name, Span(padded(title, title_cells + 2)), Span(first, "legend")])
            else:
                others = filled(asked, room)
                yield line_of([name, Span(title)])
            yield from (line_of([Span(" " * indent), Span(words, "legend")]) for words in others)
    yield Line()
    yield from _text(say("explain.list_more"), "legend", "", width)


def opening(topic: Topic, width: int) -> Iterator[Line]:
    """The title, the question, and the answer."""
    yield from _text(say(f"topics.{topic.area}.title"), "head", "", width)
    yield from _text(say(f"topics.{topic.area}.question"), "question", "", width)
    for answer in said(topic, "answer"):
        yield Line()
        yield from _text(answer, "", "", width)


def variant_heading(topic: Topic, variant: Variant, width: int) -> Iterator[Line]:
    """What the next picture shows, and where it comes from."""
    title = say(f"topics.{topic.area}.variant_{variant.name}")
    return heading_lines(title, width, variant.command(topic.picture))


def heading_lines(title: str, width: int, figure: str = "") -> Iterator[Line]:
    """A part of the page ruled off by its title."""
    yield Line()
    yield line_of(rule(title, figure, min(width, WIDEST)))


def narrated_part(part: LadderPart, narration: Narration) -> LadderPart:
    """A conversation whose ladder tells about a topic."""
    return part._replace(
        marked=narration.marked,
        below=lambda packet, width: list(below_row(narration.told.get(packet, ()), width)),
    )


def closing(topic: Topic, width: int) -> Iterator[Line]:
    """What stands below the pictures: bits, calls, code, the usual mistake, what to try, the sources."""
    for part in ("bits", "calls"):
        yield from _section(topic, part, width)
    if topic.code:
        yield from _heading("code", width)
        yield from (line_of([Span(f"{_INDENT}{_INDENT}{line}", "code")]) for line in topic.code.split("\n"))
    for part in ("mistake", "fix"):
        yield from _section(topic, part, width)
    yield from _heading("see", width)
    yield from (line_of([Span(f"{_INDENT}{_INDENT}{command}", "command")]) for command in topic.see)
    yield from _heading("sources", width)
    yield from _text(" · ".join(topic.sources), "", _INDENT, width)


def steps(lines: Iterable[Line]) -> Iterator[list[Line]]:
    """The lines of a page in portions, each but the last ending with a row that was narrated."""
    portion: list[Line] = []
    for line in lines:
        if portion and _narrates(portion[-1]) and not _narrates(line):
            yield portion
            portion = []
        portion.append(line)
    yield portion


def _narrates(line: Line) -> bool:
    return any(span.style == "narration" for span in line.spans)


def _section(topic: Topic, part: str, width: int) -> Iterator[Line]:
    texts = list(said(topic, part))
    if texts:
        yield from _heading(part, width)
    for text in texts:
        yield from _text(text, "", _INDENT, width)


def _heading(part: str, width: int) -> Iterator[Line]:
    return heading_lines(say(f"explain.topic_{part}"), width)


def said(topic: Topic, part: str) -> Iterator[str]:
    """The paragraphs of a part: ``answer``, ``answer_2`` ..."""
    for number in count(1):
        entry = part if number == 1 else f"{part}_{number}"
        if not has(f"topics.{topic.area}.{entry}"):
            return
        yield say(f"topics.{topic.area}.{entry}")


def _text(text: str, style: str, indent: str, width: int) -> Iterator[Line]:
    for words in filled(text, min(width, _WIDEST_TEXT) - len(indent)):
        yield line_of([Span(indent), Span(words, style)])
