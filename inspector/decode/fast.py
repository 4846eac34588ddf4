"""A batch of frames to columns: numpy for the common case, ``decode_frame`` for the rest.

The common case: Ethernet with at most one VLAN tag, cooked, NULL, LOOP or raw link layers; IPv4, also with options, or
IPv6 without extension headers; unfragmented; TCP, UDP or an ICMP echo, its fixed header captured.
"""

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import I64, U8, U16, FrameBatch
from inspector.decode import linktypes as links
from inspector.decode.addresses import AddressTable
from inspector.decode.columns import Mark, Network, PacketColumns
from inspector.decode.exceptional import DecodedHeaders, QuotedDatagram, decode_frame, decode_reassembled
from inspector.decode.fragments import Fragment, FragmentKey, FragmentStore
from inspector.decode.protocols import ICMP_ECHO, TCP, UDP
from inspector.decode.tunnels import UDP_TUNNELS, Tunnel

_FEW = 20  # a batch below this is decoded faster one by one
_FRAGMENTED_DATAGRAMS_KEPT = 1024
_REASSEMBLED_BYTES_KEPT = 64 << 20
_LINK_BYTES = 20  # the longest link header of the common case: cooked version 2
_IPV4_LONGEST, _IPV6_BYTES, _TCP_BYTES = 60, 40, 20
_REACH = _LINK_BYTES + _IPV4_LONGEST + _TCP_BYTES
_HEADER_FIELDS = tuple(name for name in DecodedHeaders._fields if name in PacketColumns.__slots__ and name != "mark")

Booleans = npt.NDArray[np.bool_]
Buffer = bytes | bytearray | memoryview | U8
Found = tuple[int | I64, U16]
"""Where the network header begins, and its EtherType."""


class Decoded(NamedTuple):
    """What a decoder made of a batch, for another one: columns, the addresses that are new, and as in Decoder."""

    columns: PacketColumns
    addresses: list[bytes]
    quoted: dict[int, QuotedDatagram]
    tunnels: dict[int, Tunnel]
    reassembled: dict[int, bytes]

    @property
    def end(self) -> int:
        """Where in the file the last frame ends."""
        columns = self.columns
        return int(columns.position[-1]) + int(columns.captured_bytes[-1]) if len(columns) else 0


class Decoder:
    """Decodes batches in order; remembers addresses, what ICMP errors quote, and the ports of fragments."""

    def __init__(self) -> None:
        self.packets = 0  # decoded so far; packets are numbered from 1
        self.addresses = AddressTable()
        self.quoted: dict[int, QuotedDatagram] = {}  # by packet number
        self.tunnels: dict[int, Tunnel] = {}  # that packets of the latest batch came through, by row
        self.reassembled: dict[int, bytes] = {}  # by packet number: the last fragment's frame, with the whole payload
        self._reassembled_bytes = 0
        self._fragments = FragmentStore()
        self._first_fragments: dict[FragmentKey, tuple[int, int, int]] = {}  # protocol and ports

    def decode(self, batch: FrameBatch) -> PacketColumns:
        """The columns of the next batch."""
        self.tunnels = {}
        columns = PacketColumns.empty(len(batch))
        if len(batch) >= _FEW:
            rows = np.flatnonzero(~_decode_common(batch, columns, self.addresses))
        else:
            rows = np.arange(len(batch))
        columns.time_ns[:] = batch.time_ns
        columns.position[:] = batch.position
        columns.captured_bytes[:] = batch.captured_bytes
        columns.wire_bytes[:] = batch.wire_bytes
        columns.link_type[:] = batch.link_type
        columns.mark[:] = batch.status
        columns.mark[batch.captured_bytes < batch.wire_bytes] |= int(Mark.SNAPPED)
        if len(rows):
            self._decode_exceptional(batch, columns, rows)
        self.packets += len(batch)
        return columns

    def hand_over(self, batch: FrameBatch) -> Decoded:
        """Decode the next batch, and forget what another decoder will know instead of this one."""
        known = len(self.addresses)
        columns = self.decode(batch)
        decoded = Decoded(columns, self.addresses.since(known), dict(self.quoted), self.tunnels, dict(self.reassembled))
        self.forget(self.packets + 1)
        return decoded

    def take_over(self, decoded: Decoded) -> PacketColumns:
        """The columns of the next batch, which another decoder decoded."""
        self.addresses.numbers(decoded.addresses)
        self.quoted.update(decoded.quoted)
        self.tunnels = decoded.tunnels
        self.reassembled.update(decoded.reassembled)
        self._reassembled_bytes += sum(map(len, decoded.reassembled.values()))
        self.packets += len(decoded.columns)
        return decoded.columns

    def forget(self, before_packet: int) -> None:
        """Drop what errors before a packet quoted, and datagrams that were put together before it."""
        for packet in [packet for packet in self.quoted if packet < before_packet]:
            del self.quoted[packet]
        for packet in [packet for packet in self.reassembled if packet < before_packet]:
            self._reassembled_bytes -= len(self.reassembled.pop(packet))

    def forget_addresses(self, used: Collection[int]) -> None:
        """Keep only the IPv6 addresses of these numbers, and no fragments: those are known by theirs."""
        self.addresses.keep(used)
        self._fragments = FragmentStore()
        self._first_fragments.clear()

    def _decode_exceptional(self, batch: FrameBatch, columns: PacketColumns, rows: npt.NDArray[np.intp]) -> None:
        decoded = []
        arrays = (rows, batch.offset[rows], batch.captured_bytes[rows], batch.wire_bytes[rows], batch.link_type[rows])
        for row, offset, captured, wire, link_type in zip(*(array.tolist() for array in arrays), strict=True):
            frame = bytes(batch.buffer[offset : offset + captured])
            headers = decode_frame(frame, link_type, wire, self.addresses)
            if headers.fragment is not None:
                headers = self._of_fragment(headers, headers.fragment, frame, self.packets + row + 1)
            if headers.tunnel is not None:
                self.tunnels[row] = headers.tunnel
            if headers.quoted is not None:
                self.quoted[self.packets + row + 1] = headers.quoted
            decoded.append(headers)
        values = dict(zip(DecodedHeaders._fields, zip(*decoded, strict=True), strict=True))
        for name in _HEADER_FIELDS:
            getattr(columns, name)[rows] = values[name]
        columns.mark[rows] |= np.array(values["mark"], np.uint8)

    def _of_fragment(self, headers: DecodedHeaders, fragment: Fragment, frame: bytes, packet: int) -> DecodedHeaders:
        """The whole datagram when this fragment completes it; else the ports, as far as they are known."""
        data = frame[fragment.start : fragment.end]
        found = self._fragments.add(fragment, data) if len(data) == fragment.end - fragment.start else None
        if found is None:
            return self._with_ports(headers, fragment.key)
        protocol, payload = found
        whole = frame[: fragment.start] + payload
        read = decode_reassembled(whole, headers, protocol, self.addresses)
        if not read.transport_offset or read.mark or self._reassembled_bytes + len(whole) > _REASSEMBLED_BYTES_KEPT:
            return self._with_ports(headers, fragment.key)
        self.reassembled[packet] = whole
        self._reassembled_bytes += len(whole)
        return read

    def _with_ports(self, headers: DecodedHeaders, key: FragmentKey) -> DecodedHeaders:
        """Only the first fragment has the transport header; those that follow it belong to the same conversation."""
        if headers.transport_offset:
            self._first_fragments.pop(key, None)
            self._first_fragments[key] = headers.protocol, headers.source_port, headers.destination_port
            if len(self._first_fragments) > _FRAGMENTED_DATAGRAMS_KEPT:
                del self._first_fragments[next(iter(self._first_fragments))]
        elif key in self._first_fragments:
            protocol, source_port, destination_port = self._first_fragments[key]
            return headers._replace(protocol=protocol, source_port=source_port, destination_port=destination_port)
        return headers


class _Datagrams(NamedTuple):
    """What the IP headers of all frames say; only to be believed where ``plain``."""

    plain: Booleans
    header_bytes: I64
    total_bytes: I64
    protocol: U8


def _decode_common(batch: FrameBatch, columns: PacketColumns, addresses: AddressTable) -> Booleans:
    """Fill in the columns as if every frame were common; returns for which frames this is right.

    The rows of the others hold nonsense, to be overwritten. Frames that begin within the last bytes of the buffer are
    left to the others, so that whatever a header says can be gathered before it is tested.
    """
    if len(batch.buffer) < _REACH:
        return np.zeros(len(batch), np.bool_)
    offset = np.minimum(batch.offset, len(batch.buffer) - _REACH)
    network_at, kind = _network_headers(batch, offset)
    ip = _gather(batch.buffer, offset + network_at, _IPV6_BYTES)
    is_v4, is_v6 = kind == links.ETHERTYPE_IPV4, kind == links.ETHERTYPE_IPV6
    datagrams = _datagrams(ip, is_v6)
    start = network_at + datagrams.header_bytes
    end = np.minimum(np.maximum(batch.wire_bytes, batch.captured_bytes), network_at + datagrams.total_bytes)
    transport = _gather(batch.buffer, offset + start, _TCP_BYTES)
    common: Booleans = (offset == batch.offset) & (is_v4 | is_v6) & datagrams.plain
    common &= _fill_transport(columns, batch, transport, datagrams.protocol, start, end)
    _fill_network(columns, ip, is_v6, common, addresses)
    return common


def _datagrams(ip: U8, is_v6: Booleans) -> _Datagrams:
    numbers = ip.view(">u2")
    version = ip[:, 0] >> 4
    v4_header_bytes = (ip[:, 0] & 15).astype(np.int64) * 4
    v4_plain = (version == 4) & (v4_header_bytes >= 20) & (numbers[:, 3] & 0x3FFF == 0)
    header_bytes = np.where(is_v6, _IPV6_BYTES, v4_header_bytes)
    total_bytes = np.where(is_v6, numbers[:, 2].astype(np.int64) + _IPV6_BYTES, numbers[:, 1])
    return _Datagrams(
        np.where(is_v6, version == 6, v4_plain), header_bytes, total_bytes, np.where(is_v6, ip[:, 6], ip[:, 9])
    )


def _fill_transport(
    columns: PacketColumns, batch: FrameBatch, transport: U8, protocol: U8, start: I64, end: I64
) -> Booleans:
    """Fill in what the transport headers say, which begin at ``start`` of their frames; ``end`` is where the datagrams
    end, captured or not. Returns which are whole headers of TCP, UDP and echoes."""
    numbers, long_numbers = transport.view(">u2"), transport.view(">u4")
    tcp, udp = protocol == TCP, protocol == UDP
    echo = _IS_ECHO[protocol, transport[:, 0]]
    tcp_bytes = (transport[:, 12] >> 4).astype(np.int64) * 4
    header_bytes = np.where(tcp, tcp_bytes, 8)
    payload_end = np.where(udp, start + numbers[:, 2], end)
    columns.protocol[:] = protocol
    columns.source_port[:] = np.where(echo, numbers[:, 2], numbers[:, 0])
    columns.destination_port[:] = np.where(echo, numbers[:, 2], numbers[:, 1])
    columns.seq[:] = np.where(tcp, long_numbers[:, 1], 0)
    columns.ack[:] = np.where(tcp, long_numbers[:, 2], 0)
    columns.flags[:] = np.where(tcp, transport[:, 13], 0)
    columns.window[:] = np.where(tcp, numbers[:, 7], 0)
    columns.transport_offset[:] = start
    columns.payload_offset[:] = start + header_bytes
    columns.payload_bytes[:] = payload_end - start - header_bytes
    whole: Booleans = (tcp & (tcp_bytes >= _TCP_BYTES)) | udp | echo
    whole &= ~(udp & (_IS_TUNNEL_PORT[numbers[:, 0]] | _IS_TUNNEL_PORT[numbers[:, 1]]))
    whole &= batch.captured_bytes >= start + np.where(tcp, _TCP_BYTES, 8)
    return whole & (start + header_bytes <= payload_end) & (payload_end <= end)


def _fill_network(columns: PacketColumns, ip: U8, is_v6: Booleans, common: Booleans, addresses: AddressTable) -> None:
    numbers = ip.view(">u4")
    columns.network[:] = np.where(is_v6, Network.IPV6, Network.IPV4)
    columns.source[:] = numbers[:, 3]
    columns.destination[:] = numbers[:, 4]
    rows = np.flatnonzero(is_v6 & common)
    if len(rows):
        for column, start in ((columns.source, 8), (columns.destination, 24)):
            packed = np.ascontiguousarray(ip[rows, start : start + 16]).view("V16").ravel()
            column[rows] = addresses.numbers(packed.tolist())


def _network_headers(batch: FrameBatch, offset: I64) -> tuple[I64, U16]:
    """Where the network headers begin in their frames, and their EtherTypes: 0 for link types that are not common."""
    buffer = np.frombuffer(batch.buffer, np.uint8)
    network_at, kind = np.zeros(len(batch), np.int64), np.zeros(len(batch), np.uint16)
    for link_type in np.unique(batch.link_type).tolist():
        find = _LINKS.get(link_type)
        if find is not None:
            rows = batch.link_type == link_type
            network_at[rows], kind[rows] = find(buffer, offset[rows])
    return network_at, kind


def _gather(buffer: Buffer, at: I64, size: int) -> U8:
    """``size`` bytes from each of the given places, a row each."""
    # numpy copies an element without a type as a whole, and rows of a table byte by byte
    windows = np.ndarray((len(buffer) - size + 1,), f"V{size}", buffer, strides=(1,))
    gathered: U8 = windows[at].view(np.uint8).reshape(-1, size)
    return gathered


def _number(buffer: U8, at: I64) -> U16:
    numbers: U16 = _gather(buffer, at, 2).view(">u2")[:, 0].astype(np.uint16)
    return numbers


def _ethernet(buffer: U8, at: I64) -> Found:
    network_at: I64 = np.full(len(at), 14, np.int64)
    kind = _number(buffer, at + 12)
    tagged = np.flatnonzero(_IS_VLAN_TAG[kind])
    if len(tagged):
        network_at[tagged] = 18
        kind[tagged] = _number(buffer, at[tagged] + 16)
    return network_at, kind


def _family(buffer: U8, at: I64) -> Found:
    """As in ``linktypes``: of both byte orders the smaller number."""
    families = _gather(buffer, at, 4)
    family = np.minimum(families.view("<u4"), families.view(">u4"))[:, 0]
    return 4, _KIND_OF_FAMILY[np.minimum(family, len(_KIND_OF_FAMILY) - 1)]


def _raw(buffer: U8, at: I64) -> Found:
    return 0, _KIND_OF_VERSION[buffer[at] >> 4]


def _lookup(size: int, values: Mapping[int, int]) -> U16:
    table = np.zeros(size, np.uint16)
    for index, value in values.items():
        table[index] = value
    return table


_IS_VLAN_TAG = _lookup(1 << 16, dict.fromkeys(links.VLAN_TAGS, 1)).astype(np.bool_)
_KIND_OF_FAMILY = _lookup(max(links.ADDRESS_FAMILIES) + 2, links.ADDRESS_FAMILIES)
_KIND_OF_VERSION = _lookup(16, links.IP_VERSIONS)
_IS_TUNNEL_PORT = _lookup(1 << 16, dict.fromkeys(UDP_TUNNELS, 1)).astype(np.bool_)
_IS_ECHO = np.zeros((256, 256), np.bool_)  # by protocol and type
for _protocol, _types in ICMP_ECHO.items():
    _IS_ECHO[_protocol, list(_types)] = True

_LINKS: dict[int, Callable[[U8, I64], Found]] = {
    links.LINKTYPE_NULL: _family,
    links.LINKTYPE_ETHERNET: _ethernet,
    links.LINKTYPE_RAW_BSD: _raw,
    links.LINKTYPE_RAW_OPENBSD: _raw,
    links.LINKTYPE_RAW: _raw,
    links.LINKTYPE_LOOP: _family,
    links.LINKTYPE_LINUX_SLL: lambda buffer, at: (16, _number(buffer, at + 14)),
    links.LINKTYPE_IPV4: lambda _buffer, at: (0, np.full(len(at), links.ETHERTYPE_IPV4, np.uint16)),
    links.LINKTYPE_IPV6: lambda _buffer, at: (0, np.full(len(at), links.ETHERTYPE_IPV6, np.uint16)),
    links.LINKTYPE_LINUX_SLL2: lambda buffer, at: (20, _number(buffer, at)),
}
