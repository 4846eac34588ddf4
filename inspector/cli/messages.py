"""``inspector messages``: where the messages of a byte stream begin and end, beside its segments and calls."""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence

from inspector.calls.matching import CallIndex, SidedCall
from inspector.cli.common import calls_beside, chosen_conversations, exit_status, opened_trace, tell
from inspector.cli.framing import framing_opener
from inspector.render.terminal import painter_for
from inspector.text import say
from inspector.trace.calls import conversation_calls
from inspector.trace.conversation import Conversation
from inspector.trace.messages import MessageStream, framed, touching
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
        for conversation, stream, framing in _streams(trace, options):
            if options.json:
                sys.stdout.writelines(f"{json.dumps(each)}\n" for each in _fields(conversation, stream))
                continue
            lines = [*stream_picture(conversation, stream, framing, painter.width), Line()]
            painter.paint_all(lines)
        return exit_status(trace)


def _streams(trace: Trace, options: argparse.Namespace) -> Iterator[tuple[Conversation, MessageStream, str]]:
    """The directions asked for, each with what is to be said of its framing."""
    calls = calls_beside(options.file)
    index = CallIndex(calls) if calls else None
    for conversation in chosen_conversations(trace, options):
        if not conversation.payload_bytes:
            if options.conversation is not None:
                tell(say("messages.no_stream", number=conversation.number))
            continue
        found = framed(trace, conversation.number, options.framing, _calls(trace, conversation, index))
        for stream in found.streams:
            if stream.data and options.direction in (None, _DIRECTIONS[stream.sender]):
                yield conversation, stream, framing_words(found)


def _calls(trace: Trace, conversation: Conversation, index: CallIndex | None) -> Sequence[SidedCall]:
    if index is None:
        return ()
    return conversation_calls(index, conversation, trace.rows(conversation.number, 0)[0])


def _fields(conversation: Conversation, stream: MessageStream) -> Iterator[dict[str, object]]:
    for message in stream.messages:
        segments = (stream.segments[at].packet for at in touching(stream.segments, message.start, message.end))
        moved = [
            spans[at] for spans in (stream.sends, stream.receives) for at in touching(spans, message.start, message.end)
        ]
        yield {
            "schema": _SCHEMA,
            "conversation": conversation.number,
            "direction": _DIRECTIONS[stream.sender],
            "start": message.start,
            "end": message.end,
            "header_end": message.header_end,
            "complete": message.complete,
            "kind": message.kind,
            "segments": list(segments),
            "calls": [
                {"name": span.call.call.name, "start": span.start, "end": span.end} for span in moved if span.call
            ],
        }
