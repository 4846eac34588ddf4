"""``inspector explain``: why. A topic, one packet of a capture, or a capture as a whole."""

import argparse
from collections.abc import Iterator

from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.cli.common import calls_beside, exit_status, opened_trace
from inspector.cli.report import run_report
from inspector.cli.topic_pictures import read_scene
from inspector.cli.topics import list_topics, show
from inspector.explain.frame import CapturedFrame
from inspector.explain.rules import frame_reasons
from inspector.explain.topics import nearest, topics
from inspector.render.terminal import painter_for
from inspector.text.problems import FileProblem, UsageProblem
from inspector.trace.trace import Trace
from inspector.views.explanation import frame_page, packet_page
from inspector.views.line import Line


def run(options: argparse.Namespace) -> int:
    """Explain what was asked for; exit status 3 when the capture is damaged."""
    if options.packet is not None:
        return _explain_packet(options)
    if options.what is None:
        return list_topics(options)
    topic = topics().get(options.what)
    return _explain_capture(options) if topic is None else show(topic, options)


def _explain_packet(options: argparse.Namespace) -> int:
    if options.what is None or options.file is not None:
        raise UsageProblem("explain.packet_of_a_capture", number=options.packet)
    with opened_trace(options.what) as trace:
        painter = painter_for(options)
        if not 1 <= options.packet <= len(trace):
            raise UsageProblem("layers.unknown_packet", number=options.packet, count=len(trace))
        painter.paint_all(explained_packet(trace, options.packet, options.what, painter.width))
        return exit_status(trace)


def _explain_capture(options: argparse.Namespace) -> int:
    """A word that names no topic: a capture, or a mistake."""
    try:
        bundled.located(options.what)
    except FileProblem:
        near = nearest(options.what)
        key = "explain.no_such_topic" if near else "explain.nothing_of_that_name"
        raise UsageProblem(key, name=options.what, near=", ".join(near)) from None
    return run_report(options)


def explained_packet(trace: Trace, packet: int, file: str, width: int) -> Iterator[Line]:
    """The page of a packet: of its conversation, and of its frame alone where it is of none."""
    number = trace.values(packet).conversation
    if not number:
        frame = CapturedFrame(trace, packet, None)
        return frame_page(frame, frame_reasons(frame), width)
    scene = read_scene(trace, number, CallIndex(calls_beside(file)))
    frame = CapturedFrame(trace, packet, scene.moment(packet))
    return packet_page(scene, packet, frame_reasons(frame), width)
