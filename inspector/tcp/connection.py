"""One connection, segment by segment: its states, its analysis, its outcome."""

from inspector.tcp.analysis import Analyzer, Steady
from inspector.tcp.findings import Kind
from inspector.tcp.history import History
from inspector.tcp.outcome import Course
from inspector.tcp.past import Past
from inspector.tcp.report import Outcome, SegmentReport
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.states import EndpointState
from inspector.tcp.tracker import Tracker

_CONTROL = int(Flag.SYN | Flag.FIN | Flag.RST)


class SegmentReader:
    """What is known of each segment as it passes: feed it those of one connection instance, in order.

    ``reused`` and ``past`` are those of ``Connection``.
    """

    __slots__ = ("_analyze", "_analyzer", "_track", "tracker")

    def __init__(self, reused: bool = False, past: Past | None = None) -> None:
        self.tracker = Tracker()
        self._analyzer = Analyzer(reused, past)
        self._analyze = self._analyzer.feed
        self._track = self.tracker.feed

    def feed(self, segment: Segment) -> SegmentReport:
        """All that is known once the segment has passed."""
        relative_seq, relative_ack, window, names, duplicate_ack, in_flight, findings = self._analyze(segment)
        moves, client, server, expected = self._track(segment)
        return SegmentReport(
            segment,
            relative_seq,
            relative_ack,
            window,
            names,
            duplicate_ack,
            in_flight,
            moves,
            client,
            server,
            expected,
            findings,
        )

    def steady(self) -> tuple[Steady, Steady] | None:
        """Client and server when ordinary segments, that are reported otherwise, can be skipped; else None."""
        return self._analyzer.steady() if self.tracker.at_rest else None

    def skip(self, segment: Segment) -> None:
        """Go on after an ordinary segment that is reported otherwise, like those of its side before it: the last one of
        each side that has data, and the last one of each side."""
        self._analyzer.skip(segment)
        self._track(segment)


class Connection:
    """The same, and the outcome of the whole: feed it the segments of one connection instance in their order.

    ``reused``: it opened on addresses and ports that an earlier connection had used; ``past``: where its earlier
    segments are found; without it the latest are kept, and have to come whole. ``retransmissions`` counts the segments
    that were sent again. What it holds does not grow with the connection, but for holes in what was captured.
    """

    __slots__ = ("_course", "_history", "_note", "_read", "retransmissions", "tracker")

    def __init__(self, reused: bool = False, past: Past | None = None) -> None:
        self.retransmissions = 0
        reader = SegmentReader(reused, past)
        self.tracker = reader.tracker
        self._read = reader.feed
        self._history = History()
        self._course = Course(self.tracker)
        self._note = self._history.feed

    def feed(self, segment: Segment) -> SegmentReport:
        """All that is known once the segment has passed."""
        report = self._read(segment)
        self._note(segment)
        if report.findings:
            self.retransmissions += sum([finding.kind is Kind.RETRANSMISSION for finding in report.findings])
        if report.transitions or segment.flags & _CONTROL:
            self._course.feed(segment, report.transitions)
        return report

    def end(self) -> tuple[EndpointState, EndpointState, Outcome]:
        """Client's state, server's state and the outcome, if nothing follows; may be asked for at any time."""
        course = self._course
        outcome = Outcome(
            course.opening,
            course.closing,
            course.closed_by,
            self._history.conn_state,
            self._history.letters,
            course.handshake_rtt_ns,
        )
        return *self.tracker.ends(), outcome
