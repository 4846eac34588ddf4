"""What ``run`` and ``demo`` do alike: run programs, tell their output apart, draw what they sent with their calls."""

import sys
import threading
from collections.abc import Sequence
from typing import TextIO

from inspector.calls import journal
from inspector.calls.call import SocketCall
from inspector.calls.matching import CallIndex
from inspector.cli.common import tell
from inspector.cli.live import LiveMerge, LiveView
from inspector.render.terminal import Painter
from inspector.session.live import ended_by_signals
from inspector.session.run import Run
from inspector.text import say
from inspector.trace.calls import conversation_calls
from inspector.trace.conversation import Row
from inspector.trace.live import LiveConversation
from inspector.views.ladder import LadderOptions, LadderPart, ladders_of
from inspector.views.safe_text import safe_text


class LabelledOutput:
    """What several programs print, on one stream: every line begins with its program's label, pieces as they come."""

    def __init__(self, stream: TextIO, labels: Sequence[str]) -> None:
        self._stream = stream
        self._width = max(map(len, labels), default=0)
        self._lock = threading.Lock()
        self._open: str | None = None  # whose line is not complete

    def write(self, label: str, piece: bytes) -> None:
        """Print a piece of a program's output, made safe for a terminal."""
        with self._lock:
            for line in piece.decode("utf-8", "surrogateescape").splitlines(keepends=True):
                if self._open != label:
                    self._stream.write(("" if self._open is None else "\n") + f"{label:<{self._width}} │ ")
                self._stream.write(safe_text(line.rstrip("\r\n")))
                self._open = label
                if line.endswith("\n"):
                    self._stream.write("\n")
                    self._open = None
            self._stream.flush()

    def finish(self) -> None:
        """End the line that is not complete."""
        if self._open is not None:
            self._stream.write("\n")
            self._open = None


def draw(run: Run, painter: Painter, drawing: LadderOptions, write: str | None) -> None:
    """Let the programs of an entered run do their work, then draw every conversation; Ctrl-C stops them."""
    rows: dict[LiveConversation, list[Row]] = {}
    with ended_by_signals(run.interrupt):
        for arrival in run.events():
            if arrival is not None and arrival.conversation is not None:
                rows.setdefault(arrival.conversation, []).append(arrival.row)
    index = CallIndex(_end(run, write, bool(rows)))
    parts = [
        LadderPart(summary, conversation.reader.end(), its_rows, conversation_calls(index, summary, its_rows))
        for conversation, its_rows in rows.items()
        for summary in (conversation.summary(),)
    ]
    sys.stderr.flush()
    painter.paint_all(ladders_of(parts, drawing))


def draw_live(run: Run, painter: Painter, drawing: LadderOptions, write: str | None) -> None:
    """The same, but packets and calls are drawn as they come, several conversations at a time."""
    merge = LiveMerge(LiveView(painter, drawing, with_calls=drawing.calls != "off"), run.new_calls)
    any_packets = False
    with ended_by_signals(run.interrupt):
        for arrival in run.events():
            if arrival is None:
                merge.tick()
            else:
                any_packets = True
                merge.add(arrival)
    merge.tick(last=True)
    _end(run, write, any_packets)


def _end(run: Run, write: str | None, any_packets: bool) -> list[SocketCall]:
    """All calls, saved where that is asked for; what was odd is told."""
    calls = run.calls()
    if write is not None:
        journal.save(journal.path_beside(write), calls)
    if not any_packets:
        tell(say("run.no_packets"))
    for label in run.silent:
        tell(say("run.silent", label=label))
    return calls
