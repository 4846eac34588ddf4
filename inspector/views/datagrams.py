"""Datagrams, one row each: its bytes, the calls that sent and took it, and how it begins."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inspector.text import say
from inspector.trace.messages import MessageStream, Span, touching
from inspector.views.line import Line, line_of
from inspector.views.line import Span as Text
from inspector.views.quantities import count, data_bytes
from inspector.views.safe_text import cells, is_text, padded, safe_hex, safe_line

_MOST_ROWS = 200  # what is beyond is told, not drawn
_GAP = 2
_LEAST_QUOTE = 8


class _Row(NamedTuple):
    """The cells of a datagram before its bytes."""

    cells: list[str]
    data: bytes
    is_whole: bool


def datagram_table(stream: MessageStream, width: int, *, ascii_only: bool) -> Iterator[Line]:
    """The titles, a row a datagram, and how many more there are."""
    titles = [say("messages.datagrams_row"), say("messages.packet_row"), say("messages.bytes_row")]
    titles += [say("messages.sends")] if stream.sends else []
    titles += [say("messages.receives")] if stream.receives else []
    rows = [_row(stream, at) for at in range(min(len(stream.messages), _MOST_ROWS))]
    columns = [max(map(cells, column)) + _GAP for column in zip(titles, *(row.cells for row in rows), strict=True)]
    room = width - sum(columns)
    title = "".join(map(padded, titles, columns)) + (say("messages.data_row") if room >= _LEAST_QUOTE else "")
    yield line_of([Text(title, "title")])
    for row in rows:
        quote = safe_line if is_text(row.data) else safe_hex
        data = quote(row.data, room, ascii_only=ascii_only) if row.data and room >= _LEAST_QUOTE else ""
        styles = ["number", "arrow.data", "", *(["call"] * 2)]
        if not row.is_whole:
            styles[len(columns) - 1] = "label.problem"
        texts = map(padded, row.cells, columns)
        spans = [Text(text, style) for text, style in zip(texts, styles, strict=False)]
        yield line_of([*spans, Text(data, "label.payload")])
    left = len(stream.messages) + stream.beyond.messages - len(rows)
    if left:
        shown_to = stream.messages[len(rows) - 1].end
        yield line_of([Text(say("messages.more", bytes=data_bytes(stream.size - shown_to)), "legend")])


def not_received(stream: MessageStream) -> int:
    """How many datagrams no receive took, as far as receives are known at all."""
    if not stream.receives or stream.beyond.messages:
        return 0
    taken = {span.start for span in stream.receives}
    return sum(message.start not in taken for message in stream.messages)


def _row(stream: MessageStream, at: int) -> _Row:
    message, segment = stream.messages[at], stream.segments[at]
    size = message.end - message.start
    parts = [count(at + 1), f"#{segment.packet}", data_bytes(size)]
    if stream.sends:
        parts.append(_moved(_at(stream.sends, message.start), size))
    taken = _at(stream.receives, message.start)
    if stream.receives:
        parts.append(_moved(taken, size))
    is_whole = not stream.receives or (taken is not None and taken.end == message.end)
    return _Row(parts, stream.data[message.start : message.end], is_whole)


def _at(spans: Sequence[Span], start: int) -> Span | None:
    return next((spans[at] for at in touching(spans, start, start + 1)), None)


def _moved(span: Span | None, size: int) -> str:
    """How many bytes of a datagram a call moved; "-" where none did."""
    if span is None:
        return "-"
    moved = span.end - span.start
    return data_bytes(moved) if moved == size else say("messages.partly", bytes=count(moved), whole=data_bytes(size))
