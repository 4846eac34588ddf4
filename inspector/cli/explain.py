"""``inspector explain``: why. A topic, one packet of a capture, or a capture as a whole."""

import argparse
import sys
from collections.abc import Iterator

from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.cli.common import calls_beside, existing_packet, exit_status, opened_trace
from inspector.cli.report import run_report
from inspector.cli.topic_pictures import read_scene
from inspector.cli.topics import list_topics, show
from inspector.explain.frame import CapturedFrame
from inspector.explain.reason import Reason
from inspector.explain.rules import frame_reasons
from inspector.explain.scene import Scene
from inspector.explain.topics import Topic, nearest, topics
from inspector.render.reasons_json import packet_reasons_line
from inspector.render.terminal import painter_for
from inspector.text import listed
from inspector.text.problems import FileProblem, UsageProblem
from inspector.trace.trace import Trace
from inspector.views.explanation import frame_page, packet_page
from inspector.views.line import Line

_PACKET = "FILE --packet N"
_GOES_WITH = {  # by option, what it can be added to
    "live": ("TOPIC",),
    "step": ("TOPIC", "TOPIC FILE"),
    "conversation": ("FILE", "TOPIC FILE"),
    "json": ("FILE", _PACKET),
}


def run(options: argparse.Namespace) -> int:
    """Explain what was asked for; exit status 3 when the capture is damaged."""
    topic = topics().get(options.what) if options.packet is None else None
    _refuse_misfits(options, topic)
    if options.packet is not None:
        return _explain_packet(options)
    if options.what is None:
        return list_topics(options)
    return _explain_capture(options) if topic is None else show(topic, options)


def _refuse_misfits(options: argparse.Namespace, topic: Topic | None) -> None:
    """Options that would be ignored are mistakes."""
    form = "TOPIC" if topic is not None else "" if options.what is None else "FILE"
    if options.packet is not None:
        form = _PACKET
    elif topic is not None and options.file is not None:
        form = "TOPIC FILE"
    for name, forms in _GOES_WITH.items():
        if getattr(options, name) and form not in forms:
            commands = listed(f"inspector explain {each} --{name}" for each in forms)
            raise UsageProblem("explain.goes_with", option=f"--{name}", commands=commands)


def _explain_packet(options: argparse.Namespace) -> int:
    if options.what is None or options.file is not None:
        raise UsageProblem("explain.packet_of_a_capture", number=options.packet)
    with opened_trace(options.what) as trace:
        painter, packet = painter_for(options), existing_packet(trace, options.packet)
        if options.json:
            reasons = explained(trace, packet, options.what)[1]
            sys.stdout.write(f"{packet_reasons_line(packet, trace.values(packet).conversation, reasons)}\n")
        else:
            painter.paint_all(explained_packet(trace, packet, options.what, painter.width))
        return exit_status(trace)


def _explain_capture(options: argparse.Namespace) -> int:
    """A word that names no topic: a capture, or a mistake."""
    try:
        bundled.located(options.what)
    except FileProblem:
        near = nearest(options.what, bundled.names())
        key = "explain.no_such_topic" if near else "explain.nothing_of_that_name"
        raise UsageProblem(key, name=options.what, near=listed(near)) from None
    if options.file is not None:
        raise UsageProblem("explain.capture_for_topic", name=options.what, file=options.file)
    return run_report(options)


def explained(trace: Trace, packet: int, file: str) -> tuple[Scene | None, list[Reason]]:
    """What is known about a packet, and the conversation it is of."""
    number = trace.values(packet).conversation
    scene = read_scene(trace, number, CallIndex(calls_beside(file))) if number else None
    frame = CapturedFrame(trace, packet, None if scene is None else scene.moment(packet))
    return scene, frame_reasons(frame)


def explained_packet(trace: Trace, packet: int, file: str, width: int) -> Iterator[Line]:
    """The page of a packet: of its conversation, and of its frame alone where it is of none."""
    scene, reasons = explained(trace, packet, file)
    if scene is None:
        return frame_page(CapturedFrame(trace, packet, None), reasons, width)
    return packet_page(scene, packet, reasons, width)
