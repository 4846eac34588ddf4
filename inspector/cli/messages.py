"""``inspector messages``: where the messages of a byte stream begin and end, beside its segments and calls."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from inspector.calls.matching import CallIndex, SidedCall
from inspector.cli.common import calls_beside, chosen_conversations, exit_status, opened_trace, tell
from inspector.cli.framing import framing_opener
from inspector.render.terminal import Painter, painter_for
from inspector.tcp.states import Side
from inspector.text import say
from inspector.trace.calls import conversation_calls
from inspector.trace.conversation import Conversation
from inspector.trace.messages import call_spans, followed, framed, resolved, touching
from inspector.trace.trace import Trace
from inspector.views.line import Line
from inspector.views.messages import framing_words, stream_picture

_SCHEMA = 1
_DIRECTIONS = ("to-server", "to-client")


def run(options: argparse.Namespace) -> int:
    """Draw or list them; exit status 3 when the capture is damaged."""
    framing_opener(options.framing)
    with opened_trace(options.file) as trace:
        painter = painter_for(options)
        calls = calls_beside(options.file)
        index = CallIndex(calls) if calls else None
        for conversation in chosen_conversations(trace, options):
            if not conversation.payload_bytes:
                if options.conversation is not None:
                    tell(say("messages.no_stream", number=conversation.number))
                continue
            own = (
                () if index is None else conversation_calls(index, conversation, trace.rows(conversation.number, 0)[0])
            )
            if options.json:
                fields = _fields(trace, conversation, options, own)
                sys.stdout.writelines(f"{json.dumps(each)}\n" for each in fields)
            else:
                _draw(trace, conversation, options, own, painter)
        return exit_status(trace)


def _draw(
    trace: Trace, conversation: Conversation, options: argparse.Namespace, calls: Sequence[SidedCall], painter: Painter
) -> None:
    """The directions asked for."""
    found = framed(trace, conversation.number, options.framing, calls, bounded=True)
    for stream in found.streams:
        if stream.size and options.direction in (None, _DIRECTIONS[stream.sender]):
            words = framing_words(found)
            painter.paint_all(stream_picture(conversation, stream, words, painter.width, ascii_only=painter.ascii))
            painter.paint_all([Line()])


def _fields(
    trace: Trace, conversation: Conversation, options: argparse.Namespace, calls: Sequence[SidedCall]
) -> Iterator[dict[str, object]]:
    """The messages of the directions asked for, each when it is complete."""
    framing, _ = resolved(trace, conversation.number, options.framing)
    spans = [call_spans(calls, side) for side in Side]
    for side, (message, _, pieces) in followed(trace, conversation.number, framing):
        if options.direction not in (None, _DIRECTIONS[side]):
            continue
        moved = [each[at] for each in spans[side] for at in touching(each, message.start, message.end)]
        yield {
            "schema": _SCHEMA,
            "conversation": conversation.number,
            "direction": _DIRECTIONS[side],
            "framing": framing or "datagram",
            "start": message.start,
            "end": message.end,
            "header_end": message.header_end,
            "complete": message.complete,
            "kind": message.kind,
            "segments": list(dict.fromkeys(packet for _, packet in pieces)),
            "calls": [
                {"name": span.call.call.name, "start": span.start, "end": span.end} for span in moved if span.call
            ],
        }
