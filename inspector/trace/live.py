"""A capture while it runs: conversations are read packet by packet; what is over leaves, so memory is bounded."""

from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from inspector.capture.batch import U32, FrameBatch
from inspector.decode.addresses import AddressTable
from inspector.decode.columns import Mark, PacketColumns
from inspector.decode.exceptional import QuotedDatagram
from inspector.tcp.states import TcpState
from inspector.trace.conversation import ConnectionEnd, Conversation, PacketRecord, Row
from inspector.trace.counts import describe
from inspector.trace.grouping import Instance
from inspector.trace.intake import Intake, Rows
from inspector.trace.passed_over import Part, PassedOver, Totals
from inspector.trace.reader import ConversationReader, PacketValues, Recorder, values_of
from inspector.trace.selection import Selection

KEPT_FRAME_BYTES = 4 << 20
KEPT_SUMMARIES = 10_000
_KEPT_OPEN = 20_000  # conversations that are still open; beyond it the one idle for longest is summed up
_KEPT_CLOSED = 1_000  # closed ones that still wait for late segments
_KEPT_ADDRESSES = 50_000  # of IPv6; beyond it those of conversations that are not kept go
_LATE_NS = 300_000_000
_VERY_LATE_NS = 1_000_000_000
_FLOOD = 15_000  # packets that wait and take longer than that to show
_MUCH_OF_IT = 10  # a conversation has that share of them
_STEP = 256  # packets that are read before it is asked again how many wait
_FRAME_OVERHEAD = 200  # bytes that Python needs beside a frame's own
_CHECKSUM_NOT_READY = int(Mark.CHECKSUM_NOT_READY)
_OVER = (TcpState.CLOSED, TcpState.TIME_WAIT)


class LiveConversation:
    """One conversation under way: its counts so far, and its reader."""

    def __init__(self, instance: Instance, addresses: AddressTable, quoted: dict[int, QuotedDatagram]) -> None:
        self.instance = instance
        self.reader = ConversationReader(instance, addresses, quoted)
        self._addresses = addresses
        self._packets = [0, 0]
        self._payload_bytes = [0, 0]
        self._times_ns = (0, 0)

    def read(self, values: PacketValues, frame: bytes) -> Row:
        """Read and count its next packet."""
        row = self.reader.feed(values, frame)
        if row.notice is None:
            if not any(self._packets):
                self._times_ns = (values.time_ns, values.time_ns)
            self._times_ns = (min(self._times_ns[0], values.time_ns), max(self._times_ns[1], values.time_ns))
            self._packets[row.side] += 1
            self._payload_bytes[row.side] += 0 if row.fragment else row.payload_bytes
        return row

    def summary(self) -> Conversation:
        """Its counts so far."""
        packets, payload_bytes = self._packets, self._payload_bytes
        return describe(
            self.instance,
            self._addresses,
            (packets[0], packets[1]),
            (payload_bytes[0], payload_bytes[1]),
            self._times_ns,
        )


class Arrival(NamedTuple):
    """One packet came: its row, and its conversation, None for a packet that belongs to none (ARP and the like)."""

    row: Row
    record: PacketRecord
    conversation: LiveConversation | None
    first: bool  # of its conversation
    checksum_ready: bool = True  # False: the kernel left it to the network card


class LiveTrace:
    """Feed batches, get rows. Packets are numbered from 1 among those that the selection takes.

    ``lateness_ns`` tells how long ago a time was, ``waiting`` how many packets have come that were not yet fed. Who is
    late with a packet does not begin to read its conversation: better some are shown whole than all are torn by what
    the kernel drops. The others are only counted.
    """

    def __init__(
        self,
        selection: Selection | None = None,
        lateness_ns: Callable[[int], int] | None = None,
        waiting: Callable[[], int] | None = None,
    ) -> None:
        self.forgotten = Totals()  # that left even the summaries
        self._lateness_ns = lateness_ns
        self._waiting = waiting
        self._intake = Intake(selection)
        self._passed_over = PassedOver(self._intake.grouping)
        self._recorder = Recorder(self._intake.decoder.addresses)
        self._open: OrderedDict[int, LiveConversation] = OrderedDict()
        self._closed: OrderedDict[int, LiveConversation] = OrderedDict()
        self._summaries: deque[tuple[Conversation, ConnectionEnd | None]] = deque()
        self._frames: OrderedDict[int, bytes] = OrderedDict()
        self._frame_bytes = 0
        self._kept_addresses = _KEPT_ADDRESSES

    @property
    def captured(self) -> int:
        """Packets fed."""
        return self._intake.seen

    @property
    def taken(self) -> int:
        """Packets that the selection took."""
        return self._intake.taken

    @property
    def passed_over(self) -> Totals:
        """Conversations that are only counted, because they came too fast."""
        return self._passed_over.totals

    @property
    def shown(self) -> int:
        """Packets that it took, but for those of conversations that were passed over."""
        return self.taken - self.passed_over.packets

    def parts(self, batch: FrameBatch) -> Iterator[Part]:
        """A batch in parts, to be handled one after the other: each is either known, for ``count``, or for ``select``
        and ``feed``."""
        return self._passed_over.parts(batch)

    def count(self, part: Part, rows: Rows) -> None:
        """Count the rows of a part that is known; of conversations that are only counted."""
        assert part.payload_bytes is not None
        self._intake.skip(len(part.batch), len(rows))
        self._passed_over.count(part.payload_bytes[rows])

    def select(self, batch: FrameBatch) -> tuple[PacketColumns, Rows]:
        """Decode a batch; its columns, and the rows that the selection takes."""
        columns, rows = self._intake.select(batch)
        refused = np.delete(np.arange(len(columns)), rows)
        self._passed_over.learn(batch, refused, columns, refused, selected=False)
        return columns, rows

    def feed(self, batch: FrameBatch, columns: PacketColumns, rows: Rows) -> Iterator[Arrival]:
        """Read the selected rows of the batch that was decoded last."""
        first_packet = self.taken + 1
        taken = self._intake.take(columns, rows)
        left = self._not_passed_over(batch, rows, taken, np.arange(len(taken)))
        while len(left):
            if self._waiting is not None and len(left) + self._waiting() > _FLOOD:
                self._leave_largest(taken.conversation[left])
                left = self._not_passed_over(batch, rows, taken, left)
            step, left = left[:_STEP], left[_STEP:]
            offsets = batch.offset[rows[step]].tolist()
            for offset, values in zip(offsets, values_of(taken, step, first_packet), strict=True):
                if values.conversation and self._passes_over(values):
                    continue
                frame = bytes(batch.buffer[offset : offset + values.captured_bytes])
                self._keep(values.packet, frame)
                yield self._arrival(values, self._intake.reassembled.get(values.packet, frame))
        self._intake.forget()
        self._let_go()

    def frame(self, packet: int) -> bytes:
        """The bytes of a packet; empty when it was never taken, or left to make room for later ones."""
        return self._frames.get(packet, b"")

    def conversations(self) -> list[tuple[Conversation, ConnectionEnd | None]]:
        """All that are kept, in order of their first packet; beyond that see ``forgotten``."""
        kept = [*self._open.values(), *self._closed.values()]
        rows = [*self._summaries, *((one.summary(), one.reader.end()) for one in kept)]
        return sorted(rows, key=lambda row: row[0].number)

    def _not_passed_over(self, batch: FrameBatch, rows: Rows, taken: PacketColumns, places: Rows) -> Rows:
        """Those places of ``taken`` that are to be read; the others are counted."""
        passed = self._passed_over.has(taken.conversation[places])
        counted = places[passed]
        self._passed_over.count(taken.payload_bytes[counted])
        self._passed_over.learn(batch, rows[counted], taken, counted, selected=True)
        return places[~passed]

    def _leave_largest(self, conversations: U32) -> None:
        """Pass over what the reader would be very late with once it had come so far: the sooner, the less is torn."""
        numbers, packets = np.unique(conversations, return_counts=True)
        for number in numbers[packets * _MUCH_OF_IT > len(conversations)].tolist():
            if number:
                self._pass_over(number)

    def _passes_over(self, values: PacketValues) -> bool:
        """Whether a conversation is, or is from here on, only counted: a new one when the reader is late, one that is
        shown when it is very late."""
        number = values.conversation
        if number not in self._passed_over:
            if self._lateness_ns is None:
                return False
            shown = number in self._open or number in self._closed
            if self._lateness_ns(values.time_ns) < (_VERY_LATE_NS if shown else _LATE_NS):
                return False
            self._pass_over(number)
        self.passed_over.packets += 1
        self.passed_over.payload_bytes += values.payload_bytes
        return True

    def _pass_over(self, number: int) -> None:
        conversation = self._open.pop(number, None) or self._closed.pop(number, None)
        if conversation is not None:
            self._sum_up(conversation)
        self._passed_over.add(number)

    def _arrival(self, values: PacketValues, frame: bytes) -> Arrival:
        number = values.conversation
        checksum_ready = not values.mark & _CHECKSUM_NOT_READY
        conversation = self._open.get(number) or self._closed.get(number)
        first = conversation is None and number > 0
        if first:
            instance = self._intake.grouping.instances[number]
            conversation = LiveConversation(instance, self._intake.decoder.addresses, self._intake.quoted)
            self._open[number] = conversation
        if conversation is None:
            row = Row(
                values.packet,
                values.time_ns,
                values.side,
                values.payload_bytes,
                values.payload(frame),
                values.wire_bytes,
            )
            return Arrival(row, self._recorder.record(values, None), None, False, checksum_ready)
        row = conversation.read(values, frame)
        self._sort_in(number, conversation, row)
        return Arrival(row, self._recorder.record(values, row.report), conversation, first, checksum_ready)

    def _sort_in(self, number: int, conversation: LiveConversation, row: Row) -> None:
        """Note the activity of a conversation."""
        report = row.report
        over = report is not None and report.client.state in _OVER and report.server.state in _OVER
        (self._open if over else self._closed).pop(number, None)
        place = self._closed if over else self._open
        place[number] = conversation
        place.move_to_end(number)

    def _let_go(self) -> None:
        """Sum up what is too many; between batches, since all packets of a batch have their conversations already."""
        for kept, limit in ((self._open, _KEPT_OPEN), (self._closed, _KEPT_CLOSED)):
            while len(kept) > limit:
                _, conversation = kept.popitem(last=False)
                self._intake.grouping.forget(conversation.instance)
                self._sum_up(conversation)
        self._passed_over.let_go()
        if len(self._intake.decoder.addresses) > self._kept_addresses:
            self._intake.forget_addresses()
            self._recorder.forget()
            self._kept_addresses = max(_KEPT_ADDRESSES, 2 * len(self._intake.decoder.addresses))

    def _sum_up(self, conversation: LiveConversation) -> None:
        self._summaries.append((conversation.summary(), conversation.reader.end()))
        if len(self._summaries) > KEPT_SUMMARIES:
            oldest = self._summaries.popleft()[0]
            self.forgotten.conversations += 1
            self.forgotten.packets += oldest.packets
            self.forgotten.payload_bytes += oldest.payload_bytes

    def _keep(self, packet: int, frame: bytes) -> None:
        self._frames[packet] = frame
        self._frame_bytes += len(frame) + _FRAME_OVERHEAD
        while self._frame_bytes > KEPT_FRAME_BYTES:
            self._frame_bytes -= len(self._frames.popitem(last=False)[1]) + _FRAME_OVERHEAD
