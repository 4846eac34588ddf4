"""The table of conversations: one row each, as many columns as the width has room for."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import NamedTuple

from inspector.tcp.states import EndpointState, Known, Side
from inspector.text import say
from inspector.text.language import Language, spoken
from inspector.trace.conversation import ConnectionEnd, Conversation
from inspector.views.line import Line, Span, line_of
from inspector.views.quantities import count, data_bytes, duration
from inspector.views.safe_text import cells, padded

_GAP = 2


class TableEntry(NamedTuple):
    """A conversation; ``end`` is None when it is not TCP, ``retransmissions`` when they were not counted."""

    conversation: Conversation
    end: ConnectionEnd | None = None
    retransmissions: int | None = None


def _state(state: EndpointState) -> str:
    return state.state.value if state.known is Known.SEEN else f"({state.state.value})"


def _states(end: ConnectionEnd) -> str:
    return f"{_state(end.client)}, {_state(end.server)}"


def _opened(entry: TableEntry) -> str:
    return "" if entry.end is None else _opening(entry.end.outcome.opening, spoken())


def _closed(entry: TableEntry) -> str:
    if entry.end is None:
        return ""
    return _closing(entry.end.outcome.closing, entry.end.outcome.closed_by, spoken())


@cache  # there are few, and large tables
def _opening(opening: str, _language: Language) -> str:
    return say(f"table.opening_{opening}")


@cache
def _closing(closing: str, closed_by: Side | None, _language: Language) -> str:
    how = say(f"table.closing_{closing}")
    if closed_by is None:
        return how
    return say("table.closed_by_server" if closed_by is Side.SERVER else "table.closed_by_client", how=how)


def _rtt(entry: TableEntry) -> str:
    rtt_ns = None if entry.end is None else entry.end.outcome.handshake_rtt_ns
    return "" if rtt_ns is None else duration(rtt_ns)


class Column(NamedTuple):
    """A column: its cell from an entry and the start of the first conversation; ``rank`` says which go first.

    ``words``: the cells are of the language spoken, few different ones, and may have wide characters.
    """

    name: str
    cell: Callable[[TableEntry, int], str]
    rank: int
    right: bool = False
    style: str = ""
    words: bool = False


COLUMNS = (
    Column("number", lambda entry, _: str(entry.conversation.number), 0, right=True, style="number"),
    Column("protocol", lambda entry, _: entry.conversation.protocol, 0, style="head"),
    Column("client", lambda entry, _: str(entry.conversation.client), 0),
    Column("server", lambda entry, _: str(entry.conversation.server), 0),
    Column("packets", lambda entry, _: count(entry.conversation.packets), 1, right=True),
    Column("bytes", lambda entry, _: count(entry.conversation.payload_bytes), 1, right=True),
    Column("start", lambda entry, first: duration(entry.conversation.start_ns - first), 5, right=True, style="time"),
    Column(
        "duration",
        lambda entry, _: duration(entry.conversation.end_ns - entry.conversation.start_ns),
        4,
        right=True,
        style="time",
    ),
    Column("states", lambda entry, _: _states(entry.end) if entry.end else "", 6, style="state"),
    Column("opened", lambda entry, _: _opened(entry), 3, words=True),
    Column("closed", lambda entry, _: _closed(entry), 2, words=True),
    Column("rtt", lambda entry, _: _rtt(entry), 7, right=True, style="time"),
    Column(
        "retransmissions",
        lambda entry, _: "" if entry.retransmissions is None else count(entry.retransmissions),
        5,
        right=True,
        style="label.problem",
    ),
)


def table_lines(entries: Sequence[TableEntry], width: int) -> list[Line]:
    """The table for a terminal: titles, rows, totals."""
    columns, grid, widths = _chosen(entries, width)
    lines = [line_of([_padded(column, say(f"table.{column.name}"), widths, "title") for column in columns])]
    for row, entry in zip(zip(*grid, strict=True), entries, strict=True):
        spans = [_padded(column, text, widths, column.style) for column, text in zip(columns, row, strict=True)]
        lines.append(line_of(spans, entry.conversation.number))
    return [*lines, Line(), line_of([Span(totals(entries), "head.figure")])]


def plain_lines(entries: Sequence[TableEntry], width: int) -> Iterator[str]:
    """The same table as strings, for a pipe."""
    columns, grid, widths = _chosen(entries, width)
    titles = [_padded(column, say(f"table.{column.name}"), widths, "").text for column in columns]
    yield "".join(titles).rstrip()
    patterns = []
    for at, column in enumerate(columns):
        patterns.append(f"{{:{'>' if column.right else '<'}{widths[column.name] - _GAP}}}")
        if column.words:  # a pattern counts characters, not cells
            aligned = {text: padded(text, widths[column.name] - _GAP) for text in set(grid[at])}
            grid[at], patterns[at] = [aligned[text] for text in grid[at]], "{}"
    pattern = (" " * _GAP).join(patterns)
    for row in zip(*grid, strict=True):
        yield pattern.format(*row).rstrip()
    yield ""
    yield totals(entries)


def totals(entries: Sequence[TableEntry]) -> str:
    """How much there is in all."""
    packets = sum([entry.conversation.packets for entry in entries])
    payload_bytes = sum([entry.conversation.payload_bytes for entry in entries])
    figures = [
        say("table.conversations", count=len(entries), conversations=count(len(entries))),
        say("ladder.packets", count=packets, packets=count(packets)),
        say("ladder.data_of", bytes=data_bytes(payload_bytes)),
    ]
    return " · ".join(figures)


def _chosen(entries: Sequence[TableEntry], width: int) -> tuple[list[Column], list[list[str]], dict[str, int]]:
    """Columns that fit, their cells, and their widths with the gap; the first four are always there."""
    first_ns = entries[0].conversation.start_ns if entries else 0
    chosen: dict[str, list[str]] = {}
    widths: dict[str, int] = {}
    for column in sorted(COLUMNS, key=lambda column: column.rank):
        title = cells(say(f"table.{column.name}"))
        if column.rank and sum(widths.values()) + title > width:
            continue
        texts = [column.cell(entry, first_ns) for entry in entries]
        if column.rank and not any(texts):
            continue
        needed = _GAP + max(title, *map(cells, _widest(column, texts)))
        if column.rank and sum(widths.values()) + needed - _GAP > width:
            continue
        chosen[column.name], widths[column.name] = texts, needed
    columns = [column for column in COLUMNS if column.name in chosen]
    return columns, [chosen[column.name] for column in columns], widths


def _widest(column: Column, texts: Sequence[str]) -> Iterable[str]:
    """Those that may take the most cells."""
    return set(texts) if column.words else [max(texts, key=len, default="")]


def _padded(column: Column, text: str, widths: dict[str, int], style: str) -> Span:
    return Span(padded(text, widths[column.name] - _GAP, right=column.right) + " " * _GAP, style)
