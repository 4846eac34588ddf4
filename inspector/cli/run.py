"""``inspector run``: programs in a private network, drawn with their socket calls."""

import argparse
import contextlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from inspector.cli.common import ladder_options, selection_of, tell
from inspector.cli.running import LabelledOutput, draw, draw_live
from inspector.render.terminal import painter_for
from inspector.session.run import Command, Recorder, Run, Surroundings
from inspector.text import listed, say
from inspector.text.problems import FileProblem, UsageProblem
from inspector.views.ladder_layout import clipped
from inspector.views.safe_text import safe_text

_NEXT = "--and"
_LABEL_CELLS = 20
_LOOK_BYTES = 200


def run(options: argparse.Namespace) -> int:
    """Run them until the last one ends; its exit status is ours."""
    commands = commands_of(options.programs, options.recorder)
    painter = painter_for(options)
    painter.prepare()
    labels = [command.label for command in commands]
    with _output(options.output) as stream:
        output = LabelledOutput(stream, labels)
        surroundings = Surroundings(host_network=options.host_network, selection=selection_of(options))
        running = Run(commands, output.write, surroundings, write=options.write, overwrite=options.overwrite)
        with running:
            where = "run.begin_host" if options.host_network else "run.begin"
            tell(say(where, labels=listed(labels), count=len(labels)))
            slowed = [command.label for command in commands if command.recorder is Recorder.STRACE]
            if slowed:
                tell(say("run.slowed", labels=listed(slowed)))
            live = sys.stdout.isatty() and not options.at_end
            (draw_live if live else draw)(running, painter, ladder_options(options, painter, live=live), options.write)
            output.finish()
            statuses = running.statuses()
    for label, status in statuses[:-1]:
        if status not in (0, 130):
            tell(say("run.ended", label=label, status=status))
    return statuses[-1][1] if statuses else 1


def commands_of(words: list[str], recorder: str) -> list[Command]:
    """The commands between ``--and``; raises UsageProblem when one is empty."""
    lines: list[list[str]] = [[]]
    for word in words[1:] if words[:1] == ["--"] else words:
        if word == _NEXT:
            lines.append([])
        else:
            lines[-1].append(word)
    if not all(lines):
        raise UsageProblem("run.no_command")
    commands: list[Command] = []
    for argv in lines:
        label = _label(argv)
        same = sum(command.label.partition(" ")[0] == label for command in commands)
        commands.append(Command(f"{label} {same + 1}" if same else label, argv, _recorder(argv, recorder)))
    return commands


def _recorder(argv: list[str], wish: str) -> Recorder:
    """The recorder asked for; "auto" takes the one that fits the program, as far as it is there."""
    if wish != "auto":
        return Recorder(wish)
    if _is_python(argv):
        return Recorder.PYTHON
    return Recorder.STRACE if shutil.which("strace") else Recorder.NONE


def _is_python(argv: list[str]) -> bool:
    """An interpreter, or a script that names one in its first line."""
    if Path(argv[0]).name.startswith("python"):
        return True
    path = shutil.which(argv[0])
    if path is None:
        return False
    try:
        with Path(path).open("rb") as file:
            beginning = file.read(_LOOK_BYTES)
    except OSError:
        return False
    return beginning.startswith(b"#!") and b"python" in beginning.partition(b"\n")[0]


def _label(argv: list[str]) -> str:
    """The script or module of a Python program, or the program itself."""
    name = Path(argv[0]).name
    if name.startswith("python"):
        script = next((word for word in argv[1:] if word == "-c" or not word.startswith("-")), "-c")
        name = name if script == "-c" else Path(script).name
    return clipped(safe_text(name), _LABEL_CELLS)


@contextlib.contextmanager
def _output(path: str | None) -> Iterator[TextIO]:
    if path is None:
        yield sys.stderr
        return
    try:
        stream = Path(path).open("w", encoding="utf-8")  # noqa: SIM115 - closed below
    except OSError as error:
        raise FileProblem("run.no_output", path=path, reason=error.strerror) from None
    with stream:
        yield stream
