"""``inspector replay``: the ladders of a capture file, at once, in its own rhythm, or step by step."""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace

from inspector.calls.matching import CallIndex
from inspector.cli.common import (
    calls_beside,
    chosen_conversations,
    exit_status,
    ladder_options,
    opened_trace,
    paint_table,
    selection_of,
    table_entries,
    tell,
)
from inspector.cli.keys import one_key
from inspector.render.terminal import Painter, painter_for
from inspector.text import say
from inspector.trace.calls import conversation_calls
from inspector.trace.conversation import Conversation
from inspector.trace.encapsulation import EncapsulationReader
from inspector.trace.trace import Trace
from inspector.views.ladder import Ladder, LadderOptions, LadderPart, ladders_of
from inspector.views.layers import boxes, heading
from inspector.views.line import Line

_MOST_LADDERS = 20
_PAYLOAD_SHOWN_BYTES = 256
_NS_PER_S = 1e9


def run(options: argparse.Namespace) -> int:
    """Draw them; exit status 3 when the capture is damaged."""
    with opened_trace(options.file) as trace:
        painter = painter_for(options)
        conversations = chosen_conversations(trace, options)
        drawing = ladder_options(options, painter)
        if len(conversations) > _MOST_LADDERS:
            paint_table(painter, table_entries(trace, conversations, selection_of(options)))
            tell(say("command.many_ladders", file=options.file))
        elif options.layers:
            _paint_layers(trace, conversations, painter)
        elif options.step or options.speed:
            several = len(conversations) > 1  # their rows interleave, so each needs the number of its own
            _in_time(trace, conversations, painter, replace(drawing, live=several), options)
        else:
            calls = CallIndex(calls_beside(options.file))
            parts = _ladders(trace, conversations, calls)
            painter.paint_all(ladders_of(map(_explained, parts) if options.explain else parts, drawing))
        if not conversations:
            tell(say("command.nothing_to_draw", count=len(trace)))
        return exit_status(trace)


def _ladders(trace: Trace, conversations: list[Conversation], calls: CallIndex) -> Iterator[LadderPart]:
    for conversation in conversations:
        rows, end = trace.rows(conversation.number, _PAYLOAD_SHOWN_BYTES)
        yield LadderPart(conversation, end, rows, conversation_calls(calls, conversation, rows))


def _explained(part: LadderPart) -> LadderPart:
    """The same with the reasons of each packet below it; only this needs the rules, which take 10 ms to import."""
    from inspector.explain.narration import of_row
    from inspector.explain.scene import Scene
    from inspector.views.explanation import below_row

    scene = Scene(part.conversation, part.rows, part.end, part.calls)
    return part._replace(below=lambda packet, width: list(below_row(of_row(scene, packet), width)))


def _paint_layers(trace: Trace, conversations: list[Conversation], painter: Painter) -> None:
    """Every packet of the conversations layer by layer, in the order of the capture."""
    reader = EncapsulationReader(trace)
    for number in trace.packets_of([conversation.number for conversation in conversations]):
        packet, width = reader.read(number), painter.width
        painter.paint_all([*heading(packet, width), *boxes(packet, width, ascii_only=painter.ascii), Line()])


def _in_time(
    trace: Trace,
    conversations: list[Conversation],
    painter: Painter,
    drawing: LadderOptions,
    options: argparse.Namespace,
) -> None:
    """Rows of all conversations in the order of the capture, each when a key is pressed or its time has come."""
    last_ns: int | None = None
    for lines, time_ns in _rows_in_order(trace, conversations, drawing, options):
        if options.step and last_ns is not None and not one_key():
            return
        if options.speed and last_ns is not None:
            time.sleep(max(0, time_ns - last_ns) / _NS_PER_S / options.speed)
        last_ns = time_ns
        for line in lines:
            painter.paint(line)


def _rows_in_order(
    trace: Trace, conversations: list[Conversation], drawing: LadderOptions, options: argparse.Namespace
) -> Iterator[tuple[list[Line], int]]:
    """What each packet adds to the picture, and when it came."""
    calls = CallIndex(calls_beside(options.file) if options.explain else [])
    parts = {part.conversation.number: part for part in _ladders(trace, conversations, calls)}
    if options.explain:
        parts = {number: _explained(part) for number, part in parts.items()}
    ladders = {number: Ladder(drawing) for number in parts}
    order = [(row.packet, number, place) for number, part in parts.items() for place, row in enumerate(part.rows)]
    for packet, number, place in sorted(order):
        part = parts[number]
        lines = ladders[number].head(part.conversation) if place == 0 else []
        lines += ladders[number].feed(part.rows[place])
        lines += part.below(packet, drawing.width) if part.below else []
        if place == len(part.rows) - 1:
            lines += ladders[number].finish(part.conversation, part.end)
        yield lines, part.rows[place].time_ns
