"""``inspector conversations``: the table of a capture's conversations."""

import argparse
import sys
from collections.abc import Iterator

from inspector.cli.common import (
    chosen_conversations,
    exit_status,
    opened_trace,
    paint_table,
    selection_of,
    table_entries,
    whole_entries,
)
from inspector.render.json_lines import conversation_line
from inspector.render.terminal import painter_for
from inspector.session.workers import lines_of, worthwhile, write_lines
from inspector.trace.conversation import Conversation
from inspector.trace.selection import Selection
from inspector.trace.trace import Trace


def run(options: argparse.Namespace) -> int:
    """List them; exit status 3 when the capture is damaged."""
    with opened_trace(options.file) as trace:
        conversations = chosen_conversations(trace, options)
        selection = selection_of(options)
        if options.json:
            _write_json(trace, conversations, selection)
        else:
            paint_table(painter_for(options), table_entries(trace, conversations, selection))
        return exit_status(trace)


def _write_json(trace: Trace, conversations: list[Conversation], selection: Selection) -> None:
    workers = worthwhile(len(trace))

    def lines(which: int) -> Iterator[str]:
        mine = [conversation for conversation in conversations if conversation.number % workers == which]
        entries = whole_entries(mine, trace.analysed(selection, (which, workers)))
        return (f"{conversation_line(*entry)}\n" for entry in entries)

    sys.stdout.flush()
    shares = [conversation.number % workers for conversation in conversations]
    write_lines(sys.stdout.buffer, lines_of(shares, lines, workers))
