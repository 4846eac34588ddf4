"""``inspector explain``: why a packet was sent, what it changed and what follows."""

import argparse
from collections.abc import Iterator

from inspector.calls.matching import CallIndex
from inspector.cli.common import calls_beside, exit_status, opened_trace
from inspector.explain.frame import CapturedFrame
from inspector.explain.rules import frame_reasons
from inspector.explain.scene import Scene
from inspector.render.terminal import painter_for
from inspector.text.problems import UsageProblem
from inspector.trace.calls import conversation_calls
from inspector.trace.trace import Trace
from inspector.views.explanation import frame_page, packet_page
from inspector.views.line import Line

_PAYLOAD_SHOWN_BYTES = 256


def run(options: argparse.Namespace) -> int:
    """Explain what was asked for; exit status 3 when the capture is damaged."""
    with opened_trace(options.what) as trace:
        painter = painter_for(options)
        if not 1 <= options.packet <= len(trace):
            raise UsageProblem("layers.unknown_packet", number=options.packet, count=len(trace))
        painter.paint_all(explained_packet(trace, options.packet, options.what, painter.width))
        return exit_status(trace)


def explained_packet(trace: Trace, packet: int, file: str, width: int) -> Iterator[Line]:
    """The page of a packet: of its conversation, and of its frame alone where it is of none."""
    number = trace.values(packet).conversation
    if not number:
        frame = CapturedFrame(trace, packet, None)
        return frame_page(frame, frame_reasons(frame), width)
    scene = read_scene(trace, number, CallIndex(calls_beside(file)))
    frame = CapturedFrame(trace, packet, scene.moment(packet))
    return packet_page(scene, packet, frame_reasons(frame), width)


def read_scene(trace: Trace, number: int, calls: CallIndex) -> Scene:
    """A conversation with all its packets and calls."""
    conversation = trace.conversation(number)
    rows, end = trace.rows(number, _PAYLOAD_SHOWN_BYTES)
    return Scene(conversation, rows, end, conversation_calls(calls, conversation, rows))
