"""A capture as a whole: the columns of all packets, its conversations, and what is analysed when it is asked for."""

from collections.abc import Callable, Collection, Container, Iterator, Mapping
from functools import cached_property, partial
from itertools import chain
from types import TracebackType

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import U32, FrameBatch, FrameStore
from inspector.capture.files import open_capture
from inspector.decode.columns import GrowingColumns, Mark, PacketColumns
from inspector.tcp.connection import Connection, SegmentReader
from inspector.tcp.reassembly import ConnectionAssembler, Gap, Piece
from inspector.tcp.report import SegmentReport
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.states import Side
from inspector.text.problems import DamageProblem
from inspector.trace import ahead
from inspector.trace.conversation import ConnectionEnd, Conversation, PacketRecord, Row
from inspector.trace.counts import Counts
from inspector.trace.ends import ends_of
from inspector.trace.grouping import TCP, Instance, in_order, is_segment
from inspector.trace.intake import Intake, Rows
from inspector.trace.past import ColumnsPast
from inspector.trace.reader import ConversationReader, PacketValues, Recorder, values_of
from inspector.trace.selection import Selection
from inspector.trace.steady import SteadyReader
from inspector.trace.troubles import troubles

_SYN = int(Flag.SYN)
_SLICE = 1 << 13  # rows that are read at a time


class Trace:
    """A capture, indexed. Conversations and packets are numbered from 1.

    Only the columns are kept; frames are fetched again from ``source``, so the trace must stay open while it is used.
    """

    def __init__(self, source: FrameStore, selection: Selection | None = None) -> None:
        self.source = source
        self.damage: DamageProblem | None = None
        self.comments: Mapping[int, str] = {}
        self._intake = Intake(selection)
        self._addresses = self._intake.decoder.addresses
        self._growing = GrowingColumns()

    @classmethod
    def read(cls, path: str, progress: Callable[[int, int], None] | None = None, *, fork: bool = False) -> "Trace":
        """Index a capture file ("-" for standard input); raises FileProblem. ``progress`` gets (bytes done, total).

        A file that stops making sense is read up to there, and ``damage`` says where. With ``fork`` another process
        helps with a large one: only for a program that has no threads.
        """
        file = open_capture(path, progress=progress)
        trace = cls(file)
        if fork and ahead.worthwhile(file):
            for decoded in ahead.decoded_ahead(file, progress):
                trace._add(*trace._intake.select_decoded(decoded))
        else:
            for batch in file.batches():
                trace.add(batch)
        trace.damage, trace.comments = file.damage, file.comments
        return trace

    def add(self, batch: FrameBatch) -> None:
        """Index further frames; their positions must be those of ``source``."""
        self._add(*self._intake.select(batch))

    def _add(self, columns: PacketColumns, rows: Rows) -> None:
        self._growing.append(self._intake.take(columns, rows))
        self.__dict__.pop("_columns", None)
        self.__dict__.pop("_counts", None)
        self.__dict__.pop("_sorted", None)

    @property
    def columns(self) -> PacketColumns:
        """The headers of all packets, one row each."""
        self._refresh()
        return self._columns

    def __enter__(self) -> "Trace":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; frames can no longer be fetched."""
        self.source.close()

    def __len__(self) -> int:
        self._refresh()
        return self._intake.taken

    def frame(self, packet: int) -> bytes:
        """The captured bytes of a packet; raises IndexError when there is no such packet."""
        if not 1 <= packet <= len(self):
            raise IndexError(packet)
        row = packet - 1
        return self.source.fetch(int(self._columns.position[row]), int(self._columns.captured_bytes[row]))

    def values(self, packet: int) -> PacketValues:
        """The columns of one packet; raises IndexError when there is no such packet."""
        if not 1 <= packet <= len(self):
            raise IndexError(packet)
        return next(values_of(self._columns, np.array([packet - 1])))

    def packets_of(self, numbers: Collection[int]) -> list[int]:
        """The numbers of all packets of some conversations, in order."""
        chosen = np.isin(self.columns.conversation, list(numbers))
        return [int(row) + 1 for row in np.flatnonzero(chosen)]

    def first_with_data(self) -> int | None:
        """The number of the first packet that carries payload."""
        rows = np.flatnonzero(self.columns.payload_bytes > 0)
        return int(rows[0]) + 1 if len(rows) else None

    def is_reassembled(self, packet: int) -> bool:
        """Whether a packet is the last fragment of a datagram, whose headers its columns tell."""
        return packet in self._intake.reassembled

    def link_type(self, packet: int) -> int:
        """The LINKTYPE_ number of a packet's frame."""
        return int(self.columns.link_type[packet - 1])

    def conversation(self, number: int) -> Conversation:
        """One conversation by its number; raises KeyError when there is none."""
        self._refresh()
        return self._counts.conversations([self._instances[number]], self._addresses, self)[0]

    def conversations(self, selection: Selection | None = None) -> list[Conversation]:
        """The conversations that are asked for, in order of their first packet."""
        self._refresh()
        return self._counts.conversations(self._selected(selection), self._addresses, self)

    def rows(
        self, number: int, payload_limit: int | None = None, most: int | None = None
    ) -> tuple[list[Row], ConnectionEnd | None]:
        """All packets of a conversation, or the first ``most``, analysed; and where its connection stands after them
        (None if not TCP)."""
        self._refresh()
        reader = ConversationReader(self._instances[number], self._addresses, self._intake.quoted)
        rows = [
            reader.feed(
                values,
                self._values_bytes(values),
                payload_limit,
                self.comments.get(values.packet, ""),
            )
            for values in values_of(self._columns, self._rows_of(number)[:most])
        ]
        return rows, reader.end()

    def analysed(self, selection: Selection | None = None, share: tuple[int, int] = (0, 1)) -> dict[int, Connection]:
        """Every TCP connection asked for, all segments read, by conversation number; ``share`` is as in ``records``."""
        self._refresh()
        connections: dict[int, Connection] = {}
        past = ColumnsPast(self._columns, self._bytes_of)
        which, workers = share
        rows = self._chosen(selection)
        rows = rows[self._columns.conversation[rows] % workers == which]
        for values in self._values(rows[is_segment(self._columns, rows)]):
            number = values.conversation
            connection = connections.get(number)
            if connection is None:
                connection = connections[number] = Connection(self._instances[number].reused, past.of(number))
            connection.feed(self._segment(values))
        return connections

    def ends(self, selection: Selection | None = None) -> dict[int, ConnectionEnd]:
        """How every TCP connection asked for stands at the end, by conversation number, read from deciding rows alone.

        Zeek's ``conn_state`` and ``history``, which need every row, are left empty.
        """
        self._refresh()
        rows = self._chosen(selection)
        return ends_of(self._columns, rows[is_segment(self._columns, rows)])

    def records(
        self, selection: Selection | None = None, number: int | None = None, share: tuple[int, int] = (0, 1)
    ) -> Iterator[PacketRecord]:
        """The packets asked for, by selection or of one conversation, in order; TCP segments with their analysis.

        ``share`` (which, of how many): only those of the conversations that fall to one of several workers.
        """
        rows = self._asked_for(selection, number)
        which, workers = share
        recorder = Recorder(self._addresses)
        read = self._reports(rows[self._columns.conversation[rows] % workers == which])
        return chain.from_iterable(recorder.records(self._columns, part, reports) for part, reports in read)

    def shares(self, workers: int, selection: Selection | None = None, number: int | None = None) -> U32:
        """To which of the workers each record falls."""
        return self._columns.conversation[self._asked_for(selection, number)] % workers

    def packets(self, number: int) -> list[tuple[int, int, int]]:
        """Time (ns), TCP flags and payload bytes of a conversation's own packets, from the columns alone."""
        self._refresh()
        columns = self._columns
        rows = np.flatnonzero((columns.conversation == number) & (columns.mark & int(Mark.QUOTING) == 0))
        fields = (column[rows].tolist() for column in (columns.time_ns, columns.flags, columns.payload_bytes))
        return list(zip(*fields, strict=True))

    def payloads(self, number: int) -> list[tuple[int, Side, int, int]]:
        """Packet number, sender, sequence number and bytes of a connection's segments with data, from the columns."""
        self._refresh()
        columns = self._columns
        ours = (columns.conversation == number) & (columns.payload_bytes > 0) & (columns.mark & int(Mark.QUOTING) == 0)
        rows = np.flatnonzero(ours & is_segment(columns))
        return [(each.packet, each.side, each.seq, each.payload_bytes) for each in values_of(columns, rows)]

    def stream(self, number: int, sides: Container[Side] = tuple(Side)) -> Iterator[tuple[Side, Piece | Gap]]:
        """What the chosen sides sent, each in order and both as they became complete: TCP's byte streams with their
        gaps named, or the payloads of datagrams."""
        self._refresh()
        columns, protocol = self._columns, self._instances[number].protocol
        ours = (columns.conversation == number) & (columns.mark & int(Mark.QUOTING | Mark.FRAGMENT) == 0)
        if protocol == TCP:
            yield from self._tcp_stream(np.flatnonzero(ours & is_segment(columns)), sides)
            return
        start = dict.fromkeys(Side, 0)
        for values in values_of(columns, np.flatnonzero(ours)):
            if values.side in sides:
                data = values.payload(self._values_bytes(values))
                yield values.side, Piece(start[values.side], data, values.packet)
                start[values.side] += len(data)

    def troubles(self) -> U32:
        """By conversation number, how many of its packets show something out of the ordinary in their headers."""
        self._refresh()
        return troubles(self._columns, len(self._instances) + 1)

    def instance(self, number: int) -> Instance:
        """What the grouping knows of a conversation; raises KeyError when there is none."""
        self._refresh()
        return self._instances[number]

    @property
    def conversation_count(self) -> int:
        """How many conversations there are, over all protocols."""
        self._refresh()
        return len(self._instances)

    def _refresh(self) -> None:
        """Index what has come since; a file has all of it. Done once for each question, which is answered for that."""

    @cached_property
    def _columns(self) -> PacketColumns:
        return self._growing.all()

    @property
    def _instances(self) -> dict[int, Instance]:
        return self._intake.grouping.instances

    def _rows_of(self, number: int) -> Rows:
        """The rows of a conversation, in order."""
        order, starts = self._sorted
        return order[starts[number] : starts[number + 1]]

    @cached_property
    def _sorted(self) -> tuple[Rows, Rows]:
        numbers = self._columns.conversation
        order = in_order(numbers)
        return order, np.searchsorted(numbers[order], np.arange(len(self._instances) + 2))

    def _tcp_stream(self, rows: npt.NDArray[np.intp], sides: Container[Side]) -> Iterator[tuple[Side, Piece | Gap]]:
        assembler = ConnectionAssembler(sides)
        for values in values_of(self._columns, rows):
            yield from assembler.add(values.segment(), partial(self._payload, values))
        yield from assembler.finish()

    def _payload(self, values: PacketValues) -> bytes:
        return values.payload(self._values_bytes(values) if values.payload_bytes else b"")

    def _values_bytes(self, values: PacketValues) -> bytes:
        return self._bytes_of(values.packet, values.position, values.captured_bytes)

    def _bytes_of(self, packet: int, position: int, captured_bytes: int) -> bytes:
        """What the columns of a packet tell of: its frame, or the datagram that it completed as the last fragment."""
        whole = self._intake.reassembled.get(packet)
        return self.source.fetch(position, captured_bytes) if whole is None else whole

    def _asked_for(self, selection: Selection | None, number: int | None) -> npt.NDArray[np.intp]:
        self._refresh()
        rows = self._chosen(selection, alone=True)
        return rows if number is None else rows[self._columns.conversation[rows] == number]

    def _selected(self, selection: Selection | None) -> list[Instance]:
        instances = list(self._instances.values())
        if selection is None or selection.everything:
            return instances
        return [instance for instance in instances if selection.has(instance, self._addresses)]

    def _chosen(self, selection: Selection | None, *, alone: bool = False) -> npt.NDArray[np.intp]:
        """Rows of the conversations asked for; with ``alone`` also packets of no conversation that are asked for."""
        if selection is None or selection.everything:
            every = slice(None) if alone else self._columns.conversation > 0
            return np.arange(len(self._columns))[every]
        wanted = np.zeros(len(self._instances) + 1, np.bool_)
        wanted[[instance.number for instance in self._selected(selection)]] = True
        chosen = wanted[self._columns.conversation]
        if alone:
            chosen |= selection.rows(self._columns, self._addresses, self._intake.quoted, 1)
        return np.flatnonzero(chosen)

    def _reports(self, rows: Rows) -> Iterator[tuple[Rows, list[SegmentReport | None]]]:
        """The rows, some thousand at a time, with what is known of each that is a segment as it passes."""
        columns = self._columns
        past = ColumnsPast(columns, self._bytes_of)
        reader = SteadyReader(
            columns, lambda number: SegmentReader(self._instances[number].reused, past.of(number)), past.whole
        )
        for start in range(0, len(rows), _SLICE):
            part = rows[start : start + _SLICE]
            segments = is_segment(columns, part) & (columns.conversation[part] > 0)
            reports: list[SegmentReport | None] = [None] * len(part)
            for place, report in zip(np.flatnonzero(segments).tolist(), reader.read(part[segments]), strict=True):
                reports[place] = report
            yield part, reports

    def _values(self, rows: npt.NDArray[np.intp]) -> Iterator[PacketValues]:
        for start in range(0, len(rows), _SLICE):
            yield from values_of(self._columns, rows[start : start + _SLICE])

    def _segment(self, values: PacketValues) -> Segment:
        """With its options only where they matter to the analysis."""
        return values.segment(self._values_bytes(values) if values.flags & _SYN else b"")

    @cached_property
    def _counts(self) -> "Counts":
        return Counts.of(self._columns, self._instances)
