"""``inspector watch``: capture on an interface and draw the packets as they arrive."""

import argparse
import sys
import time

from inspector.calls import journal
from inspector.calls.call import SocketCall
from inspector.cli.common import ladder_options, selection_of, tell
from inspector.cli.framing import framing_opener
from inspector.cli.live import LiveLines, LiveMerge, LiveView, live_layers, live_messages
from inspector.decode import dissect
from inspector.render.json_lines import packet_line
from inspector.render.terminal import Painter, painter_for
from inspector.session.live import Limits, LiveSession, OpenedWatch, WatchRequest, ended_by_signals, open_watch
from inspector.session.processes import AttachedProcess
from inspector.session.quiet import reason
from inspector.text import listed, say
from inspector.views.line import Line, Span
from inspector.views.quantities import count
from inspector.views.safe_text import safe_text
from inspector.views.table import TableEntry, table_lines

_QUIET_S = 3.0
_NS_PER_S = 1_000_000_000


def run(options: argparse.Namespace) -> int:
    """Watch until Ctrl-C, a limit, or the end of the interface; what was captured is complete in any case."""
    selection = selection_of(options)
    duration_ns = None if options.duration is None else int(options.duration * _NS_PER_S)
    request = WatchRequest(
        interface=options.interface,
        selection=selection,
        bpf=options.filter,
        limits=Limits(options.count, duration_ns),
        write=options.write,
        overwrite=options.overwrite,
        process=options.pid,
    )
    painter = painter_for(options)
    framing_opener(options.framing)
    painter.prepare()
    if options.layers:
        dissect.prepare()
    opened = open_watch(request)
    session = opened.session
    with ended_by_signals(session.capture.stop):
        tell(_beginning(options))
        for owner in opened.owners:
            tell(say("watch.owner", port=owner.port, process=owner.process, name=safe_text(owner.name)))
        try:
            _show_all(opened, painter, options)
        finally:
            session.close()
            if opened.attached is not None:
                opened.attached.close()
    if not options.json:
        _close(session, painter)
    return _end(session)


def _view(session: LiveSession, painter: Painter, options: argparse.Namespace) -> LiveView | LiveLines:
    """What was asked for instead of ladders, or these."""
    if options.layers:
        return live_layers(painter, session)
    if options.messages:
        return live_messages(painter, options.framing)
    if options.json:
        return LiveLines(painter, lambda arrival: [Line((Span(packet_line(arrival.record)),))])
    return LiveView(painter, ladder_options(options, painter, live=True), with_calls=options.pid is not None)


def _show_all(opened: OpenedWatch, painter: Painter, options: argparse.Namespace) -> None:
    """Every packet; and once, when none came for a while, why."""
    session = opened.session
    view = _view(session, painter, options)
    calls = _Calls(opened.attached, options.write)
    merge = LiveMerge(view, calls.new) if isinstance(view, LiveView) and opened.attached is not None else None
    quiet_at = time.monotonic() + _QUIET_S
    told_late = False
    for arrival in session.events():
        if arrival is None:
            (merge.tick if merge is not None else view.flush)()
            if session.trace.passed_over.conversations and not told_late:
                told_late = True
                tell(say("watch.late"))
            if session.trace.taken == 0 and time.monotonic() >= quiet_at:
                quiet_at = float("inf")
                found = reason(options.interface, frozenset(options.port or ()), session.trace.captured)
                tell(say(found.key, port=found.port, interface=found.interface))
        else:
            (merge.add if merge is not None else view.show)(arrival)
    calls.ended = True
    if merge is not None:
        merge.tick(last=True)
    view.finish()
    view.flush()
    calls.save()


class _Calls:
    """The calls of the attached process: new ones, and all where they are to be saved."""

    def __init__(self, attached: AttachedProcess | None, write: str | None) -> None:
        self._attached = attached
        self._path = None if write is None or attached is None else journal.path_beside(write)
        self._all: list[SocketCall] = []
        self.ended = False  # nothing will follow

    def new(self) -> list[SocketCall]:
        if self._attached is None:
            return []
        calls = self._attached.last_calls() if self.ended else self._attached.new_calls()
        if self._path is not None:
            self._all += calls
        return calls

    def save(self) -> None:
        if self._path is not None:
            journal.save(self._path, self._all)


def _beginning(options: argparse.Namespace) -> str:
    ports = listed(options.port or ())
    key = "watch.begin_ports" if ports else "watch.begin"
    return say(key, interface=options.interface, ports=ports)


def _close(session: LiveSession, painter: Painter) -> None:
    """The closing table."""
    entries = [TableEntry(conversation, end) for conversation, end in session.trace.conversations()]
    if entries:
        print()
        painter.paint_all(table_lines(entries, painter.width))
    forgotten = session.trace.forgotten
    if forgotten.conversations:
        print(
            say(
                "watch.forgotten",
                count=forgotten.conversations,
                conversations=count(forgotten.conversations),
                packets=count(forgotten.packets),
            )
        )
    passed_over = session.trace.passed_over
    if passed_over.conversations:
        print(
            say(
                "watch.passed_over",
                count=passed_over.conversations,
                conversations=count(passed_over.conversations),
                packets=count(passed_over.packets),
            )
        )


def _end(session: LiveSession) -> int:
    """The counts, and what went wrong if anything did; the exit status."""
    sys.stdout.flush()
    statistics = session.capture.statistics()
    tell(
        say(
            "watch.counts",
            captured=count(session.trace.captured),
            shown=count(session.trace.shown),
            dropped=count(statistics.dropped),
        )
    )
    problems = [problem for problem in (session.write_problem, session.capture.ended) if problem is not None]
    for problem in problems:
        tell(str(problem))
    return max((problem.exit_status for problem in problems), default=0)
