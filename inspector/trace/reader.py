"""The packets of one conversation, read in order, become the rows that views take. The same for a file and live."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import repeat
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from inspector.decode.addresses import AddressTable
from inspector.decode.columns import Mark, PacketColumns
from inspector.decode.exceptional import QuotedDatagram
from inspector.decode.linktypes import number
from inspector.decode.protocols import icmp_name, protocol_name
from inspector.tcp.connection import Connection
from inspector.tcp.options import NO_OPTIONS, parse_options
from inspector.tcp.report import SegmentReport
from inspector.tcp.segment import Segment
from inspector.tcp.states import Side
from inspector.trace.conversation import ConnectionEnd, Endpoint, Notice, PacketRecord, Row
from inspector.trace.grouping import PROTOCOLS_WITH_PORTS, TCP, Instance

Made = TypeVar("Made", bound=tuple[object, ...])

_ICMP_PROTOCOLS = (1, 58)
_ECHO_SEQUENCE = slice(6, 8)  # of the ICMP header, RFC 792
_RECENT = 256  # packets and open questions remembered, to tie ICMP errors and replies to them
_NAMES_KEPT = 10_000
# Plain numbers: an operation of IntFlag costs a microsecond.
_NO_SEGMENT = int(Mark.FRAGMENT | Mark.MALFORMED)
_TO_CLIENT, _FRAGMENT, _QUOTING = int(Mark.TO_CLIENT), int(Mark.FRAGMENT), int(Mark.QUOTING)
_MALFORMED = int(Mark.MALFORMED)


def maker(kind: type[Made]) -> Callable[[Iterable[object]], Made]:
    """What makes named tuples of their fields; their own ``_make`` counts these in Python, and takes twice as long."""
    return partial(tuple.__new__, kind)


class PacketValues(NamedTuple):
    """One row of the columns as Python numbers, and its packet number."""

    packet: int
    time_ns: int
    position: int
    captured_bytes: int
    wire_bytes: int
    network: int
    protocol: int
    source: int
    destination: int
    source_port: int
    destination_port: int
    seq: int
    ack: int
    window: int
    flags: int
    mark: int
    transport_offset: int
    payload_offset: int
    payload_bytes: int
    conversation: int

    @property
    def side(self) -> Side:
        """Who sent it."""
        return Side.SERVER if self.mark & _TO_CLIENT else Side.CLIENT

    @property
    def is_segment(self) -> bool:
        """Whether it is a whole TCP segment (grouping.is_segment for one row)."""
        return self.protocol == TCP and not self.mark & _NO_SEGMENT

    def segment(self, frame: bytes = b"") -> Segment:
        """The TCP segment; with its options and IP identification when the frame's bytes are given."""
        core = (self.packet, self.time_ns, self.side, self.seq, self.ack, self.flags, self.window, self.payload_bytes)
        segment = Segment(*core)
        return whole_segment(segment, frame, self.transport_offset, self.payload_offset) if frame else segment

    def payload(self, frame: bytes, limit: int | None = None) -> bytes:
        """The captured part of the payload, at most ``limit`` bytes."""
        length = self.payload_bytes if limit is None else min(self.payload_bytes, limit)
        return frame[self.payload_offset : self.payload_offset + length]


def whole_segment(segment: Segment, frame: bytes, transport_offset: int, payload_offset: int) -> Segment:
    """A segment with what only its bytes tell: the options, and the identification of its IPv4 header."""
    options = parse_options(frame[transport_offset + 20 : payload_offset])
    return segment._replace(options=options, identification=_identification(frame, transport_offset))


def _identification(frame: bytes, end: int) -> int:
    """Of the IPv4 header that ends there; 0 where it is another header."""
    for start in range(end - 20, max(end - 61, -1), -4) if len(frame) >= end else ():
        if frame[start] == 0x40 | (end - start) // 4 and frame[start + 9] == TCP:
            return number(frame, start + 4)
    return 0


def values_of(columns: PacketColumns, rows: npt.NDArray[np.intp], first_packet: int = 1) -> Iterator[PacketValues]:
    """The chosen rows as Python numbers; ``first_packet`` is the number of the columns' first row."""
    fields = (getattr(columns, name)[rows].tolist() for name in PacketValues._fields[1:])
    return map(maker(PacketValues), zip((rows + first_packet).tolist(), *fields, strict=True))


def segments_of(columns: PacketColumns, rows: npt.NDArray[np.intp]) -> Iterator[tuple[int, Segment]]:
    """(conversation, segment without options) of rows that are whole segments of columns from packet 1 on."""
    sides = map((Side.CLIENT, Side.SERVER).__getitem__, ((columns.mark[rows] & _TO_CLIENT) != 0).tolist())
    fields = (getattr(columns, name)[rows].tolist() for name in ("seq", "ack", "flags", "window", "payload_bytes"))
    segments = zip((rows + 1).tolist(), columns.time_ns[rows].tolist(), sides, *fields, repeat(NO_OPTIONS), repeat(0))
    return zip(columns.conversation[rows].tolist(), map(maker(Segment), segments), strict=True)


class ConversationReader:
    """Reads one conversation: feed its packets in order, ask for its end at any time."""

    def __init__(self, instance: Instance, addresses: AddressTable, quoted: Mapping[int, QuotedDatagram]) -> None:
        self.instance = instance
        self.connection = Connection(instance.reused) if instance.protocol == TCP else None
        self._addresses = addresses
        self._quoted = quoted  # what ICMP errors quote, by packet number
        self._asked: dict[bytes, int] = {}  # open questions of the client, 0 where several are open
        self._recent: tuple[deque[PacketValues], deque[PacketValues]] = (deque(maxlen=_RECENT), deque(maxlen=_RECENT))

    def feed(self, values: PacketValues, frame: bytes, payload_limit: int | None = None, comment: str = "") -> Row:
        """The row of the next packet; ``frame`` is empty when its bytes are gone."""
        row = Row(
            packet=values.packet,
            time_ns=values.time_ns,
            side=values.side,
            payload_bytes=values.payload_bytes,
            payload=values.payload(frame, payload_limit),
            frame_bytes=values.wire_bytes,
            fragment=bool(values.mark & _FRAGMENT),
            comment=comment,
            damaged=bool(values.mark & _MALFORMED),
        )
        if values.mark & _QUOTING and values.protocol != self.instance.protocol:
            return row._replace(notice=self._notice(values, frame))
        self._recent[values.side].append(values)
        if self.connection is not None:
            return row._replace(report=self.connection.feed(values.segment(frame))) if values.is_segment else row
        return row._replace(answers=self._answered(values, frame), icmp=_icmp_name(values, frame))

    def end(self) -> ConnectionEnd | None:
        """Where a TCP connection stands; None for other protocols."""
        return None if self.connection is None else ConnectionEnd(*self.connection.end())

    def _notice(self, values: PacketValues, frame: bytes) -> Notice:
        source = self._addresses.text(values.network, values.source)
        return Notice(_icmp_name(values, frame) or "error", source, self._about(values))

    def _about(self, values: PacketValues) -> int | None:
        """The packet an ICMP error quotes: of a segment by its sequence number, of a datagram the latest."""
        quoted = self._quoted.get(values.packet)
        for earlier in reversed(self._recent[values.side.other]):
            if quoted is not None and (self.connection is None or earlier.seq == quoted.seq):
                return earlier.packet
        return None

    def _answered(self, values: PacketValues, frame: bytes) -> int | None:
        """The packet that a server's datagram answers: an echo reply by its number, any other when one is open.

        With several unanswered datagrams nothing tells which of them a reply means, so none is claimed.
        """
        echo = frame[values.transport_offset :][_ECHO_SEQUENCE] if values.protocol in _ICMP_PROTOCOLS else b""
        if values.side is Side.SERVER:
            return self._asked.pop(echo, 0) or None
        self._asked[echo] = 0 if echo in self._asked and not echo else values.packet
        if len(self._asked) > _RECENT:
            del self._asked[next(iter(self._asked))]
        return None


def _icmp_name(values: PacketValues, frame: bytes) -> str:
    """What an ICMP message is called; empty where its type is not captured, or for another protocol."""
    kind = frame[values.transport_offset : values.transport_offset + 2]
    if values.protocol not in _ICMP_PROTOCOLS or not values.transport_offset or len(kind) < 2:
        return ""
    return icmp_name(values.protocol, kind[0], kind[1])


class Recorder:
    """Makes the record of a packet, its endpoints named; each name is made once."""

    def __init__(self, addresses: AddressTable) -> None:
        self._addresses = addresses
        self._names: dict[tuple[int, int, int], str] = {}

    def record(self, values: PacketValues, report: SegmentReport | None) -> PacketRecord:
        """What ``inspector packets`` prints of a packet."""
        numbers = values.packet, values.time_ns, values.conversation or None
        sizes = values.wire_bytes, values.payload_bytes
        return PacketRecord(*numbers, *self._named(values), *sizes, None if report is None else values.flags, report)

    def records(
        self, columns: PacketColumns, rows: npt.NDArray[np.intp], reports: Sequence[SegmentReport | None]
    ) -> Iterator[PacketRecord]:
        """Those of many packets; the segments of one side of a connection are all called alike, and so named once."""
        side = columns.conversation[rows].astype(np.int64) << 1 | ((columns.mark[rows] & _TO_CLIENT) != 0)
        analysed = np.array([report is not None for report in reports], np.bool_)
        _, first, inverse = np.unique(np.where(analysed, side, -1 - rows), return_index=True, return_inverse=True)
        named = [self._named(values) for values in values_of(columns, rows[first])]
        which = inverse.tolist()
        names = (map([name[part] for name in named].__getitem__, which) for part in range(3))
        fields = zip(
            (rows + 1).tolist(),
            columns.time_ns[rows].tolist(),
            [number or None for number in columns.conversation[rows].tolist()],
            *names,
            columns.wire_bytes[rows].tolist(),
            columns.payload_bytes[rows].tolist(),
            [flags if known else None for flags, known in zip(columns.flags[rows].tolist(), reports, strict=True)],
            reports,
            strict=True,
        )
        return map(maker(PacketRecord), fields)

    def forget(self) -> None:
        """Make names anew: numbers of addresses have got another meaning."""
        self._names.clear()

    def _named(self, values: PacketValues) -> tuple[str, str, str]:
        kind = values.network << 8 | values.protocol
        return (
            protocol_name(values.network, values.protocol),
            self._name(kind, values.source, values.source_port),
            self._name(kind, values.destination, values.destination_port),
        )

    def _name(self, kind: int, address: int, port: int) -> str:
        key = kind, address, port
        name = self._names.get(key)
        if name is None:
            if len(self._names) >= _NAMES_KEPT:
                self._names.clear()
            text = self._addresses.text(kind >> 8, address)
            name = self._names[key] = str(Endpoint(text, port if kind & 0xFF in PROTOCOLS_WITH_PORTS else None))
        return name
