"""``inspector demo``: run a bundled client and server in a private network and draw what they send."""

import argparse

from inspector.capture import bundled
from inspector.cli import replay
from inspector.cli.common import ladder_options, tell
from inspector.demos import DEMOS, Demo
from inspector.render.terminal import Painter, painter_for
from inspector.session.demonstration import Demonstration
from inspector.session.live import ended_by_signals
from inspector.text import say
from inspector.text.problems import RightProblem, UsageProblem
from inspector.trace.conversation import Row
from inspector.trace.live import LiveConversation
from inspector.views.ladder import LadderOptions, ladders_of

_DEFAULT = "hello"


def run(options: argparse.Namespace) -> int:
    """Run one, or list them."""
    if options.list:
        width = max(map(len, DEMOS))
        for name in DEMOS:
            print(f"{name:<{width}}  {say(f'demo.{name}')}")
        return 0
    demo = DEMOS.get(options.name or _DEFAULT)
    if demo is None:
        raise UsageProblem("demo.unknown", name=options.name, names=", ".join(DEMOS))
    painter = painter_for(options)
    try:
        return _run_live(demo, painter, ladder_options(options, painter), options)
    except RightProblem as forbidden:
        return _show_recorded(demo, options, forbidden)


def _run_live(demo: Demo, painter: Painter, drawing: LadderOptions, options: argparse.Namespace) -> int:
    rows: dict[LiveConversation, list[Row]] = {}
    with (
        Demonstration(demo, write=options.write, overwrite=options.overwrite) as running,
        ended_by_signals(running.session.capture.stop),
    ):
        tell(say("demo.running", name=demo.name))
        for arrival in running.events():
            if arrival is not None and arrival.conversation is not None:
                rows.setdefault(arrival.conversation, []).append(arrival.row)
        failures = running.failures()
    parts = ((conversation.summary(), conversation.reader.end(), its_rows) for conversation, its_rows in rows.items())
    painter.paint_all(ladders_of(parts, drawing))
    for role, status in failures:
        tell(say("demo.failed", name=demo.name, role=role, status=status))
    return 1 if failures else 0


def _show_recorded(demo: Demo, options: argparse.Namespace, forbidden: RightProblem) -> int:
    """Where no private network can be made: the same demo as it was captured elsewhere."""
    path = bundled.find(demo.name)
    if path is None or options.write:
        raise forbidden
    tell(say("demo.recorded", name=demo.name, reason=str(forbidden)))
    recorded = argparse.Namespace(
        **vars(options) | {"file": str(path), "conversation": None, "step": False, "speed": None}
    )
    return replay.run(recorded)
