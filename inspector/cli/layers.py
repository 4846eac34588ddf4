"""``inspector layers``: one packet, layer by layer."""

import argparse
import sys

from inspector.cli.common import existing_packet, exit_status, opened_trace, tell
from inspector.cli.keys import one_key
from inspector.decode.header_names import LINK
from inspector.render.layers_json import layers_line
from inspector.render.terminal import Painter, painter_for
from inspector.text import listed, say
from inspector.text.problems import UsageProblem
from inspector.trace.encapsulation import Encapsulation, EncapsulationReader
from inspector.trace.trace import Trace
from inspector.views.header_diagram import diagram_lines
from inspector.views.header_fields import field_lines
from inspector.views.hex_dump import fields_named, hex_lines
from inspector.views.ladder_layout import rule
from inspector.views.layer_walk import Step, paragraph_lines, picture, receiving, remarks, sending
from inspector.views.layers import boxes, heading, stack
from inspector.views.line import Line, line_of


def run(options: argparse.Namespace) -> int:
    """Draw or print it; exit status 3 when the capture is damaged."""
    with opened_trace(options.file) as trace:
        number = _packet_number(trace, options)
        packet = EncapsulationReader(trace).read(number)
        marked = fields_named(packet, options.field) if options.field else []
        if options.field and not marked:
            names = listed(dict.fromkeys(field.name for header in packet.headers for field in header.fields))
            raise UsageProblem("layers.unknown_field", packet=number, field=options.field, names=names)
        painter = painter_for(options)
        width = painter.width
        if options.json:
            sys.stdout.write(f"{layers_line(packet)}\n")
        elif options.step:
            _step(packet, trace.link_type(number), painter)
        elif options.hex or options.field or options.fields or options.diagram:
            painter.paint_all(heading(packet, width))
            painter.paint_all(field_lines(packet, width) if options.fields else ())
            painter.paint_all(diagram_lines(packet, width) if options.diagram else ())
            painter.paint_all(hex_lines(packet, marked, width) if options.hex or options.field else ())
        else:
            painter.paint_all(picture(packet, trace.link_type(number), width, ascii_only=painter.ascii))
        return exit_status(trace)


def _packet_number(trace: Trace, options: argparse.Namespace) -> int:
    """The packet that was asked for, or the first one with data."""
    if options.packet is not None:
        return existing_packet(trace, options.packet)
    number = existing_packet(trace, trace.first_with_data() or 1)
    tell(say("layers.chosen", packet=number, count=len(trace)))
    return number


def _step(packet: Encapsulation, link_type: int, painter: Painter) -> None:
    """One layer at a time, at each key: down to the wire, and up again."""
    width = painter.width
    painter.paint_all([*heading(packet, width), Line()])
    for key, steps in (("down", sending(packet)), ("up", receiving(packet))):
        painter.paint_all([line_of(rule(say(f"layers.{key}_title"), "", width))])
        lower = sum(step.header is not None for step in steps)
        for step in steps:
            painter.paint_all(
                [*paragraph_lines([step], width), *_left(packet, step, lower, painter, key == "up"), Line()]
            )
            sys.stdout.flush()
            if not one_key():
                return
    painter.paint_all(remarks(packet, link_type, width))


def _left(packet: Encapsulation, step: Step, lower: int, painter: Painter, unwrapping: bool) -> list[Line]:
    """The boxes that are there when a layer has done its work."""
    if step.header is None and step.osi < LINK:
        return boxes(packet, painter.width, ascii_only=painter.ascii)
    osi, outermost = (step.osi, lower) if step.header is None else (0, step.header + unwrapping)
    return stack(packet, painter.width, osi, outermost, ascii_only=painter.ascii)
