"""``inspector doctor``: what this machine allows, and how to get what is missing."""

import argparse
import os
import sys

from inspector.render.terminal import Painter, painter_for
from inspector.session.doctor import Check, Screen, checks
from inspector.text import say
from inspector.views.ladder_layout import wrapped
from inspector.views.line import Line, Span, line_of
from inspector.views.safe_text import cells

_TITLE_CELLS = 17


def run(options: argparse.Namespace) -> int:
    """Each finding as it is made; the exit status is 0: an ordinary user lacks rights on a sound machine too."""
    painter = painter_for(options)
    for check in checks(sys.argv[0], _screen(painter)):
        painter.paint_all(_lines(check, painter.width))
    return 0


def _screen(painter: Painter) -> Screen:
    rows = os.get_terminal_size(sys.stdout.fileno()).lines if sys.stdout.isatty() else None
    return Screen(painter.width, rows, painter.colored, painter.ascii, sys.stdout.encoding)


def _lines(check: Check, width: int) -> list[Line]:
    title = say(f"doctor.{check.name}")
    beginnings = [Span(title + " " * (_TITLE_CELLS - cells(title)), "head"), Span(" " * _TITLE_CELLS)]
    texts = wrapped(check.found.split(" "), max(20, width - _TITLE_CELLS), " ")
    lines = [line_of([beginnings[index > 0], Span(text)]) for index, text in enumerate(texts)]
    if check.remedy:  # never wrapped: it may be a command to copy
        lines.append(line_of([beginnings[1], Span(say("doctor.remedy", remedy=check.remedy), "label.problem")]))
    return lines
