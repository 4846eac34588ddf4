"""The segments of every connection before a packet, found again in the columns: what the findings compare with."""

from collections.abc import Callable, Iterator
from functools import cached_property
from itertools import islice

import numpy as np
import numpy.typing as npt

from inspector.decode.columns import PacketColumns
from inspector.tcp.past import REMEMBERED
from inspector.tcp.segment import Segment
from inspector.trace.grouping import in_order, is_segment
from inspector.trace.reader import segments_of, whole_segment

_STEP = 32  # rows that are turned into segments at a time; a search ends within them, as a rule


class ColumnsPast:
    """Of all connections of a capture; ``of`` gives the ``tcp.past.Past`` of one. It costs nothing until asked."""

    def __init__(self, columns: PacketColumns, bytes_of: Callable[[int, int, int], bytes]) -> None:
        self._columns = columns
        self._bytes_of = bytes_of

    def of(self, conversation: int) -> "ConnectionPast":
        """The past of one connection."""
        return ConnectionPast(self, conversation)

    def rows(self, conversation: int) -> npt.NDArray[np.intp]:
        """The rows of a conversation's segments, in order."""
        rows, starts = self._sorted
        return rows[starts[conversation] : starts[conversation + 1]]

    def segments(self, rows: npt.NDArray[np.intp]) -> list[Segment]:
        """These rows as segments, without what only their bytes tell."""
        return [segment for _, segment in segments_of(self._columns, rows)]

    def whole(self, segment: Segment) -> Segment:
        """With what its bytes tell."""
        columns, row = self._columns, segment.packet - 1
        frame = self._bytes_of(segment.packet, int(columns.position[row]), int(columns.captured_bytes[row]))
        return whole_segment(segment, frame, int(columns.transport_offset[row]), int(columns.payload_offset[row]))

    @cached_property
    def _sorted(self) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        rows = np.flatnonzero(is_segment(self._columns))
        numbers = self._columns.conversation[rows]
        order = in_order(numbers)
        last = int(numbers.max(initial=0))
        return rows[order], np.searchsorted(numbers[order], np.arange(last + 2))


class ConnectionPast:
    """A ``tcp.past.Past`` of one connection."""

    def __init__(self, columns: ColumnsPast, conversation: int) -> None:
        self._all = columns
        self._conversation = conversation

    def before(self, packet: int) -> Iterator[Segment]:
        """The segments before a packet, the newest first."""
        return islice(self._backwards(packet), REMEMBERED)

    def whole(self, segment: Segment) -> Segment:
        """With what the frame tells."""
        return self._all.whole(segment)

    def _backwards(self, packet: int) -> Iterator[Segment]:
        rows = self._all.rows(self._conversation)
        end = int(np.searchsorted(rows, packet - 1))
        while end > 0:
            start = max(end - _STEP, 0)
            yield from reversed(self._all.segments(rows[start:end]))
            end = start
