"""The ladder of a conversation under way with the calls of its programs: in lanes where there is room, else as rows."""

from collections.abc import Iterable
from dataclasses import replace

from inspector.calls.call import SocketCall
from inspector.tcp.states import Side
from inspector.trace.conversation import ConnectionEnd, Conversation, Row
from inspector.views.call_marks import CallMarks, Mark, in_a_row
from inspector.views.ladder import QUOTE_IN_ROWS, Ladder, LadderOptions
from inspector.views.lanes import Lanes, lane_width
from inspector.views.line import Line, line_in_ascii

_COLUMNS = (2, 2)  # calls under way at a time that have a bracket of their own


class LiveLadder:
    """As ``Ladder``, and ``call`` for what is new of a call. Nothing is drawn twice."""

    def __init__(self, options: LadderOptions) -> None:
        self._ascii = options.ascii
        lane_cells = lane_width(options.width) if options.calls == "auto" and options.style != "rfc" else 0
        self._ladder = Ladder(replace(options, width=options.width - 2 * lane_cells))
        self._lanes = Lanes(options.width, self._ladder.lifelines, _COLUMNS) if lane_cells else None
        rooms = self._lanes.rooms if self._lanes else [QUOTE_IN_ROWS] * len(Side)
        self._marks = [CallMarks(room, ascii_only=options.ascii) for room in rooms]

    def head(self, conversation: Conversation) -> list[Line]:
        """The head line."""
        return self._beside(self._ladder.head(conversation))

    def feed(self, row: Row) -> list[Line]:
        """The lines of the next packet."""
        return self._beside(self._ladder.feed(row))

    def finish(self, conversation: Conversation, end: ConnectionEnd | None) -> list[Line]:
        """What is known now that it is over."""
        return self._beside(self._ladder.finish(conversation, end))

    def call(self, side: Side, call: SocketCall, *, enters: bool, returns: bool) -> list[Line]:
        """The lines of a call that is entered, returns, or both."""
        marks = self._marks[side]
        number = hash((call.process, call.thread, call.enter_ns))
        mark = marks.whole(call) if enters and returns else (marks.opening if enters else marks.closing)(call, number)
        return self._in_rows(side, mark) if self._lanes is None else self._drawn(self._lanes.alone(side, mark))

    def _in_rows(self, side: Side, mark: Mark) -> list[Line]:
        return self._drawn(self._ladder.note(in_a_row(mark), mark.style, side))

    def _beside(self, lines: list[Line]) -> list[Line]:
        if self._lanes is None:
            return lines
        return self._drawn(drawn for line in lines for drawn in self._lanes.joined([None, None], [line]))

    def _drawn(self, lines: Iterable[Line]) -> list[Line]:
        return [line_in_ascii(line) if self._ascii else line for line in lines]
