"""``inspector calls``: the socket calls kept beside a capture, and the packets that belong to each."""

import argparse
import json
import sys

from inspector.calls import journal
from inspector.calls.matching import CallIndex
from inspector.cli.common import calls_beside, chosen_conversations, exit_status, opened_trace, tell
from inspector.render.terminal import painter_for
from inspector.text import say
from inspector.trace.calls import conversation_calls
from inspector.trace.trace import Trace
from inspector.views.call_list import ListedCall, call_lines


def run(options: argparse.Namespace) -> int:
    """List them; exit status 3 when the capture is damaged."""
    with opened_trace(options.file) as trace:
        calls = _listed(trace, options)
        if not calls:
            tell(say("calls.none_beside", file=options.file))
        if options.json:
            sys.stdout.writelines(f"{json.dumps(_fields(call))}\n" for call in calls)
        else:
            painter = painter_for(options)
            lines = call_lines(calls, painter.width, ascii_only=painter.ascii)
            painter.paint_all(lines)
        return exit_status(trace)


def _listed(trace: Trace, options: argparse.Namespace) -> list[ListedCall]:
    index = CallIndex(calls_beside(options.file))
    listed = [
        ListedCall(conversation.number, sided)
        for conversation in chosen_conversations(trace, options)
        for sided in conversation_calls(index, conversation, trace.rows(conversation.number, 0)[0])
    ]
    return sorted(listed, key=lambda each: each.sided.call.enter_ns)


def _fields(listed: ListedCall) -> dict[str, object]:
    side, call, offsets, packets, known = listed.sided
    linked = {"offsets": offsets, "packets": packets, "packets_known": known}
    return {"conversation": listed.conversation, "side": side.name.lower(), **linked, **journal.fields(call)}
