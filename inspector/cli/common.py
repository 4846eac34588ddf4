"""What several commands do alike: open a capture by path or name, and choose packets."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from inspector.calls import journal
from inspector.calls.call import SocketCall
from inspector.capture import bundled
from inspector.render.terminal import Painter
from inspector.tcp.connection import Connection
from inspector.text import say
from inspector.text.problems import UsageProblem
from inspector.trace.conversation import ConnectionEnd, Conversation
from inspector.trace.selection import Selection
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderOptions
from inspector.views.safe_text import safe_text
from inspector.views.table import TableEntry, plain_lines, table_lines

_READ_WHOLE_PACKETS = 20_000
_PROGRESS_AFTER_S = 0.4


@contextmanager
def opened_trace(name: str) -> Iterator[Trace]:
    """The trace of a capture file, of a bundled capture by its name, or of standard input ("-").

    Damage is told on stderr once everything readable has been shown; see ``exit_status``.
    """
    with progress() as report:
        trace = Trace.read(bundled.located(name), report, fork=True)
    with trace:
        yield trace


def tell(sentence: str) -> None:
    """One line on stderr, below what stands on stdout already."""
    sys.stdout.flush()
    print(f"inspector: {safe_text(sentence)}", file=sys.stderr, flush=True)


def calls_beside(name: str) -> list[SocketCall]:
    """The socket calls kept beside a saved capture, as far as they can be read; what is wrong with them is told."""
    path = journal.path_beside(bundled.located(name))
    if name == "-" or not path.is_file():
        return []
    calls, damage = journal.load(path)
    if damage is not None:
        tell(str(damage))
    return calls


def exit_status(trace: Trace) -> int:
    """Tell of damage, if any, after all that could be read was shown; the status a command ends with."""
    if trace.damage is None:
        return 0
    tell(str(trace.damage))
    return trace.damage.exit_status


def selection_of(options: argparse.Namespace) -> Selection:
    """The ports and the host that were asked for."""
    return Selection(frozenset(getattr(options, "port", None) or ()), getattr(options, "host", None))


def chosen_conversations(trace: Trace, options: argparse.Namespace) -> list[Conversation]:
    """The conversations that ``--port``, ``--host`` and ``--conversation`` leave; a number out of range is refused."""
    number = options.conversation
    if number is None:
        return trace.conversations(selection_of(options))
    if not 1 <= number <= trace.conversation_count:
        raise UsageProblem("command.no_such_conversation", number=number, count=trace.conversation_count)
    return [trace.conversation(number)]


def existing_packet(trace: Trace, number: int) -> int:
    """The number of a packet, which has to be in the capture."""
    if not len(trace):
        raise UsageProblem("layers.empty")
    if not 1 <= number <= len(trace):
        raise UsageProblem("layers.unknown_packet", number=number, count=len(trace))
    return number


def ladder_options(options: argparse.Namespace, painter: Painter, *, live: bool = False) -> LadderOptions:
    """How ladders are drawn, from the options and what the terminal can show."""
    return LadderOptions(
        width=painter.width,
        ascii=painter.ascii,
        absolute_time=options.absolute,
        raw_numbers=options.raw,
        style=options.style,
        live=live,
        unfold=getattr(options, "unfold", False),
        calls=getattr(options, "calls", "auto"),
        buffers=getattr(options, "buffers", False),
    )


def table_entries(trace: Trace, conversations: list[Conversation], selection: Selection) -> list[TableEntry]:
    """The rows of the table of conversations.

    In a large capture only the rows that decide are read, so that it opens at once; its retransmissions are not counted
    then.
    """
    if len(trace) <= _READ_WHOLE_PACKETS:
        return whole_entries(conversations, trace.analysed(selection))
    ends = trace.ends(selection)
    return [TableEntry(conversation, ends.get(conversation.number)) for conversation in conversations]


def whole_entries(conversations: Iterable[Conversation], connections: Mapping[int, Connection]) -> list[TableEntry]:
    """The rows of conversations of which all segments were read."""
    return [
        TableEntry(conversation, ConnectionEnd(*connection.end()), connection.retransmissions)
        if (connection := connections.get(conversation.number))
        else TableEntry(conversation)
        for conversation in conversations
    ]


def paint_table(painter: Painter, entries: list[TableEntry]) -> None:
    """The table of conversations; without colours it is put together ten times as fast."""
    if painter.colored:
        painter.paint_all(table_lines(entries, painter.width))
    else:
        painter.write(plain_lines(entries, painter.width))


@contextmanager
def progress() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr for work that takes longer than a glance, when stderr is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _ProgressBar()
    try:
        yield bar.update
    finally:
        bar.close()


class _ProgressBar:
    def __init__(self) -> None:
        self._started = time.monotonic()
        self._drawn = False
        self._percent = -1

    def update(self, done: int, total: int) -> None:
        if time.monotonic() - self._started < _PROGRESS_AFTER_S:
            return
        percent = 100 * done // total if total else 0
        if percent == self._percent and total:
            return
        self._percent, self._drawn = percent, True
        filled = percent * 30 // 100
        amount = say("command.read_percent", percent=percent) if total else say("command.read_bytes", bytes=f"{done:,}")
        sys.stderr.write(f"\r\x1b[K[{'#' * filled}{' ' * (30 - filled)}] {amount}")
        sys.stderr.flush()
        if done >= total > 0:
            self.close()

    def close(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False
