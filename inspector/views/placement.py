"""At which row each state of an endpoint is drawn.

A segment moves its receiver when the receiver has it; what proves that comes later. With all rows at hand the new state
stands beside the arrow that caused it. Live, it stands there as inferred from the rules, and is not drawn again once it
is decided.
"""

from collections.abc import Sequence

from inspector.tcp.report import Opening, SegmentReport
from inspector.tcp.states import EndpointState, Known, Side, TcpState
from inspector.trace.conversation import ConnectionEnd, Row

Marks = tuple[list[EndpointState], list[EndpointState]]  # what is drawn at a row: the client's states, the server's


def initial_states(reports: Sequence[SegmentReport], end: ConnectionEnd | None = None) -> list[EndpointState]:
    """Where both sides stood before the first segment, as far as these reports tell."""
    opening = None if end is None else end.outcome.opening
    states = []
    for side in Side:
        first = next((move.before for report in reports for move in report.transitions if move.side is side), None)
        state = (reports[0].client, reports[0].server)[side] if first is None else EndpointState(first, Known.INFERRED)
        if side is Side.SERVER and opening is Opening.REFUSED:
            state = EndpointState(TcpState.CLOSED, Known.INFERRED)  # nobody listened
        elif side is Side.SERVER and opening is Opening.SIMULTANEOUS:
            state = EndpointState(TcpState.CLOSED, Known.SEEN)
        elif state.state is TcpState.CLOSED:
            state = EndpointState(state.state, Known.SEEN)  # it is about to open: that is what CLOSED means
        states.append(state)
    return states


def place(rows: Sequence[Row], end: ConnectionEnd | None) -> list[Marks]:
    """The states drawn at each row, all rows known.

    A state stands at the packet that caused it, or, where a later state of the same side stands below that already (two
    FINs that crossed), at the packet that proves it.
    """
    marks: list[Marks] = [([], []) for _ in rows]
    at_packet = {row.packet: at for at, row in enumerate(rows)}
    lowest = [0, 0]
    before: SegmentReport | None = None
    for at, row in enumerate(rows):
        report = row.report
        if report is None:
            continue
        for move in report.transitions:
            cause = at_packet.get(move.cause, at)
            if cause < lowest[move.side]:
                cause = at
            lowest[move.side] = cause
            marks[cause][move.side].append(EndpointState(move.after, move.known))
        for side, state in taken_back(before, report):
            marks[at][side].append(state)
            lowest[side] = at
        before = report
    if before is not None and end is not None:
        _place_end(rows, marks, before, end)
    return marks


def _place_end(rows: Sequence[Row], marks: list[Marks], last: SegmentReport, end: ConnectionEnd) -> None:
    """What is concluded at the end without a segment that proves it stands where it was expected."""
    for side in Side:
        state = (end.client, end.server)[side]
        if state.state is (last.client, last.server)[side].state:
            continue
        for at in range(len(rows) - 1, -1, -1):
            report = rows[at].report
            if rows[at].side is side.other and report is not None and report.expected is not None:
                if report.expected.state is state.state:
                    marks[at][side].append(state)
                break


def taken_back(before: SegmentReport | None, now: SegmentReport) -> list[tuple[Side, EndpointState]]:
    """Sides that stand elsewhere than their moves led to: an inference has turned out wrong."""
    if before is None or (now.client is before.client and now.server is before.server):
        return []
    changed = []
    for side in Side:
        moves = [move.after for move in now.transitions if move.side is side]
        state = (now.client, now.server)[side]
        if state.state is not (moves[-1] if moves else (before.client, before.server)[side].state):
            changed.append((side, state))
    return changed


class LivePlacement:
    """The states drawn at each row, as the rows come."""

    def __init__(self, initial: Sequence[EndpointState]) -> None:
        self._drawn = [state.state for state in initial]
        self._before: SegmentReport | None = None

    def feed(self, row: Row) -> Marks:
        """What to draw at this row."""
        marks: Marks = ([], [])
        report = row.report
        if report is None:
            return marks
        for move in report.transitions:
            self._draw(marks, move.side, EndpointState(move.after, move.known))
        for side, state in taken_back(self._before, report):
            self._draw(marks, side, state)
        if report.expected is not None:
            self._draw(marks, row.side.other, EndpointState(report.expected.state, Known.INFERRED))
        self._before = report
        return marks

    def _draw(self, marks: Marks, side: Side, state: EndpointState) -> None:
        if self._drawn[side] is not state.state:
            self._drawn[side] = state.state
            marks[side].append(state)
