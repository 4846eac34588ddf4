"""What a live capture shows: packets as they arrive, several conversations at a time."""

import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from weakref import WeakKeyDictionary

from inspector.calls.call import SocketCall
from inspector.render.terminal import Painter
from inspector.session.live import LiveSession
from inspector.tcp.states import TcpState
from inspector.trace.conversation import Row
from inspector.trace.encapsulation import live_encapsulation
from inspector.trace.live import Arrival, LiveConversation
from inspector.trace.live_calls import LiveCall, LiveCallMatcher
from inspector.trace.live_messages import LiveMessages
from inspector.views.ladder import Ladder, LadderOptions
from inspector.views.layers import boxes, heading
from inspector.views.line import Line
from inspector.views.live_ladder import LiveLadder
from inspector.views.messages import message_lines
from inspector.views.packets import packet_view

_PACKETS_LATE_NS = 60_000_000  # by so much the capture may be behind the calls
_OVER = (TcpState.CLOSED, TcpState.TIME_WAIT)


class LiveView:
    """Paints arrivals: each conversation has its own ladder, their rows interleave as they come.

    What it remembers of a conversation goes when the trace lets the conversation go.
    """

    def __init__(self, painter: Painter, drawing: LadderOptions, *, with_calls: bool = False) -> None:
        self._kind = LiveLadder if with_calls else Ladder
        self._painter = painter
        self._drawing = drawing
        self._ladders: WeakKeyDictionary[LiveConversation, LiveLadder | Ladder] = WeakKeyDictionary()
        self._finished: WeakKeyDictionary[LiveConversation, bool] = WeakKeyDictionary()

    def show(self, arrival: Arrival) -> None:
        """The lines that a packet adds; they are seen at the next ``flush``."""
        conversation = arrival.conversation
        if conversation is None:
            self._painter.paint_all(packet_view((arrival.record,), self._painter.width))
            return
        ladder = self._ladder(conversation)
        lines = ladder.feed(arrival.row)
        if _is_over(arrival.row) and conversation not in self._finished:
            self._finished[conversation] = True
            lines += ladder.finish(conversation.summary(), conversation.reader.end())
        self._painter.paint_all(lines)

    def show_call(self, news: LiveCall) -> None:
        """The lines of a call that was entered or has returned, in a conversation that has been shown."""
        ladder = self._ladder(news.conversation)
        if isinstance(ladder, LiveLadder):
            self._painter.paint_all(ladder.call(news.side, news.call, enters=news.enters, returns=news.returns))

    def _ladder(self, conversation: LiveConversation) -> LiveLadder | Ladder:
        """The ladder of a conversation; its head is painted when it is new."""
        ladder = self._ladders.get(conversation)
        if ladder is None:
            ladder = self._ladders[conversation] = self._kind(self._drawing)
            self._painter.paint_all(ladder.head(conversation.summary()))
        return ladder

    def finish(self) -> None:
        """A ladder is as long as its packets: the end adds nothing."""

    def flush(self) -> None:
        """Let the lines be seen."""
        sys.stdout.flush()


class LiveLines:
    """Paints what each arrival comes to in lines: its layers, the messages that it completes, its JSON."""

    def __init__(
        self,
        painter: Painter,
        lines: Callable[[Arrival], Iterable[Line]],
        last: Callable[[], Iterable[Line]] = tuple,
    ) -> None:
        self._painter = painter
        self._lines = lines
        self._last = last

    def show(self, arrival: Arrival) -> None:
        """The lines of a packet; they are seen at the next ``flush``."""
        self._painter.paint_all(self._lines(arrival))

    def finish(self) -> None:
        """The lines that the end of the capture brings."""
        self._painter.paint_all(self._last())

    def flush(self) -> None:
        """Let the lines be seen."""
        sys.stdout.flush()


def live_layers(painter: Painter, session: LiveSession) -> LiveLines:
    """Every packet layer by layer."""
    [interface] = session.capture.interfaces
    width = painter.width

    def lines(arrival: Arrival) -> list[Line]:
        packet = live_encapsulation(arrival, session.trace.frame(arrival.row.packet), interface.link_type)
        return [*heading(packet, width), *boxes(packet, width, ascii_only=painter.ascii), Line()]

    return LiveLines(painter, lines)


def live_messages(painter: Painter, framing: str) -> LiveLines:
    """The messages of applications, a line each."""
    messages = LiveMessages(framing)

    def lines(arrival: Arrival) -> Iterator[Line]:
        return message_lines(messages.feed(arrival), painter.width)

    return LiveLines(painter, lines, lambda: message_lines(messages.finish(), painter.width))


class LiveMerge:
    """Packets and calls in the order of time: what came since the last ``tick`` is drawn together."""

    def __init__(self, view: LiveView, new_calls: Callable[[], list[SocketCall]]) -> None:
        self._view = view
        self._new_calls = new_calls
        self._matcher = LiveCallMatcher()
        self._arrivals: list[Arrival] = []
        self._calls: list[LiveCall] = []  # not yet drawn

    def add(self, arrival: Arrival) -> None:
        """A packet came."""
        self._arrivals.append(arrival)
        if arrival.first and arrival.conversation is not None:
            self._matcher.begin(arrival.conversation)

    def tick(self, *, last: bool = False) -> None:
        """Draw what there is; a call waits for packets that may have passed before it, unless this is the last time."""
        times_ns = [arrival.row.time_ns for arrival in self._arrivals]
        until_ns = math.inf if last else max([time.time_ns() - _PACKETS_LATE_NS, *times_ns])
        self._calls += self._matcher.feed(self._new_calls())
        ready = [call for call in self._calls if call.time_ns <= until_ns]
        self._calls = [call for call in self._calls if call.time_ns > until_ns]
        news: list[Arrival | LiveCall] = [*self._arrivals, *(part for call in ready for part in call.parted(times_ns))]
        for each in sorted(news, key=_time_ns):
            if isinstance(each, Arrival):
                self._view.show(each)
            else:
                self._view.show_call(each)
        self._arrivals.clear()
        self._view.flush()


def _time_ns(each: Arrival | LiveCall) -> int:
    return each.row.time_ns if isinstance(each, Arrival) else each.time_ns


def _is_over(row: Row) -> bool:
    report = row.report
    return report is not None and report.client.state in _OVER and report.server.state in _OVER
