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
from inspector.trace.messages import MessageStream, Span, datagram_streams, inferred, message_streams
from inspector.trace.trace import Trace
from inspector.views.line import Line
from inspector.views.messages import stream_picture

_SCHEMA = 1
_AUTO = "auto"
_DIRECTIONS = ("to-server", "to-client")


def run(options: argparse.Namespace) -> int:
    """Draw or list them; exit status 3 when the capture is damaged."""
    if options.framing != _AUTO:
        _opener(options.framing)
    with opened_trace(options.file) as trace:
        painter = painter_for(options)
        for conversation, stream, framing in _streams(trace, options):
            if options.json:
                sys.stdout.writelines(f"{json.dumps(each)}\n" for each in _fields(conversation, stream))
                continue
            lines = [*stream_picture(conversation, stream, framing, painter.width), Line()]
            painter.paint_all(lines)
        return exit_status(trace)


def _opener(framing: str) -> Opener:
    try:
        return opener(framing)
    except UnknownFraming:
        known = ", ".join([_AUTO, *names()])
        raise UsageProblem("messages.unknown", framing=framing, names=known) from None


def _streams(trace: Trace, options: argparse.Namespace) -> Iterator[tuple[Conversation, MessageStream, str]]:
    """The directions asked for, each with what is to be said of its framing."""
    index = CallIndex(calls_beside(options.file))
    for conversation in chosen_conversations(trace, options):
        if not conversation.payload_bytes:
            if options.conversation is not None:
                tell(say("messages.no_stream", number=conversation.number))
            continue
        calls = conversation_calls(index, conversation, trace.rows(conversation.number, 0)[0])
        if conversation.protocol == "TCP":
            framing, words = _framing(trace, conversation.number, options.framing)
            streams = message_streams(trace, conversation.number, _opener(framing), calls)
        else:
            words, streams = say("messages.datagrams"), datagram_streams(trace, conversation.number, calls)
        for stream in streams:
            if stream.data and options.direction in (None, _DIRECTIONS[stream.sender]):
                yield conversation, stream, words


def _framing(trace: Trace, number: int, wish: str) -> tuple[str, str]:
    """The framing of a conversation, and the words for it: how it was found, when it was not asked for."""
    if wish != _AUTO:
        return wish, wish
    best, next_best = inferred(trace, number)
    if best is None:
        return "raw", say("messages.none_fits")
    explained = 0 if next_best is None else next_best.messages
    other = "" if next_best is None or next_best.bits <= 0 else next_best.framing
    key = "messages.inferred_alone" if not other else "messages.inferred"
    return best.framing, say(key, framing=best.framing, count=best.messages, other=other, explained=explained)


def _fields(conversation: Conversation, stream: MessageStream) -> Iterator[dict[str, object]]:
    for message in stream.messages:
        yield {
            "schema": _SCHEMA,
            "conversation": conversation.number,
            "direction": _DIRECTIONS[stream.sender],
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
