"""``inspector follow``: what the two programs of a conversation said to each other, reassembled."""

import argparse
import sys
from collections.abc import Iterable, Iterator

from inspector.cli.common import chosen_conversations, exit_status, opened_trace, tell
from inspector.render.terminal import painter_for
from inspector.tcp.reassembly import Gap, Piece
from inspector.tcp.states import Side
from inspector.text import say
from inspector.text.problems import UsageProblem
from inspector.views.stream import stream_lines

_SENDERS = {"to-server": Side.CLIENT, "to-client": Side.SERVER}

Parts = Iterable[tuple[Side, Piece | Gap]]


def run(options: argparse.Namespace) -> int:
    """Show the stream; exit status 3 when the capture is damaged."""
    sides = (_SENDERS[options.direction],) if options.direction else tuple(Side)
    if options.raw and len(sides) > 1:
        raise UsageProblem("command.raw_needs_direction")
    with opened_trace(options.file) as trace:
        [conversation] = chosen_conversations(trace, options)
        parts = _naming_gaps(trace.stream(conversation.number, sides))
        if options.raw:
            for _, piece in parts:
                sys.stdout.buffer.write(piece.data)
            sys.stdout.buffer.flush()
        else:
            painter = painter_for(options)
            for line in stream_lines(parts, hexadecimal=options.hex, width=painter.width):
                painter.paint(line)
        return exit_status(trace)


def _naming_gaps(parts: Parts) -> Iterator[tuple[Side, Piece]]:
    """Only the bytes that were captured; what is missing between them is said on stderr."""
    for side, part in parts:
        if isinstance(part, Gap):
            direction = next(name for name, sender in _SENDERS.items() if sender is side)
            text = say("command.gap", direction=direction, count=part.end - part.start, start=part.start, end=part.end)
            tell(text)
        else:
            yield side, part
