"""The reports of many segments at once: numpy takes the ordinary ones, a connection's ``SegmentReader`` the others.

Data in order and ACKs of something new move nothing but numbers. Where a connection is in the middle of its exchange,
numpy tells how far such a run goes and what is to be said of it, for all connections at once. The conditions are those
of ``tcp.analysis``; a test holds this against one reader that is fed every segment.
"""

from collections.abc import Callable, Iterator
from itertools import chain, repeat

import numpy as np
import numpy.typing as npt

from inspector.decode.columns import Mark, PacketColumns
from inspector.tcp.analysis import IMPLAUSIBLE_FLIGHT_BYTES, Steady
from inspector.tcp.connection import SegmentReader
from inspector.tcp.report import SegmentReport
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import HALF, MASK
from inspector.trace.grouping import in_order
from inspector.trace.intake import Rows
from inspector.trace.reader import maker, segments_of

_HANDSHAKE = 4  # segments that open a connection: it is not looked at before
_SHORT = 64  # a run below this costs as much as it saves
_LONGEST_WAIT = 4096
_CONTROL_OR_ACK = int(Flag.SYN | Flag.FIN | Flag.RST | Flag.ACK)
_ACK, _SYN, _TO_CLIENT = int(Flag.ACK), int(Flag.SYN), int(Mark.TO_CLIENT)

_Numbers = npt.NDArray[np.int64]
_Bools = npt.NDArray[np.bool_]


class _Connection:
    """A connection under way, and the part of its segments that is read: from ``at`` to ``stop``."""

    __slots__ = ("at", "patience", "reader", "stop", "wait")

    def __init__(self, reader: SegmentReader) -> None:
        self.reader = reader
        self.at = self.stop = 0
        self.wait = _HANDSHAKE  # segments until it is worth a look whether a run begins
        self.patience = 1  # segments to wait after a run; more when runs are short

    def note_run(self, length: int) -> None:
        """Go on after a run of ordinary segments."""
        self.at += length
        self.patience = min(2 * self.patience, _LONGEST_WAIT) if length < _SHORT else 1
        self.wait = self.patience


class SteadyReader:
    """Feed it the rows of whole segments of many connections, in order; ``make`` makes the reader of a connection,
    ``whole`` adds to a segment what its bytes tell."""

    def __init__(
        self, columns: PacketColumns, make: Callable[[int], SegmentReader], whole: Callable[[Segment], Segment]
    ) -> None:
        self._columns = columns
        self._make = make
        self._whole = whole
        self._connections: dict[int, _Connection] = {}

    def read(self, rows: Rows) -> list[SegmentReport]:
        """What is said of each."""
        numbers = self._columns.conversation[rows]
        order = in_order(numbers)
        rows, numbers = rows[order], numbers[order]
        reports: list[SegmentReport | None] = [None] * len(rows)
        segments = [segment for _, segment in segments_of(self._columns, rows)]
        starts = np.flatnonzero(np.diff(numbers.astype(np.int64), prepend=-1)).tolist()
        under_way = []
        for start, stop in zip(starts, [*starts[1:], len(rows)], strict=False):
            connection = self._connection(int(numbers[start]))
            connection.at, connection.stop = start, stop
            under_way.append(connection)
        while under_way:
            steady = {}
            for connection in under_way:
                known = self._feed_until_steady(connection, segments, reports)
                if known is not None:
                    steady[connection] = known
            if steady:
                _take_runs(_Runs(self._columns, rows, steady), segments, reports)
            under_way = [connection for connection in steady if connection.at < connection.stop]
        result: list[SegmentReport] = [None] * len(rows)  # type: ignore[list-item]
        for place, report in zip(order.tolist(), reports, strict=True):
            assert report is not None
            result[place] = report
        return result

    def _connection(self, number: int) -> _Connection:
        connection = self._connections.get(number)
        if connection is None:
            connection = self._connections[number] = _Connection(self._make(number))
        return connection

    def _feed_until_steady(
        self, connection: _Connection, segments: list[Segment], reports: list[SegmentReport | None]
    ) -> tuple[Steady, Steady] | None:
        """Read one by one until a run may begin; None when there is nothing left."""
        feed = connection.reader.feed
        while connection.at < connection.stop:
            if connection.wait <= 0:
                steady = connection.reader.steady()
                if steady is not None:
                    return steady
            segment = segments[connection.at]
            if segment.flags & _SYN:  # its options matter to the analysis
                segment = self._whole(segment)
            reports[connection.at] = feed(segment)
            connection.at += 1
            connection.wait -= 1
        return None


class _Runs:
    """The rows that connections which are ``steady`` go on with, and what came last before each of them.

    ``kept`` says of each row whether it is in the run of ordinary segments that its connection goes on with.
    """

    def __init__(self, columns: PacketColumns, rows: Rows, steady: dict[_Connection, tuple[Steady, Steady]]) -> None:
        self.connections = list(steady)
        spans = [(connection.at, connection.stop) for connection in steady]
        self.places = np.concatenate([np.arange(*span) for span in spans])  # of the rows that were given
        sizes = np.array([stop - at for at, stop in spans])
        self._starts = np.cumsum(sizes) - sizes
        which = np.repeat(np.arange(len(spans)), sizes)
        chosen = rows[self.places]
        self.side = ((columns.mark[chosen] & _TO_CLIENT) != 0).astype(np.int64)
        self.own, self.peer = 2 * which + self.side, 2 * which + 1 - self.side
        self.before = {
            name: np.array([getattr(side, name) for sides in steady.values() for side in sides], np.int64)
            for name in Steady._fields
        }
        names = ("seq", "ack", "window", "payload_bytes")
        self.seq, self.ack, self.window, self.payload = (
            getattr(columns, name)[chosen].astype(np.int64) for name in names
        )
        self.end = self.seq + self.payload & MASK
        self.scaled = self.window << self.before["scale"][self.own]
        self._own_last, self._peer_last = self._latest_rows(self._starts[which])
        self.peer_ack = self._peers(self.ack, "last_ack")
        good = self._ordinary(columns.flags[chosen])
        odd = np.append(np.flatnonzero(~good), len(good))
        first_odd = np.minimum(odd[np.searchsorted(odd, self._starts)], self._starts + sizes)
        self.lengths = (first_odd - self._starts).tolist()
        self.kept = np.flatnonzero(np.arange(len(good)) < first_odd[which])

    def _latest_rows(self, start: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        """For each row the one of its own side, and of its peer, that came last before it; -1 for none here."""
        index = np.arange(len(self.side))
        last = []
        for side in (0, 1):
            latest = np.maximum.accumulate(np.where(self.side == side, index, -1))
            before = np.concatenate(([-1], latest[:-1]))
            last.append(np.where(before >= start, before, -1))
        client = self.side == 0
        return np.where(client, last[0], last[1]), np.where(client, last[1], last[0])

    def _owns(self, values: _Numbers, name: str) -> _Numbers:
        return np.where(self._own_last >= 0, values[self._own_last], self.before[name][self.own])

    def _peers(self, values: _Numbers, name: str) -> _Numbers:
        return np.where(self._peer_last >= 0, values[self._peer_last], self.before[name][self.peer])

    def _ordinary(self, flags: npt.NDArray[np.uint8]) -> _Bools:
        """Which rows are the next in order and bring something new, neither window being closed, if all before are."""
        last_ack = self._owns(self.ack, "last_ack")
        edge = self._peers(self.ack + self.scaled & MASK, "right_edge")
        good: _Bools = (flags & _CONTROL_OR_ACK == _ACK) & (self.seq == self._owns(self.end, "next_seq"))
        good &= (self.window != 0) & (self._peers(self.window, "window") != 0)
        good &= (self._peers(self.end, "next_seq") - self.ack & HALF == 0) & (self.ack - last_ack & HALF == 0)
        new_data = (self.end != edge) & (self.peer_ack - self.end & HALF != 0)
        good &= np.where(self.payload > 0, new_data, self.ack != last_ack)
        return good


def _take_runs(runs: _Runs, segments: list[Segment], reports: list[SegmentReport | None]) -> None:
    """Report the runs' segments, and let the readers go on after them."""
    kept = runs.kept
    places = runs.places[kept].tolist()
    base = runs.before["base_seq"]
    in_flight = runs.end - runs.peer_ack & MASK
    in_flight = np.where(in_flight < IMPLAUSIBLE_FLIGHT_BYTES, np.maximum(in_flight, runs.payload), -1)
    in_flight[runs.payload == 0] = -1
    numbers = (
        runs.seq - base[runs.own] & MASK,
        runs.ack - base[runs.peer] & MASK,
        runs.scaled,
    )
    trackers = [connection.reader.tracker for connection in runs.connections]
    fields: Iterator[tuple[object, ...]] = zip(
        map(segments.__getitem__, places),
        *(each[kept].tolist() for each in numbers),
        repeat(()),
        repeat(None),
        (None if flight < 0 else flight for flight in in_flight[kept].tolist()),
        repeat(()),
        chain.from_iterable(map(repeat, [tracker.client.now for tracker in trackers], runs.lengths)),
        chain.from_iterable(map(repeat, [tracker.server.now for tracker in trackers], runs.lengths)),
        repeat(None),
        repeat(()),
    )
    for place, report in zip(places, map(maker(SegmentReport), fields), strict=False):
        reports[place] = report
    last_rows = []
    for rows in (kept[runs.payload[kept] > 0], kept):
        last = np.full(2 * len(trackers), -1)
        last[runs.own[rows]] = runs.places[rows]
        last_rows.append(last.tolist())
    for number, (connection, length) in enumerate(zip(runs.connections, runs.lengths, strict=True)):
        for side in (2 * number, 2 * number + 1):
            for last_row in last_rows:
                if last_row[side] >= 0:
                    connection.reader.skip(segments[last_row[side]])
        connection.note_run(length)
