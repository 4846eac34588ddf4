"""A batch of frames to columns: numpy for the common case, ``decode_frame`` for the rest.

The common case: Ethernet, cooked, NULL or raw link layers without VLAN tags, IPv4 without options or IPv6 without
extension headers, unfragmented, carrying a whole TCP or UDP header.
"""

from collections import OrderedDict
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import I64, U8, FrameBatch
from inspector.decode import linktypes as links
from inspector.decode.addresses import AddressTable
from inspector.decode.columns import Mark, Network, PacketColumns
from inspector.decode.exceptional import FragmentKey, Headers, QuotedDatagram, decode_frame
from inspector.decode.protocols import TCP, UDP

_FEW = 12  # a batch below this is decoded faster one by one
_FRAGMENTED_DATAGRAMS_KEPT = 1024
_WINDOW = 64  # bytes looked at from the network header on: IPv6 40 and TCP 20
_HEADER_FIELDS = tuple(name for name in Headers.__slots__ if name not in ("quoted", "fragment", "mark"))

Rows = npt.NDArray[np.intp]


class Decoder:
    """Decodes batches in order; remembers addresses, what ICMP errors quote, and the ports of fragments."""

    def __init__(self) -> None:
        self.packets = 0  # decoded so far; packets are numbered from 1
        self.addresses = AddressTable()
        self.quoted: dict[int, QuotedDatagram] = {}  # by packet number
        self._fragment_ports: OrderedDict[FragmentKey, tuple[int, int]] = OrderedDict()

    def decode(self, batch: FrameBatch) -> PacketColumns:
        """The columns of the next batch."""
        columns = PacketColumns.empty(len(batch))
        columns.time_ns[:] = batch.time_ns
        columns.position[:] = batch.position
        columns.captured_bytes[:] = batch.captured_bytes
        columns.wire_bytes[:] = batch.wire_bytes
        columns.link_type[:] = batch.link_type
        columns.mark[:] = batch.status
        columns.mark[batch.captured_bytes < batch.wire_bytes] |= int(Mark.SNAPPED)
        exceptional = np.ones(len(batch), np.bool_)
        if len(batch) >= _FEW:
            exceptional[_decode_common(batch, columns, self.addresses)] = False
        for row in np.flatnonzero(exceptional).tolist():
            self._decode_one(batch, columns, row)
        self.packets += len(batch)
        return columns

    def forget(self, before_packet: int) -> None:
        """Drop what errors before a packet quoted."""
        for packet in [packet for packet in self.quoted if packet < before_packet]:
            del self.quoted[packet]

    def _decode_one(self, batch: FrameBatch, columns: PacketColumns, row: int) -> None:
        offset = int(batch.offset[row])
        frame = batch.buffer[offset : offset + int(batch.captured_bytes[row])]
        headers = decode_frame(frame, int(batch.link_type[row]), int(batch.wire_bytes[row]), self.addresses)
        if headers.fragment is not None:
            self._share_ports(headers, headers.fragment)
        for name in _HEADER_FIELDS:
            getattr(columns, name)[row] = getattr(headers, name)
        columns.mark[row] |= int(headers.mark)
        if headers.quoted is not None:
            self.quoted[self.packets + row + 1] = headers.quoted

    def _share_ports(self, headers: Headers, key: FragmentKey) -> None:
        """Only the first fragment has the ports; those that follow it belong to the same conversation."""
        if headers.transport_offset:
            self._fragment_ports[key] = headers.source_port, headers.destination_port
            if len(self._fragment_ports) > _FRAGMENTED_DATAGRAMS_KEPT:
                self._fragment_ports.popitem(last=False)
        else:
            headers.source_port, headers.destination_port = self._fragment_ports.get(key, (0, 0))


def _decode_common(batch: FrameBatch, columns: PacketColumns, addresses: AddressTable) -> Rows:
    """Fill in the rows that are common; returns which they are."""
    buffer = np.frombuffer(batch.buffer, np.uint8)
    done = []
    for link_type in np.unique(batch.link_type).tolist():
        if link_type not in _NETWORK_STARTS:
            continue
        header_bytes, kinds = _NETWORK_STARTS[link_type]
        rows = np.flatnonzero(batch.link_type == link_type)
        long_enough = batch.captured_bytes[rows] >= header_bytes + 28
        # The window must lie within the buffer; where it reaches past the frame, nothing is read beyond what is tested.
        rows = rows[long_enough & (batch.offset[rows] + header_bytes + _WINDOW <= len(buffer))]
        if not len(rows):
            continue
        v4, v6 = kinds(buffer, batch.offset[rows])
        windows = np.lib.stride_tricks.sliding_window_view(buffer, _WINDOW)
        for chosen, decode in ((v4, _common_ipv4), (v6, _common_ipv6)):
            if len(chosen):
                picked = rows[chosen]
                window = windows[batch.offset[picked] + header_bytes]
                done.append(picked[decode(columns, picked, window, header_bytes, addresses)])
    return np.concatenate(done) if done else np.empty(0, np.intp)


def _common_ipv4(
    columns: PacketColumns, rows: Rows, window: U8, network_offset: int, addresses: AddressTable
) -> npt.NDArray[np.bool_]:
    """Fill in plain IPv4 packets; returns which of ``rows`` were."""
    numbers_2, numbers_4 = window.view(">u2"), window.view(">u4")
    total_bytes = numbers_2[:, 1].astype(np.int64)
    plain = (window[:, 0] == 0x45) & (numbers_2[:, 3] & 0x3FFF == 0) & (total_bytes >= 28)
    common = _common_transport(columns, rows, window, plain, network_offset, 20, window[:, 9], total_bytes)
    rows = rows[common]
    columns.network[rows] = Network.IPV4
    columns.source[rows] = numbers_4[common, 3]
    columns.destination[rows] = numbers_4[common, 4]
    return common


def _common_ipv6(
    columns: PacketColumns, rows: Rows, window: U8, network_offset: int, addresses: AddressTable
) -> npt.NDArray[np.bool_]:
    """Fill in plain IPv6 packets; returns which of ``rows`` were."""
    payload_bytes = window.view(">u2")[:, 2].astype(np.int64)
    plain = (window[:, 0] >> 4 == 6) & (payload_bytes >= 8) & (columns.captured_bytes[rows] >= network_offset + 48)
    common = _common_transport(columns, rows, window, plain, network_offset, 40, window[:, 6], 40 + payload_bytes)
    rows = rows[common]
    columns.network[rows] = Network.IPV6
    for column, start in ((columns.source, 8), (columns.destination, 24)):
        packed = np.ascontiguousarray(window[common, start : start + 16]).view("V16").ravel()
        distinct, which = np.unique(packed, return_inverse=True)
        table = np.array([addresses.number(address.tobytes()) for address in distinct], np.uint32)
        if len(table):
            column[rows] = table[which]
    return common


def _common_transport(
    columns: PacketColumns,
    rows: Rows,
    window: U8,
    plain: npt.NDArray[np.bool_],
    network_offset: int,
    ip_bytes: int,
    protocol: U8,
    total_bytes: I64,
) -> npt.NDArray[np.bool_]:
    """Fill in whole TCP and UDP headers that follow ``ip_bytes`` of plain IP; returns which of ``rows`` were."""
    start = network_offset + ip_bytes
    captured = columns.captured_bytes[rows].astype(np.int64)
    on_wire = np.maximum(columns.wire_bytes[rows], captured) - network_offset
    transport_bytes = np.minimum(total_bytes, on_wire) - ip_bytes  # true, captured or not; no padding
    tcp_header_bytes = (window[:, ip_bytes + 12] >> 4).astype(np.int64) * 4
    udp_bytes = window.view(">u2")[:, ip_bytes // 2 + 2].astype(np.int64)
    tcp = plain & (protocol == TCP) & (captured >= start + 20) & (tcp_header_bytes >= 20)
    tcp &= tcp_header_bytes <= transport_bytes
    udp = plain & (protocol == UDP) & (captured >= start + 8) & (udp_bytes >= 8) & (transport_bytes >= 8)
    common: npt.NDArray[np.bool_] = tcp | udp
    header_bytes = np.where(tcp, tcp_header_bytes, 8)
    length = np.where(tcp, transport_bytes, np.minimum(transport_bytes, udp_bytes))
    _fill_transport(columns, rows, window, tcp, common, ip_bytes)
    rows = rows[common]
    columns.protocol[rows] = protocol[common]
    columns.transport_offset[rows] = start
    columns.payload_offset[rows] = (start + header_bytes)[common]
    columns.payload_bytes[rows] = (length - header_bytes)[common]
    return common


def _fill_transport(
    columns: PacketColumns,
    rows: Rows,
    window: U8,
    tcp: npt.NDArray[np.bool_],
    common: npt.NDArray[np.bool_],
    ip_bytes: int,
) -> None:
    numbers_2, numbers_4 = window.view(">u2"), window.view(">u4")
    half, quarter = ip_bytes // 2, ip_bytes // 4
    columns.source_port[rows[common]] = numbers_2[common, half]
    columns.destination_port[rows[common]] = numbers_2[common, half + 1]
    rows = rows[tcp]
    columns.seq[rows] = numbers_4[tcp, quarter + 1]
    columns.ack[rows] = numbers_4[tcp, quarter + 2]
    columns.flags[rows] = window[tcp, ip_bytes + 13]
    columns.window[rows] = numbers_2[tcp, half + 7]


Kinds = Callable[[U8, I64], tuple[Rows, Rows]]
"""Which frames carry IPv4, and which IPv6, from the buffer and the frames' offsets."""


def _by_ethertype(at: int) -> Kinds:
    def kinds(buffer: U8, offset: I64) -> tuple[Rows, Rows]:
        ethertype = buffer[offset + at].astype(np.uint16) << 8 | buffer[offset + at + 1]
        return np.flatnonzero(ethertype == links.ETHERTYPE_IPV4), np.flatnonzero(ethertype == links.ETHERTYPE_IPV6)

    return kinds


def _by_version(network_at: int) -> Kinds:
    def kinds(buffer: U8, offset: I64) -> tuple[Rows, Rows]:
        version = buffer[offset + network_at] >> 4
        return np.flatnonzero(version == 4), np.flatnonzero(version == 6)

    return kinds


_NETWORK_STARTS: dict[int, tuple[int, Kinds]] = {
    links.LINKTYPE_ETHERNET: (14, _by_ethertype(12)),
    links.LINKTYPE_LINUX_SLL: (16, _by_ethertype(14)),
    links.LINKTYPE_LINUX_SLL2: (20, _by_ethertype(0)),
    links.LINKTYPE_RAW: (0, _by_version(0)),
}
