"""``inspector packets``: one line a packet."""

import argparse
import sys

from inspector.cli.common import chosen_conversations, exit_status, opened_trace, selection_of
from inspector.render.json_lines import packet_line
from inspector.render.terminal import painter_for
from inspector.views.packets import packet_view


def run(options: argparse.Namespace) -> int:
    """List the packets; exit status 3 when the capture is damaged."""
    with opened_trace(options.file) as trace:
        number = options.conversation
        if number is not None:
            chosen_conversations(trace, options)
        records = trace.records(selection_of(options), number)
        if options.json:
            write = sys.stdout.write
            for record in records:
                write(packet_line(record))
                write("\n")
        else:
            painter = painter_for(options)
            painter.paint_all(packet_view(records, painter.width))
        return exit_status(trace)
