"""What several commands do alike: open a capture by path or name, and choose packets."""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from inspector.capture import bundled
from inspector.text import say
from inspector.text.problems import FileProblem, UsageProblem
from inspector.trace.conversation import Conversation
from inspector.trace.selection import Selection
from inspector.trace.trace import Trace

_PROGRESS_AFTER_S = 1.0


@contextmanager
def opened_trace(name: str) -> Iterator[Trace]:
    """The trace of a capture file, of a bundled capture by its name, or of standard input ("-").

    Damage is told on stderr once everything readable has been shown; see ``exit_status``.
    """
    path = name
    if name != "-" and not Path(name).exists():
        found = bundled.find(name)
        if found is None and "/" not in name and "." not in name:
            raise FileProblem("command.no_such_capture", name=name, names=", ".join(bundled.names()))
        path = str(found or name)
    with progress() as report:
        trace = Trace.read(path, report)
    with trace:
        yield trace


def exit_status(trace: Trace) -> int:
    """Tell of damage, if any, after all that could be read was shown; the status a command ends with."""
    if trace.damage is None:
        return 0
    sys.stdout.flush()
    print(f"inspector: {trace.damage}", file=sys.stderr)
    return trace.damage.exit_status


def selection_of(options: argparse.Namespace) -> Selection:
    """The ports and the host that were asked for."""
    return Selection(frozenset(getattr(options, "port", None) or ()), getattr(options, "host", None))


def chosen_conversations(trace: Trace, options: argparse.Namespace) -> list[Conversation]:
    """The conversations that ``--port``, ``--host`` and ``--conversation`` leave; a number out of range is refused."""
    number = options.conversation
    if number is None:
        return trace.conversations(selection_of(options))
    if not 1 <= number <= trace.conversation_count:
        raise UsageProblem("command.no_such_conversation", number=number, count=trace.conversation_count)
    return [trace.conversation(number)]


@contextmanager
def progress() -> Iterator[Callable[[int, int], None] | None]:
    """A progress bar on stderr for work of over a second, when stderr is a terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    bar = _ProgressBar()
    try:
        yield bar.update
    finally:
        bar.close()


class _ProgressBar:
    def __init__(self) -> None:
        self._started = time.monotonic()
        self._drawn = False
        self._percent = -1

    def update(self, done: int, total: int) -> None:
        if time.monotonic() - self._started < _PROGRESS_AFTER_S:
            return
        percent = 100 * done // total if total else 0
        if percent == self._percent and total:
            return
        self._percent, self._drawn = percent, True
        filled = percent * 30 // 100
        amount = say("command.read_percent", percent=percent) if total else say("command.read_bytes", bytes=f"{done:,}")
        sys.stderr.write(f"\r\x1b[K[{'#' * filled}{' ' * (30 - filled)}] {amount}")
        sys.stderr.flush()
        if done >= total > 0:
            self.close()

    def close(self) -> None:
        if self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._drawn = False
