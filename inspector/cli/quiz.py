"""``inspector quiz``: predict the next packet, its numbers, the state it brings."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from random import Random

from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.cli.common import calls_beside, exit_status, opened_trace
from inspector.explain.quiz import LETTERS, Question, chosen, questions_of
from inspector.explain.rules import RULES
from inspector.explain.scene import Scene
from inspector.explain.topics import nearest
from inspector.render.terminal import Painter, painter_for
from inspector.text import listed, say
from inspector.text.problems import FileProblem, UsageProblem
from inspector.trace.calls import conversation_calls
from inspector.trace.trace import Trace
from inspector.views.explanation import indented
from inspector.views.ladder import LadderOptions
from inspector.views.quiz import answer_lines, question_lines, score_lines

_CAPTURES = """handshake hello teardown teardown-three half-close close-wait chat frames ipv6 refused late-send
simultaneous-open rst-unread time-wait""".split()  # noqa: SIM905
_CONVERSATIONS = 50  # of a capture that are asked about
_ROWS = 200  # of a conversation: answers have to lie among them
_PAYLOAD_BYTES = 256
_QUIT = "q"


def run(options: argparse.Namespace) -> int:
    """Ask, explain, and tell the score; exit status 3 when the capture is damaged."""
    random = Random(options.seed)
    topic, names = _asked_about(options.what)
    painter, status = painter_for(options), 0
    with ExitStack() as opened:
        traces = [(name, opened.enter_context(opened_trace(name))) for name in names]
        questions = [
            question
            for name, trace in traces
            for scene in _scenes(name, trace)
            for question in questions_of(scene, random)
        ]
        asked = chosen(questions, options.count, random, topic)
        if asked:
            _quiz(asked, painter)
        else:
            painter.paint_all(indented(say("quiz.nothing"), "legend", "", painter.width))
        for _, trace in traces:
            status = max(status, exit_status(trace))
    return status


def _asked_about(what: str | None) -> tuple[str | None, list[str]]:
    """The topic, if one limits the questions, and the captures."""
    topics = {rule.topic for rule in RULES}
    if what is None or what in topics:
        return what, _CAPTURES
    try:
        bundled.located(what)
    except FileProblem:
        near = nearest(what, bundled.names())
        key = "explain.no_such_topic" if near else "quiz.unknown"
        raise UsageProblem(key, name=what, near=listed(near), topics=listed(sorted(topics))) from None
    return None, [what]


def _scenes(name: str, trace: Trace) -> Iterator[Scene]:
    """The first TCP conversations of a capture, with their calls."""
    calls = CallIndex(calls_beside(name))
    tcp = (each for each in trace.conversations() if each.protocol == "TCP" and each.packets > 1)
    for conversation in islice(tcp, _CONVERSATIONS):
        rows, end = trace.rows(conversation.number, _PAYLOAD_BYTES, _ROWS)
        yield Scene(conversation, rows, end, conversation_calls(calls, conversation, rows))


def _quiz(questions: list[Question], painter: Painter) -> None:
    right = asked = 0
    drawing = LadderOptions(width=painter.width, ascii=painter.ascii)
    for number, question in enumerate(questions, start=1):
        painter.paint_all(question_lines(question, number, len(questions), drawing))
        answer = _answer(painter)
        if answer is None:
            break
        asked += 1
        right += answer == question.right
        painter.paint_all(answer_lines(question, answer, painter.width))
    painter.paint_all(score_lines(right, asked, painter.width))


def _answer(painter: Painter) -> int | None:
    """The place of the letter that was typed; None at the end of input, or to quit."""
    key = "quiz.prompt"
    while True:
        painter.paint_all(indented(say(key), "", "", painter.width))
        sys.stdout.flush()
        line = sys.stdin.readline()
        word = line.strip().lower()
        if not line or word == _QUIT:
            return None
        if len(word) == 1 and word in LETTERS:
            return LETTERS.index(word)
        key = "quiz.again"
