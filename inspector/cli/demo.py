"""``inspector demo``: run a bundled client and server in a private network and draw what they send."""

import argparse
import sys

from inspector import demos
from inspector.capture import bundled
from inspector.cli import replay
from inspector.cli.common import ladder_options, tell
from inspector.cli.running import LabelledOutput, draw
from inspector.demos import Demo
from inspector.render.terminal import Painter, painter_for
from inspector.session.run import demo_run
from inspector.text import clauses, listed, say
from inspector.text.problems import RightProblem, UsageProblem
from inspector.views.ladder import LadderOptions
from inspector.views.paragraphs import paragraphs

_DEFAULT = "hello"


def run(options: argparse.Namespace) -> int:
    """Run one, or list them."""
    if options.list:
        width = max(map(len, demos.names()))
        for name in demos.names():
            print(f"{name:<{width}}  {_about(name)}")
        return 0
    demo = demos.find(options.name or _DEFAULT)
    if demo is None:
        raise UsageProblem("demo.unknown", name=options.name, names=listed(demos.names()))
    variant = options.variant or demo.variants[0]
    if variant not in demo.variants:
        raise UsageProblem("demo.no_variant", name=demo.name, variant=variant, variants=listed(demo.variants))
    painter = painter_for(options)
    painter.prepare()
    drawing = ladder_options(options, painter)
    try:
        return _run_live(demo, variant, painter, drawing, options)
    except RightProblem as forbidden:
        status = _show_recorded(demo, variant, options, forbidden)
        _lesson(demo, variant, painter)
        return status


def _about(name: str) -> str:
    return say(f"demo.{name.replace('-', '_')}")


def _lesson(demo: Demo, variant: str, painter: Painter) -> None:
    """What happened and what it teaches, under the picture."""
    name = demo.name.replace("-", "_")
    texts = [(say(f"demo.{part}_title"), say(f"demo.{name}_{part}")) for part in ("steps", "lesson")]
    others = [f"inspector demo {demo.name} --variant {other}" for other in demo.variants if other != variant]
    if others:
        texts.append((say("demo.variants_title"), clauses(others)))
    painter.paint_all(paragraphs(texts, painter.width))


def _run_live(demo: Demo, variant: str, painter: Painter, drawing: LadderOptions, options: argparse.Namespace) -> int:
    output = LabelledOutput(sys.stderr, demo.roles)
    with demo_run(demo, variant, output.write, write=options.write, overwrite=options.overwrite) as running:
        tell(say("demo.running", name=demo.name, about=_about(demo.name)))
        draw(running, painter, drawing, options.write)
        _lesson(demo, variant, painter)
        failures = [(label, status) for label, status in running.statuses() if status]
    for role, status in failures:
        tell(say("demo.failed", name=demo.name, role=role, status=status))
    return 1 if failures else 0


def _show_recorded(demo: Demo, variant: str, options: argparse.Namespace, forbidden: RightProblem) -> int:
    """Where no private network can be made: the same demo as it was captured elsewhere."""
    path = bundled.find(demo.capture(variant))
    if path is None or options.write:
        raise forbidden
    tell(say("demo.recorded", name=demo.name, reason=str(forbidden)))
    unasked = {"conversation": None, "step": False, "speed": None, "explain": False, "layers": False}
    recorded = argparse.Namespace(**vars(options) | unasked | {"file": str(path)})
    return replay.run(recorded)
