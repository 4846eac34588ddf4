"""Messages against segments and calls, aligned on the offset in the stream.

Between two neighbouring boundaries, of whatever row, lies a stretch of cells: wide enough to be seen, and no wider than
it needs to be. So offsets stand under each other, and are not to scale.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from inspector.framing.framer import Message
from inspector.framing.inference import Extent
from inspector.tcp.states import Side
from inspector.text import say
from inspector.trace.conversation import Conversation
from inspector.trace.live_messages import LiveMessage, LiveProblem
from inspector.trace.messages import Framed, MessageStream
from inspector.trace.messages import Span as Carried
from inspector.views.datagrams import datagram_table, not_received
from inspector.views.ladder import TAG_STYLES
from inspector.views.ladder_layout import wrapped
from inspector.views.line import Line, Span, line_of
from inspector.views.message_findings import findings, problem_words
from inspector.views.quantities import count, data_bytes
from inspector.views.safe_text import cells, is_text, padded, safe_hex, safe_line

_NARROWEST_STRETCH, _WIDEST_STRETCH = 4, 16
_LEAST_QUOTE = 8
_MOST_LINES = 40  # of pictures; what is beyond is told, not drawn
_FOUND = {
    Extent.WHOLE: "messages.found_whole_one",
    Extent.CUT_OFF: "messages.found_cut_off",
    Extent.BEGINNING: "messages.found_beginning",
}


class _Item(NamedTuple):
    """Something that takes up bytes from, up to: its mark at the beginning, what fills it, and its labels, of which the
    first that finds room is taken."""

    start: int
    end: int
    mark: str
    fill: str
    labels: tuple[str, ...]
    style: str


def stream_picture(
    conversation: Conversation, stream: MessageStream, framing: str, width: int, *, ascii_only: bool = False
) -> Iterator[Line]:
    """The heading, the rows wrapped to the width, and what is to be said about them."""
    ends = f"{conversation.protocol} {conversation.number}  {conversation.client} → {conversation.server}"
    for line in (ends, " · ".join(_heading(stream, framing))):
        for text in wrapped(line.split(" "), width, " "):
            yield line_of([Span(text, "head")])
    yield Line()
    if stream.is_datagrams:
        yield from datagram_table(stream, width, ascii_only=ascii_only)
        yield Line()
    else:
        yield from _aligned(stream, width)
    sentences = list(findings(stream))
    if stream.beyond.bytes or stream.beyond.messages or stream.beyond.segments:
        sentences.append(say("messages.beginning_only"))
    if lost := not_received(stream) if stream.is_datagrams else 0:
        sentences.append(say("messages.not_received", count=lost, datagrams=count(lost)))
    for sentence in sentences:
        for at, text in enumerate(wrapped(sentence.split(" "), width - 2, " ")):
            yield line_of([Span("· " if at == 0 else "  ", "note"), Span(text)])


def _aligned(stream: MessageStream, width: int) -> Iterator[Line]:
    """The rows, one under the other, wrapped to the width."""
    rows = _rows(stream, _MOST_LINES * width // _NARROWEST_STRETCH)
    label_cells = max(map(cells, [say("messages.offset"), *(label for label, _ in rows)])) + 2
    scale = _Scale(stream, [item for _, items in rows for item in items])
    for number, (first, last) in enumerate(scale.lines(width - label_cells - 1)):
        if number == _MOST_LINES:
            left = stream.size - scale.offsets[first]
            yield line_of([Span(say("messages.more", bytes=data_bytes(left)), "legend")])
            break
        titles = Span(padded(say("messages.offset"), label_cells), "title")
        yield line_of([titles, Span(scale.ruler(first, last), "time")])
        for label, items in rows:
            yield line_of([Span(padded(label, label_cells), "title"), *_row(items, scale, first, last)])
        yield Line()


def framing_words(found: Framed) -> str:
    """The words for a framing: how it was found, when it was not asked for."""
    if not found.framing:
        return say("messages.datagrams")
    if found.inference is None:
        return found.framing
    best, next_best = found.inference
    if best is None:
        perhaps = found.inference.perhaps
        return say("messages.perhaps", framing=perhaps) if perhaps else say("messages.none_fits")
    is_other = next_best is not None and next_best.bits > 0
    other = {"other": next_best.framing, "explained": next_best.messages} if next_best is not None else {}
    if best.extent is Extent.WHOLE and best.messages > 1:
        key = "messages.inferred" if is_other else "messages.inferred_alone"
        return say(key, framing=best.framing, count=best.messages, **other)
    words = say(_FOUND[best.extent], framing=best.framing, count=best.messages, messages=count(best.messages))
    return f"{words}; {say('messages.next_best', **other)}" if is_other else words


def message_lines(messages: Iterable[LiveMessage | LiveProblem], width: int) -> Iterator[Line]:
    """A line for each message of a running capture; before the first of a conversation, whose it is."""
    for each in messages:
        conversation = each.conversation
        tag = f"tag.{conversation.number % TAG_STYLES}"
        name = f"{conversation.protocol} {conversation.number}"
        if isinstance(each, LiveProblem):
            sentence = f"{_direction(each.side)}  {problem_words(each.problem)}"
            for at, text in enumerate(wrapped(sentence.split(" "), width - cells(name) - 2, " ")):
                begin = name if at == 0 else " " * cells(name)
                yield line_of([Span(f"{begin}  ", tag), Span(text, "label.problem")])
            continue
        if each.first:
            framing = say("messages.by_framing", framing=each.framing or say("messages.datagrams"))
            yield line_of([Span(f"{name}  {conversation.client} → {conversation.server} · {framing}", "head")])
        yield _message_line(each, Span(f"{name}  ", tag), width)


def _message_line(each: LiveMessage, name: Span, width: int) -> Line:
    """Direction, number, sizes, packets, and as much of the body as finds room."""
    message, data, pieces = each.followed
    packets = list(dict.fromkeys(packet for _, packet in pieces))
    header, size = message.header_end - message.start, message.end - message.start
    sizes = data_bytes(size) if message.complete else say("messages.cut_off", bytes=data_bytes(size))
    if 0 < header < size and message.complete:
        sizes = say("messages.header_and_body", header=data_bytes(header), body=data_bytes(size - header))
    words = [_direction(each.side), say("messages.numbered", number=count(each.number)), message.kind, sizes]
    words.append("" if not packets else f"#{packets[0]}" if len(packets) == 1 else f"#{packets[0]}–#{packets[-1]}")
    left = "  ".join(filter(None, words))
    body = data[header:] if header < size else data
    room = width - cells(name.text) - cells(left) - 2
    quote = (safe_line if is_text(body) else safe_hex)(body, room) if body and room >= _LEAST_QUOTE else ""
    return line_of([name, Span(f"{left}  "), Span(quote, "label.payload" if message.complete else "label.problem")])


def _direction(sender: Side) -> str:
    return say("messages.to_server" if sender is Side.CLIENT else "messages.to_client")


def _heading(stream: MessageStream, framing: str) -> list[str]:
    complete = sum(message.complete for message in stream.messages) + stream.beyond.messages
    segments = len(stream.segments) + stream.beyond.segments
    number = [say("messages.in_messages", count=complete, messages=count(complete))] if stream.is_framed else []
    carried = [say("messages.in_segments", count=segments, segments=count(segments)), *number]
    if stream.is_datagrams:
        carried = [say("messages.in_datagrams", count=segments, datagrams=count(segments))]
    return [
        _direction(stream.sender),
        data_bytes(stream.size),
        *carried,
        say("messages.by_framing", framing=framing),
    ]


def _rows(stream: MessageStream, most: int) -> list[tuple[str, list[_Item]]]:
    """The items of each row, as many as can be drawn."""
    messages = _side_by_side(item for message in stream.messages[:most] for item in _of_message(message))
    title = say("messages.messages" if stream.is_framed else "messages.stream")
    rows = [(title, messages), (say("messages.segments"), _carried(stream.segments[:most]))]
    if stream.again:
        rows.append((say("messages.again"), _apart(stream.again[:most])))
    if stream.sends:
        rows.append((say("messages.sends"), _carried(stream.sends[:most])))
    if stream.receives:
        rows.append((say("messages.receives"), _carried(stream.receives[:most])))
    if stream.gaps:
        words = (say("messages.gap"),)
        gaps = [_Item(gap.start, gap.end, "├", " ", words, "label.problem") for gap in stream.gaps[:most]]
        rows.append((say("messages.missing"), gaps))
    return rows


def _of_message(m: Message) -> Iterator[_Item]:
    """The header of a message, and its body."""
    body = m.header_end if m.header_end < m.end or m.complete else m.start
    if body > m.start:
        yield _Item(m.start, body, "╞", "H", (m.kind,) if body == m.end else (), "label.number")
    if body < m.end:
        size = data_bytes(m.end - body)
        labels = (f"{m.kind} {size}", size, m.kind) if m.kind else (size,)
        style, fill = ("label.payload", "═") if m.complete else ("label.problem", "┄")
        yield _Item(body, m.end, "╤" if body > m.start else "╞", fill, labels, style)


def _side_by_side(items: Iterable[_Item]) -> list[_Item]:
    """One that lies within another (a control frame of WebSocket) cuts it in two."""
    shown: list[_Item] = []
    for item in items:
        outer = shown[-1] if shown and shown[-1].end > item.start else None
        if outer is not None:
            shown[-1] = outer._replace(end=item.start)
        shown.append(item)
        if outer is not None and outer.end > item.end:
            shown.append(outer._replace(start=item.end, mark=outer.fill, labels=()))
    return shown


def _carried(spans: Sequence[Carried]) -> list[_Item]:
    return [
        _Item(
            span.start,
            span.end,
            "├",
            "─",
            (data_bytes(span.end - span.start) if span.packet is None else f"#{span.packet}",),
            "call" if span.packet is None else "arrow.data",
        )
        for span in spans
    ]


def _apart(spans: Sequence[Carried]) -> list[_Item]:
    """Those that do not overlap with one before them: a row has room for one."""
    shown: list[Carried] = []
    for span in spans:
        if not shown or span.start >= shown[-1].end:
            shown.append(span)
    return [item._replace(style="label.problem") for item in _carried(shown)]


class _Scale:
    """Where every boundary stands: the stretches between them, and how they are broken into lines."""

    def __init__(self, stream: MessageStream, items: Sequence[_Item]) -> None:
        bounds = {0, stream.size, *(bound for item in items for bound in (item.start, item.end))}
        self.offsets = sorted(bounds)
        stretches = zip(self.offsets[:-1], self.offsets[1:], strict=True)
        self._widths = [min(max(end - start, _NARROWEST_STRETCH), _WIDEST_STRETCH) for start, end in stretches]

    def lines(self, room: int) -> Iterator[tuple[int, int]]:
        """First and last boundary of each line."""
        first, used = 0, 0
        for at, wide in enumerate(self._widths):
            if used + wide > room and at > first:
                yield first, at
                first, used = at, 0
            used += wide
        if first < len(self._widths):
            yield first, len(self._widths)

    def column(self, offset: int, first: int) -> int:
        """Where a boundary stands in the line that begins with boundary ``first``."""
        return sum(self._widths[first : bisect_left(self.offsets, offset)])

    def ruler(self, first: int, last: int) -> str:
        """The offsets over a line, as many as find room."""
        text, room = "", sum(self._widths[first:last]) + 1
        for at in range(first, last + 1):
            word = str(self.offsets[at])
            column = min(sum(self._widths[first:at]), room - len(word))
            if len(text) <= column or not text:
                text = f"{text.ljust(column)}{word} "
        return text.rstrip()


def _row(items: Sequence[_Item], scale: _Scale, first: int, last: int) -> list[Span]:
    begins, ends = scale.offsets[first], scale.offsets[last]
    spans: list[Span] = []
    at = 0
    for item in items:
        start, end = max(item.start, begins), min(item.end, ends)
        if start >= end:
            continue
        left, right = scale.column(start, first), scale.column(end, first)
        if left > at:
            spans.append(Span(("┤" if at and spans else " ").ljust(left - at)))
        inner = right - left - 1
        label = next((each for each in item.labels if cells(each) <= inner), "")
        text = f" {label} " if label and cells(label) + 2 <= inner else label
        filled = item.fill * ((inner - cells(text)) // 2) + text
        mark = item.mark if item.start >= begins else item.fill
        spans.append(Span(mark + filled + item.fill * (inner - cells(filled)), item.style))
        at = right
    spans.append(Span("┤" if at else ""))
    return spans
