"""``inspector explain``: why a packet was sent, what it changed and what follows."""

import argparse

from inspector.calls.matching import CallIndex
from inspector.cli.common import calls_beside, exit_status, opened_trace
from inspector.cli.report import run_report
from inspector.explain.rules import reasons
from inspector.explain.scene import Scene
from inspector.render.terminal import painter_for
from inspector.text.problems import UsageProblem
from inspector.trace.calls import conversation_calls
from inspector.trace.trace import Trace
from inspector.views.explanation import packet_page

_PAYLOAD_SHOWN_BYTES = 256


def run(options: argparse.Namespace) -> int:
    """Explain what was asked for; exit status 3 when the capture is damaged."""
    if options.packet is None:
        return run_report(options)
    with opened_trace(options.what) as trace:
        painter = painter_for(options)
        if not 1 <= options.packet <= len(trace):
            raise UsageProblem("layers.unknown_packet", number=options.packet, count=len(trace))
        number = trace.values(options.packet).conversation
        scene = read_scene(trace, number, CallIndex(calls_beside(options.what)))
        moment = scene.moment(options.packet)
        painter.paint_all(packet_page(scene, options.packet, reasons(moment), painter.width))
        return exit_status(trace)


def read_scene(trace: Trace, number: int, calls: CallIndex) -> Scene:
    """A conversation with all its packets and calls."""
    conversation = trace.conversation(number)
    rows, end = trace.rows(number, _PAYLOAD_SHOWN_BYTES)
    return Scene(conversation, rows, end, conversation_calls(calls, conversation, rows))
