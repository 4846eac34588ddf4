"""The deciding rows picked with numpy are those of the plain rule, and tracking them alone ends as tracking all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.decode.columns import Mark, PacketColumns
from inspector.tcp.deciding import deciding_rows as plain_rule
from inspector.tcp.tracker import Tracker
from inspector.text.problems import FileProblem
from inspector.trace.deciding import deciding_rows
from inspector.trace.ends import ends_of
from inspector.trace.reader import segments_of
from inspector.trace.trace import Trace

CAPTURES = Path(__file__).parents[2] / "shared" / "captures" / "captures"
FILES = sorted(path for path in CAPTURES.glob("*/*") if "malformed" not in path.parts)

Row = tuple[int, int, int, int, int, int]  # conversation, side, flags, seq, ack, payload bytes

rows_of_segments = st.lists(
    st.tuples(
        st.integers(1, 3),
        st.integers(0, 1),
        st.sampled_from([2, 18, 16, 24, 17, 1, 4, 20, 0]),
        st.sampled_from([0, 1, 5, 2**32 - 1]),
        st.sampled_from([0, 1, 5, 6]),
        st.sampled_from([0, 0, 1, 5]),
    ),
    max_size=40,
)


def columns_of(rows: Sequence[Row]) -> PacketColumns:
    columns = PacketColumns.empty(len(rows))
    for index, (conversation, side, flags, seq, ack, payload_bytes) in enumerate(rows):
        columns.conversation[index], columns.flags[index] = conversation, flags
        columns.mark[index] = int(Mark.TO_CLIENT) if side else 0
        columns.seq[index], columns.ack[index], columns.payload_bytes[index] = seq, ack, payload_bytes
    return columns


@given(rows_of_segments)
def test_numpy_picks_what_the_plain_rule_picks(rows: list[Row]) -> None:
    expected = []
    for conversation in (1, 2, 3):
        own = [index for index, row in enumerate(rows) if row[0] == conversation]
        fields = [[rows[index][field] for index in own] for field in (2, 3, 4, 5, 1)]
        expected += [own[place] for place in plain_rule(*fields)]
    assert deciding_rows(columns_of(rows), np.arange(len(rows))).tolist() == expected


@given(
    st.lists(
        st.tuples(
            st.integers(0, 1),
            st.sampled_from([2, 18, 16, 24, 17, 1, 4, 20, 0]),
            *[st.sampled_from([0, 1, 2, 3, 7, 8, 9, 14])] * 2,
            st.sampled_from([0, 0, 1, 5, 6]),
        ),
        max_size=40,
    ),
    st.lists(st.integers(-(2**32), 2**32), min_size=2, max_size=2),
    st.integers(0, 2**32),
)
def test_connections_alike_in_the_order_of_their_numbers_are_read_once_and_rightly(
    rows: list[tuple[int, int, int, int, int]], isn: list[int], stretch: int
) -> None:
    """One as it is, one with other initial numbers, one with everything above 5 farther away."""

    def moved(number: int, space: int, by: int) -> int:
        return (number + isn[space] + (by if number > 5 else 0)) % 2**32

    all_rows: list[Row] = []
    for conversation, by in ((1, 0), (2, 0), (3, stretch)):
        for side, flags, seq, ack, payload_bytes in rows:
            start = seq if conversation == 1 else moved(seq, side, by)
            end = seq + payload_bytes if conversation == 1 else moved(seq + payload_bytes, side, by)
            acked = ack if conversation == 1 else moved(ack, 1 - side, by)
            all_rows.append((conversation, side, flags, start, acked, (end - start) % 2**32))
    columns = columns_of(all_rows)
    ends = ends_of(columns, np.arange(len(all_rows)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("inspector.trace.ends._AT_ONCE", 2)
        assert list(ends_of(columns, np.arange(len(all_rows))).items()) == list(ends.items())
    for conversation in (1, 2, 3):
        own = np.array([index for index, row in enumerate(all_rows) if row[0] == conversation], np.intp)
        alone = PacketColumns.take(columns, own)
        assert ends.get(conversation) == ends_of(alone, np.arange(len(own))).get(conversation)
        tracker = Tracker()
        for _, segment in segments_of(alone, np.arange(len(own))):
            tracker.feed(segment)
        if len(own):
            assert ends[conversation][:2] == tracker.ends()


@pytest.mark.skipif(not FILES, reason="the shared captures are not here")
def test_real_connections_end_as_when_every_row_is_tracked() -> None:
    compared = 0
    for path in FILES:
        if path.suffix not in (".pcap", ".pcapng") or path.stat().st_size > 1 << 20:
            continue
        try:
            trace = Trace.read(str(path))
        except FileProblem:
            continue
        with trace:
            quick = trace.ends()
            for number, connection in trace.analysed().items():
                client, server, outcome = connection.end()
                assert quick[number].client == client
                assert quick[number].server == server
                assert quick[number].outcome == outcome._replace(conn_state="", history="")
                compared += 1
    assert compared > 2000
