"""The shortcuts for uneventful segments, nearly all there are, say what the rules would have said."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle_rows import NO_ORACLES, ORACLE_FILES, all_streams
from tcp_traffic import connection

from inspector.tcp.history import History
from inspector.tcp.segment import Segment
from inspector.tcp.states import Side
from inspector.tcp.tracker import Tracked, Tracker


class PlainTracker(Tracker):
    """Takes no shortcut."""

    def feed(self, segment: Segment) -> Tracked:
        self._at_rest = False
        return super().feed(segment)


class PlainHistory(History):
    """Takes no shortcut."""

    def feed(self, segment: Segment) -> None:
        ends = self.client, self.server
        self._feed(segment, *(ends if segment.side is Side.CLIENT else ends[::-1]))


def check(segments: list[Segment]) -> None:
    tracker, plain_tracker, history, plain_history = Tracker(), PlainTracker(), History(), PlainHistory()
    for segment in segments:
        assert tracker.feed(segment) == plain_tracker.feed(segment)
        history.feed(segment)
        plain_history.feed(segment)
        assert (history.letters, history.conn_state) == (plain_history.letters, plain_history.conn_state)
    assert tracker.ends() == plain_tracker.ends()


@given(st.integers(0, 2**63))
def test_made_up_connections(seed: int) -> None:
    check(connection(seed))


@pytest.mark.skipif(not ORACLE_FILES, reason=NO_ORACLES)
def test_real_connections() -> None:
    for _, stream in all_streams():
        check(stream.segments)
