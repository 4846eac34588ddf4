"""``inspector demo``: run a bundled client and server in a private network and draw what they send."""

import argparse
import sys

from inspector.capture import bundled
from inspector.cli import replay
from inspector.cli.common import ladder_options, tell
from inspector.cli.running import LabelledOutput, draw
from inspector.demos import DEMOS, ROLES, Demo
from inspector.render.terminal import Painter, painter_for
from inspector.session.run import Command, Run
from inspector.text import say
from inspector.text.problems import RightProblem, UsageProblem
from inspector.views.ladder import LadderOptions

_DEFAULT = "hello"
_LONGEST_S = 30.0  # a demo that takes longer is stuck


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
    commands = [Command(role, demo.command(role)) for role in ROLES]
    output = LabelledOutput(sys.stderr, ROLES)
    with Run(commands, output.write, longest_s=_LONGEST_S, write=options.write, overwrite=options.overwrite) as running:
        tell(say("demo.running", name=demo.name))
        draw(running, painter, drawing, options.write)
        failures = [(label, status) for label, status in running.statuses() if status]
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
