"""The topics of ``inspector explain``: listed, shown on bundled captures, on the user's own, or on a live run."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

from inspector import demos
from inspector.calls import journal
from inspector.calls.matching import CallIndex
from inspector.cli.common import calls_beside, exit_status, opened_trace, progress, tell
from inspector.cli.keys import one_key
from inspector.cli.running import LabelledOutput
from inspector.cli.topic_pictures import Capture, bundled_page, page, picture
from inspector.explain.narration import holds
from inspector.explain.topics import Topic, topics
from inspector.render.terminal import Painter, painter_for
from inspector.session.live import ended_by_signals
from inspector.session.run import demo_run
from inspector.text import listed, say
from inspector.text.problems import RightProblem, UsageProblem
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderOptions
from inspector.views.line import Line
from inspector.views.phases import verdict
from inspector.views.safe_text import safe_text
from inspector.views.topic_page import heading_lines, steps, topic_list

_CONVERSATIONS_TOLD = 3
_TOPICS_OFFERED = 6
_PACKETS_TOLD = 2000  # of each conversation, to find topics that can be offered


def list_topics(options: argparse.Namespace) -> int:
    """One line for each."""
    painter = painter_for(options)
    painter.paint_all(topic_list(topics().values(), painter.width))
    return 0


def show(topic: Topic, options: argparse.Namespace) -> int:
    """The page of a topic; exit status 1 when the capture does not have it."""
    painter = painter_for(options)
    if options.live:
        return _show_live(topic, painter, options)
    if options.file is not None:
        return _show_in(topic, options.file, say("explain.in_capture", file=safe_text(options.file)), painter, options)
    _paint(bundled_page(topic, _drawing(painter)), painter, options)
    return 0


def _drawing(painter: Painter) -> LadderOptions:
    return LadderOptions(width=painter.width, ascii=painter.ascii)


def _paint(lines: Iterable[Line], painter: Painter, options: argparse.Namespace) -> None:
    """All of it, or up to the next narrated row at each key."""
    for place, portion in enumerate(steps(lines) if options.step else [lines]):
        if place and not one_key():
            return
        painter.paint_all(portion)


def _show_in(topic: Topic, file: str, heading: str, painter: Painter, options: argparse.Namespace) -> int:
    """On a capture: the first conversation that has it."""
    with opened_trace(file) as trace:
        capture = Capture(trace, CallIndex(calls_beside(file)))
        numbers = _numbers(trace, options.conversation)
        number = _first_with(topic, capture, numbers)
        if number is None:
            _tell_absent(topic, file, capture, numbers)
            return exit_status(trace) or 1
        drawing = _drawing(painter)
        pictures = chain(heading_lines(heading, painter.width), picture(topic, capture, number, None, drawing))
        _paint(page(topic, pictures, drawing), painter, options)
        return exit_status(trace)


def _first_with(topic: Topic, capture: Capture, numbers: Sequence[int]) -> int | None:
    """The first conversation that shows the topic; a large capture takes half a minute when none does."""
    with progress() as report:
        for looked_at, number in enumerate(numbers):
            if report is not None:
                report(looked_at, len(numbers))
            if _has(topic, capture, number):
                return number
    return None


def _numbers(trace: Trace, asked: int | None) -> Sequence[int]:
    """The conversations to look at."""
    if asked is None:
        return range(1, trace.conversation_count + 1)
    if not 1 <= asked <= trace.conversation_count:
        raise UsageProblem("command.no_such_conversation", number=asked, count=trace.conversation_count)
    return [asked]


def _has(topic: Topic, capture: Capture, number: int) -> bool:
    """Whether a conversation shows the topic; where no rule tells, any with data does."""
    if topic.rules:
        return holds(capture.scene(number), topic.deciding)
    return bool(capture.trace.conversation(number).payload_bytes)


def _tell_absent(topic: Topic, file: str, capture: Capture, numbers: Sequence[int]) -> None:
    """That a capture does not have it, what it has instead, and what can be shown."""
    tell(say("explain.absent", topic=topic.name, title=say(f"topics.{topic.area}.title"), file=file))
    looked_at = [capture.scene(number) for number in numbers[:_CONVERSATIONS_TOLD]]
    for scene in looked_at:
        conversation = scene.conversation
        how = say("explain.no_connection") if scene.end is None else verdict(scene.end)
        name = f"{conversation.protocol} {conversation.number}"
        tell(say("explain.instead", name=name, client=conversation.client, server=conversation.server, how=how))
    others = [
        each.name
        for each in topics().values()
        if any(holds(scene, each.deciding, _PACKETS_TOLD) for scene in looked_at)
    ]
    if others:
        tell(say("explain.has", topics=listed(others[:_TOPICS_OFFERED]), first=others[0], file=file))
    tell(say("explain.bundled", topic=topic.name))


def _show_live(topic: Topic, painter: Painter, options: argparse.Namespace) -> int:
    """On what the topic's demo sends now; on bundled captures where no private network can be made."""
    demo = demos.find(topic.demo) if topic.demo is not None else None
    if demo is None:
        raise UsageProblem("explain.no_demo", topic=topic.name)
    output = LabelledOutput(sys.stderr, demo.roles)
    with TemporaryDirectory(prefix="inspector-") as folder:
        file = Path(folder) / f"{demo.name}.pcapng"
        variant = topic.demo_variant or demo.variants[0]
        tell(say("demo.running", name=demo.name, about=say(f"topics.{topic.area}.title")))
        try:
            with demo_run(demo, variant, output.write, write=str(file)) as running:
                with ended_by_signals(running.interrupt):
                    for _ in running.events():
                        pass
                journal.save(journal.path_beside(str(file)), running.calls())
        except RightProblem as forbidden:
            tell(say("demo.recorded", name=demo.name, reason=str(forbidden)))
            _paint(bundled_page(topic, _drawing(painter)), painter, options)
            return 0
        return _show_in(topic, str(file), say("explain.in_run", demo=demo.name), painter, options)
