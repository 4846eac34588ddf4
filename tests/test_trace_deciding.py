"""The deciding rows picked with numpy are those of the plain rule, and tracking them alone ends as tracking all."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.decode.columns import Mark, PacketColumns
from inspector.tcp.deciding import deciding_rows as plain_rule
from inspector.text.problems import FileProblem
from inspector.trace.deciding import deciding_rows
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
