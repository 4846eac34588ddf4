"""``inspector messages``: where the messages of a byte stream begin and end, beside its segments and calls."""

import argparse
import json
import sys
from collections.abc import Iterator

from inspector.calls.matching import CallIndex
from inspector.cli.common import calls_beside, chosen_conversations, exit_status, opened_trace, tell
from inspector.framing.registry import Opener, UnknownFraming, names, opener
from inspector.render.terminal import painter_for
from inspector.text import say
from inspector.text.problems import UsageProblem
from inspector.trace.calls import conversation_calls
from inspector.trace.conversation import Conversation
from inspector.trace.messages import MessageStream, Span, message_streams
from inspector.trace.trace import Trace
from inspector.views.line import Line, line_in_ascii
from inspector.views.messages import stream_picture

_SCHEMA = 1


def run(options: argparse.Namespace) -> int:
    """Draw or list them; exit status 3 when the capture is damaged."""
    try:
        framing = opener(options.framing)
    except UnknownFraming:
        raise UsageProblem("messages.unknown", framing=options.framing, names=", ".join(names())) from None
    with opened_trace(options.file) as trace:
        painter = painter_for(options)
        for conversation, stream in _streams(trace, options, framing):
            if options.json:
                sys.stdout.writelines(f"{json.dumps(each)}\n" for each in _fields(conversation, stream))
                continue
            lines = [*stream_picture(conversation, stream, options.framing, painter.width), Line()]
            painter.paint_all(map(line_in_ascii, lines) if painter.ascii else lines)
        return exit_status(trace)


def _streams(
    trace: Trace, options: argparse.Namespace, framing: Opener
) -> Iterator[tuple[Conversation, MessageStream]]:
    index = CallIndex(calls_beside(options.file))
    for conversation in chosen_conversations(trace, options):
        if conversation.protocol != "TCP":
            continue
        calls = conversation_calls(index, conversation, trace.rows(conversation.number, 0)[0])
        streams = [each for each in message_streams(trace, conversation.number, framing, calls) if each.data]
        if not streams and options.conversation is not None:
            tell(say("messages.no_stream", number=conversation.number))
        for stream in streams:
            if options.direction in (None, ("to-server", "to-client")[stream.sender]):
                yield conversation, stream


def _fields(conversation: Conversation, stream: MessageStream) -> Iterator[dict[str, object]]:
    for message in stream.messages:
        yield {
            "schema": _SCHEMA,
            "conversation": conversation.number,
            "direction": ("to-server", "to-client")[stream.sender],
            "start": message.start,
            "end": message.end,
            "header_end": message.header_end,
            "complete": message.complete,
            "kind": message.kind,
            "segments": [span.packet for span in _touching(stream.segments, message.start, message.end)],
            "sends": [[span.start, span.end] for span in _touching(stream.sends, message.start, message.end)],
            "receives": [[span.start, span.end] for span in _touching(stream.receives, message.start, message.end)],
        }


def _touching(spans: list[Span], start: int, end: int) -> list[Span]:
    return [span for span in spans if span.start < end and span.end > start]
