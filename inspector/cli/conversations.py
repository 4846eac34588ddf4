"""``inspector conversations``: the table of a capture's conversations."""

import argparse
import sys

from inspector.cli.common import chosen_conversations, exit_status, opened_trace, selection_of, table_entries
from inspector.render.json_lines import conversation_line
from inspector.render.terminal import painter_for
from inspector.views.table import plain_lines, table_lines


def run(options: argparse.Namespace) -> int:
    """List them; exit status 3 when the capture is damaged."""
    with opened_trace(options.file) as trace:
        conversations = chosen_conversations(trace, options)
        entries = table_entries(trace, conversations, selection_of(options), whole=options.json)
        if options.json:
            sys.stdout.writelines(f"{conversation_line(*entry)}\n" for entry in entries)
        else:
            painter = painter_for(options)
            if painter.colored:
                painter.paint_all(table_lines(entries, painter.width))
            else:
                painter.write(plain_lines(entries, painter.width))
        return exit_status(trace)
