"""``inspector watch``: capture on an interface and draw the packets as they arrive."""

import argparse
import sys
import time

from inspector.cli.common import ladder_options, selection_of, tell
from inspector.cli.live import LiveView
from inspector.render.json_lines import packet_line
from inspector.render.terminal import Painter, painter_for
from inspector.session.live import Limits, LiveSession, WatchRequest, ended_by_signals, open_watch
from inspector.session.quiet import reason
from inspector.text import say
from inspector.trace.live import Arrival
from inspector.views.quantities import count
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
    )
    painter = painter_for(options)
    view = LiveView(painter, ladder_options(options, painter, live=True))
    painter.prepare()
    session = open_watch(request)
    with ended_by_signals(session.capture.stop):
        tell(_beginning(options))
        try:
            _show_all(session, view, options)
        finally:
            session.close()
    if not options.json:
        _close(session, painter)
    return _end(session)


def _show_all(session: LiveSession, view: LiveView, options: argparse.Namespace) -> None:
    """Every packet; and once, when none came for a while, why."""
    quiet_at = time.monotonic() + _QUIET_S
    for arrival in session.events():
        if arrival is None:
            view.flush()
            if session.trace.shown == 0 and time.monotonic() >= quiet_at:
                quiet_at = float("inf")
                found = reason(options.interface, frozenset(options.port or ()), session.trace.captured)
                tell(say(found.key, port=found.port, interface=found.interface))
        elif options.json:
            _print_json(arrival)
        else:
            view.show(arrival)


def _print_json(arrival: Arrival) -> None:
    sys.stdout.write(packet_line(arrival.record) + "\n")


def _beginning(options: argparse.Namespace) -> str:
    ports = ", ".join(map(str, options.port or ()))
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
