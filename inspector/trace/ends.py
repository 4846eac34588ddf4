"""How many connections stand at the end, read from the rows that decide it.

Connections go in few ways: most captures have some dozens, whatever the number of connections. What the tracker says
depends on flags, and on how sequence numbers compare: so connections whose deciding rows are alike in these are read
once (``_patterns``).
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import I64
from inspector.decode.columns import Mark, PacketColumns
from inspector.tcp.outcome import Course
from inspector.tcp.report import Outcome
from inspector.tcp.segment import Flag
from inspector.tcp.states import EndpointState
from inspector.tcp.tracker import Tracker
from inspector.trace.conversation import ConnectionEnd
from inspector.trace.deciding import deciding_rows
from inspector.trace.intake import Rows
from inspector.trace.reader import segments_of

_TELLING = int(Flag.FIN | Flag.SYN | Flag.RST | Flag.ACK)
_ACK = int(Flag.ACK)
_FAR = 4  # sequence numbers are compared after adding 2 at most: farther apart, only their order matters
_AT_ONCE = 200_000  # rows
_WIDEST = 2**31 - _FAR  # numbers farther apart have no order

_Read = tuple[tuple[EndpointState, EndpointState], Outcome, tuple[int, int] | None]


def ends_of(columns: PacketColumns, rows: Rows) -> dict[int, ConnectionEnd]:
    """The end of each connection by conversation number; ``rows`` are whole TCP segments in order.

    Zeek's ``conn_state`` and ``history``, which need every row, are left empty.
    """
    read: dict[bytes, _Read] = {}
    ends: dict[int, ConnectionEnd] = {}
    for part in _parts(columns, rows):
        ends |= _ends_of_part(columns, part, read)
    return ends


def _parts(columns: PacketColumns, rows: Rows) -> Iterator[Rows]:
    """The rows, some connections at a time: what is worked out for each row takes as much room as the columns."""
    conversation = columns.conversation[rows]
    last = int(conversation.max(initial=0))
    step = last // (len(rows) // _AT_ONCE + 1) + 1
    for first in range(0, last + 1, step):
        yield rows[(conversation >= first) & (conversation < first + step)]


def _ends_of_part(columns: PacketColumns, rows: Rows, read: dict[bytes, _Read]) -> dict[int, ConnectionEnd]:
    """The same of some; ``read`` has what was read of patterns."""
    rows = deciding_rows(columns, rows)
    found: list[tuple[int, _Read]] = []
    handshakes: list[tuple[int, int]] = []  # of those that have one, the places of its SYN and ACK in ``rows``
    for number, start, stop, pattern in _patterns(columns, rows):
        known = read.get(pattern)
        if known is None:
            known = _read(columns, rows[start:stop])
            if pattern:
                read[pattern] = known
        found.append((number, known))
        if known[2] is not None:
            handshakes.append((start + known[2][0], start + known[2][1]))
    syn_ns, ack_ns = columns.time_ns[rows[np.array(handshakes, np.int64).reshape(-1, 2)]].T
    rtts_ns = iter((ack_ns - syn_ns).tolist())
    return {
        number: ConnectionEnd(*states, outcome if handshake is None else Outcome(*outcome[:-1], next(rtts_ns)))
        for number, (states, outcome, handshake) in found
    }


def _read(columns: PacketColumns, rows: Rows) -> _Read:
    """States, outcome without its time, and which of the rows have the SYN and the ACK that time is between."""
    tracker = Tracker()
    course = Course(tracker)
    for place, (_, segment) in enumerate(segments_of(columns, rows)):
        course.feed(segment._replace(time_ns=place), tracker.feed(segment).transitions)
    outcome = Outcome(course.opening, course.closing, course.closed_by, "", "", None)
    return tracker.ends(), outcome, course.handshake_ns


def _patterns(columns: PacketColumns, rows: Rows) -> Iterator[tuple[int, int, int, bytes]]:
    """Each conversation's number, where its rows start and stop, and what is the same for all that are read the same;
    b"" for none."""
    if not len(rows):
        return
    conversation = columns.conversation[rows]
    starts = np.flatnonzero(np.concatenate(([True], conversation[1:] != conversation[:-1])))
    stops = np.append(starts[1:], len(rows))
    which = np.repeat(np.arange(len(starts)), stops - starts)
    side = ((columns.mark[rows] & int(Mark.TO_CLIENT)) != 0).astype(np.int64)
    flags = columns.flags[rows] & _TELLING
    seq = columns.seq[rows]
    own, other = 2 * which + side, 2 * which + 1 - side
    acknowledges = flags & _ACK != 0  # what stands in the field otherwise is never looked at
    numbers = (seq, seq + columns.payload_bytes[rows], np.where(acknowledges, columns.ack[rows], seq))
    places, wide = _places(numbers, (own, own, np.where(acknowledges, other, own)))
    table = np.column_stack((flags | side << 8, *places)).astype(np.int32)
    unordered = np.zeros(len(starts), np.bool_)
    unordered[wide // 2] = True
    data, row_bytes = table.tobytes(), table.itemsize * table.shape[1]
    bounds = zip(conversation[starts].tolist(), starts.tolist(), stops.tolist(), unordered.tolist(), strict=True)
    for number, start, stop, has_no_order in bounds:
        yield number, start, stop, b"" if has_no_order else data[start * row_bytes : stop * row_bytes]


def _places(
    numbers: Sequence[npt.NDArray[np.uint32]], spaces: Sequence[I64]
) -> tuple[list[npt.NDArray[np.int64]], npt.NDArray[np.int64]]:
    """Sequence numbers, each of one of the spaces, with all that is between them and does not matter taken out.

    Returns them in the same shape, and the spaces whose numbers are too far apart to be compared.
    """
    number, space = np.concatenate(numbers), np.concatenate(spaces)
    base = np.zeros(int(space.max()) + 1, np.uint32)
    base[space] = number
    relative = (number - base[space]).astype(np.int32).astype(np.int64)
    key = (space << 33) + relative
    order = np.argsort(key)
    key = key[order]
    sorted_space = space[order]
    begins = np.flatnonzero(np.concatenate(([True], sorted_space[1:] != sorted_space[:-1])))
    steps = np.minimum(np.diff(key, prepend=key[0]), _FAR)
    steps[begins] = 0
    place = np.empty_like(key)
    place[order] = np.cumsum(steps) - np.repeat(np.cumsum(steps)[begins], np.diff(np.append(begins, len(key))))
    spread = key[np.append(begins[1:], len(key)) - 1] - key[begins]
    return np.split(place, len(numbers)), sorted_space[begins][spread > _WIDEST]
