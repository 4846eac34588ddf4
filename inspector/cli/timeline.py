"""``inspector timeline``: all conversations of a capture on one axis of time."""

import argparse

from inspector.cli.common import calls_beside, chosen_conversations, exit_status, opened_trace, tell
from inspector.render.terminal import painter_for
from inspector.text import say
from inspector.views.timeline import Moment, activity, timeline_lines

_MOST = 200


def run(options: argparse.Namespace) -> int:
    """Draw it; exit status 3 when the capture is damaged."""
    with opened_trace(options.file) as trace:
        conversations = chosen_conversations(trace, options)
        shown = conversations[:_MOST]
        moments = {
            conversation.number: [Moment(time_ns, activity(flags, size)) for time_ns, flags, size in packets]
            for conversation in shown
            for packets in (trace.packets(conversation.number),)
        }
        painter = painter_for(options)
        lines = timeline_lines(shown, moments, calls_beside(options.file), painter.width)
        painter.paint_all(lines)
        if len(shown) < len(conversations):
            tell(say("timeline.many", left=len(conversations) - len(shown), count=len(conversations)))
        return exit_status(trace)
