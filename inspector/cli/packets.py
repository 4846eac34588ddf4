"""``inspector packets``: one line a packet."""

import argparse
import sys
from collections.abc import Iterator

from inspector.cli.common import chosen_conversations, exit_status, opened_trace, selection_of
from inspector.render.json_lines import packet_line
from inspector.render.terminal import painter_for
from inspector.session.workers import lines_of, worthwhile, write_lines
from inspector.trace.selection import Selection
from inspector.trace.trace import Trace
from inspector.views.packets import packet_view


def run(options: argparse.Namespace) -> int:
    """List the packets; exit status 3 when the capture is damaged."""
    with opened_trace(options.file) as trace:
        number = options.conversation
        if number is not None:
            chosen_conversations(trace, options)
        selection = selection_of(options)
        if options.json:
            _write_json(trace, selection, number)
        else:
            painter = painter_for(options)
            painter.paint_all(packet_view(trace.records(selection, number), painter.width))
        return exit_status(trace)


def _write_json(trace: Trace, selection: Selection, number: int | None) -> None:
    workers = worthwhile(len(trace))

    def lines(which: int) -> Iterator[str]:
        return (f"{packet_line(record)}\n" for record in trace.records(selection, number, (which, workers)))

    sys.stdout.flush()
    shares = trace.shares(workers, selection, number).tolist()
    write_lines(sys.stdout.buffer, lines_of(shares, lines, workers))
