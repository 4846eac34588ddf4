"""``inspector explain FILE``: what is in a capture, and what deserves a look."""

import argparse
import sys

from inspector.calls.matching import CallIndex
from inspector.cli.common import calls_beside, chosen_conversations, exit_status, opened_trace
from inspector.explain.report import report_on
from inspector.render.report_json import report_line
from inspector.render.terminal import painter_for
from inspector.views.report import report_lines


def run_report(options: argparse.Namespace) -> int:
    """Report on the whole capture; exit status 3 when it is damaged."""
    with opened_trace(options.what) as trace:
        painter = painter_for(options)
        calls = CallIndex(calls_beside(options.what))
        report = report_on(trace, calls, chosen_conversations(trace, options))
        if options.json:
            sys.stdout.write(f"{report_line(report)}\n")
        else:
            painter.paint_all(report_lines(report, options.what, painter.width))
        return exit_status(trace)
