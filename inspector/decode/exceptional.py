"""One frame, completely: the headers that the vectorised columns cannot take, and what they are tested against.

Nothing a frame holds makes this fail: where a header breaks off or says what cannot be, the row is marked malformed and
keeps what could be read before.
"""

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from inspector.decode.addresses import AddressTable
from inspector.decode.columns import Mark, Network
from inspector.decode.fragments import Fragment, FragmentKey
from inspector.decode.linktypes import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, LINKS, Bytes, number
from inspector.decode.protocols import ICMP, ICMP_ECHO, ICMP_ERRORS, ICMPV6, TCP, UDP
from inspector.decode.tunnels import Tunnel, inner_of_ip, inner_of_udp

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _NO_NEXT_HEADER, _DESTINATION = 0, 43, 44, 51, 59, 60
_EXTENSION_HEADERS = frozenset((_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION))
_LAST_OFFSET = 0xFFFF
_LONGEST_TRANSPORT_HEADER = 60
_MOST_TUNNELS = 8
_LEAST_BYTES = 4  # of a transport header: the ports, or ICMP type and code

_IPV4 = Struct(">BxHHHxBxxII")
_TCP = Struct(">HHIIBBH")
_TCP_FIELD_ENDS = (16, 14, 13, 12, 8)
_UDP = Struct(">HHH")
_UDP_FIELD_ENDS = (6,)

_FRAGMENT_MARK, _MALFORMED, _QUOTING = int(Mark.FRAGMENT), int(Mark.MALFORMED), int(Mark.QUOTING)


class QuotedDatagram(NamedTuple):
    """What an ICMP error says of the datagram it is about; ports (of an echo its identifier), ``seq`` and
    ``identification`` are 0 where it does not tell."""

    network: int
    protocol: int
    source: int
    destination: int
    source_port: int
    destination_port: int
    seq: int
    identification: int = 0


class DecodedHeaders(NamedTuple):
    """The columns of one frame, named and meant as in PacketColumns; and what ties it to other packets."""

    network: int = 0
    protocol: int = 0
    source: int = 0
    destination: int = 0
    source_port: int = 0
    destination_port: int = 0
    seq: int = 0
    ack: int = 0
    window: int = 0
    flags: int = 0
    mark: int = 0
    transport_offset: int = 0
    payload_offset: int = 0
    payload_bytes: int = 0
    icmp: tuple[int, int] | None = None  # type and code
    quoted: QuotedDatagram | None = None
    fragment: Fragment | None = None
    tunnel: Tunnel | None = None  # the innermost


class _Datagram(NamedTuple):
    """An IP datagram: what its headers say, where its payload starts (0: unknown) and ends, captured or not."""

    network: int
    protocol: int
    source: int
    destination: int
    mark: int
    start: int
    end: int
    identification: int = 0
    fragment: Fragment | None = None


def decode_frame(frame: Bytes, link_type: int, wire_bytes: int, addresses: AddressTable) -> DecodedHeaders:
    """All headers of a frame; zeros for a link type or network protocol that is not known. IPv6 addresses are numbered
    in ``addresses``."""
    link = LINKS.get(link_type)
    if link is None:
        return DecodedHeaders()
    found = link(frame)
    if found is None:
        return DecodedHeaders(mark=_MALFORMED)
    start, ethertype = found
    if ethertype == ETHERTYPE_ARP:
        return _arp(frame, start)
    read = _NETWORKS.get(ethertype)
    if read is None:
        return DecodedHeaders()
    datagram = read(frame, start, max(wire_bytes, len(frame)), addresses)
    if datagram is None:
        return DecodedHeaders(mark=_MALFORMED)
    datagram, tunnel = _innermost(frame, datagram, addresses)
    return _transport(frame, datagram, addresses)._replace(tunnel=tunnel)


def decode_reassembled(frame: Bytes, last: DecodedHeaders, protocol: int, addresses: AddressTable) -> DecodedHeaders:
    """The headers of a datagram that its last fragment completed; ``frame`` is that one's, with the whole payload."""
    assert last.fragment is not None
    start = last.fragment.start
    datagram = _Datagram(last.network, protocol, last.source, last.destination, 0, start, len(frame))
    datagram, tunnel = _innermost(frame, datagram, addresses)
    return _transport(frame, datagram, addresses)._replace(tunnel=tunnel)


def _innermost(frame: Bytes, datagram: _Datagram, addresses: AddressTable) -> tuple[_Datagram, Tunnel | None]:
    """What a packet carries through tunnels, one in another; the packet itself where there is none, or what is in it
    cannot be read."""
    tunnel = None
    for _ in range(_MOST_TUNNELS):
        if datagram.mark or not datagram.start:
            break
        if datagram.protocol == UDP:
            header = frame[datagram.start : min(datagram.start + 4, datagram.end)]
            ports = (number(header, 0), number(header, 2)) if len(header) == 4 else (0, 0)
            name, found = inner_of_udp(frame, ports, datagram.start + 8, datagram.end)
        else:
            name, found = inner_of_ip(frame, datagram.protocol, datagram.start, datagram.end)
        read = None if found is None else _NETWORKS.get(found[1])
        inner = None if found is None or read is None else read(frame, found[0], datagram.end, addresses)
        if inner is None or not inner.start:
            break
        tunnel = Tunnel(name, datagram.network, datagram.source, datagram.destination)
        datagram = inner
    return datagram, tunnel


def _arp(frame: Bytes, start: int) -> DecodedHeaders:
    """RFC 826: the addresses of sender and target where they are IPv4's, else only the fact."""
    if len(frame) < start + 8:
        return DecodedHeaders(Network.ARP, mark=_MALFORMED)
    if frame[start + 2 : start + 4] != b"\x08\0" or frame[start + 5] != 4:
        return DecodedHeaders(Network.ARP)
    sender = start + 8 + frame[start + 4]
    target = sender + 4 + frame[start + 4]
    whole = len(frame) >= target + 4
    return DecodedHeaders(
        Network.ARP,
        source=int.from_bytes(frame[sender : sender + 4], "big") if len(frame) >= sender + 4 else 0,
        destination=int.from_bytes(frame[target : target + 4], "big") if whole else 0,
        mark=0 if whole else _MALFORMED,
    )


def _ipv4(frame: Bytes, offset: int, end: int, addresses: AddressTable) -> _Datagram | None:
    if len(frame) < offset + 20:
        return None
    first, total_bytes, identification, fragment, protocol, source, destination = _IPV4.unpack_from(frame, offset)
    if first >> 4 != 4:
        return None
    header_bytes = (first & 15) * 4
    if header_bytes < 20:
        return _Datagram(Network.IPV4, protocol, source, destination, _MALFORMED, 0, 0)
    start = offset + header_bytes
    mark = _FRAGMENT_MARK if fragment & 0x3FFF else 0
    if total_bytes:  # 0: left to the segmentation offload
        end = min(end, offset + total_bytes)
    if end < start:
        end = start
        mark |= _MALFORMED
    place = None
    if mark & _FRAGMENT_MARK:
        key = FragmentKey(Network.IPV4, protocol, source, destination, identification)
        place = Fragment(key, (fragment & 0x1FFF) * 8, bool(fragment & 0x2000), start, end, protocol)
    return _Datagram(Network.IPV4, protocol, source, destination, mark, start, end, identification, place)


def _ipv6(frame: Bytes, offset: int, end: int, addresses: AddressTable) -> _Datagram | None:
    start = offset + 40
    if len(frame) < start or frame[offset] >> 4 != 6:
        return None
    source = addresses.number(bytes(frame[offset + 8 : offset + 24]))
    destination = addresses.number(bytes(frame[offset + 24 : start]))
    payload_bytes, kind = number(frame, offset + 4), frame[offset + 6]
    if payload_bytes or kind == _NO_NEXT_HEADER:  # else 0 is a jumbogram, or left to the segmentation offload
        end = min(end, start + payload_bytes)
    mark = identification = 0
    fragment = None
    captured = min(len(frame), end)
    while kind in _EXTENSION_HEADERS:
        if captured < start + 8:
            return _Datagram(Network.IPV6, 0, source, destination, mark | _MALFORMED, 0, 0)
        following = frame[start]
        if kind == _FRAGMENT:
            place = number(frame, start + 2)
            if place & 0xFFF9:  # else an atomic fragment: a whole datagram, RFC 6946
                mark = _FRAGMENT_MARK
                identification = int.from_bytes(frame[start + 4 : start + 8], "big")
                key = FragmentKey(Network.IPV6, 0, source, destination, identification)
                fragment = Fragment(key, place & 0xFFF8, bool(place & 1), start + 8, end, following)
            start += 8
            if fragment is not None and fragment.offset:
                return _Datagram(
                    Network.IPV6, following, source, destination, mark, start, end, identification, fragment
                )
        else:
            start += (frame[start + 1] + 2) * 4 if kind == _AUTHENTICATION else (frame[start + 1] + 1) * 8
        kind = following
    if end < start:
        end = start
        mark |= _MALFORMED
    return _Datagram(Network.IPV6, kind, source, destination, mark, start, end, identification, fragment)


def _transport(frame: Bytes, datagram: _Datagram, addresses: AddressTable) -> DecodedHeaders:
    """What follows the IP headers."""
    follows = datagram.fragment is not None and datagram.fragment.offset > 0
    read = None if follows else _TRANSPORTS.get(datagram.protocol)
    if read is None or not 0 < datagram.start <= _LAST_OFFSET - _LONGEST_TRANSPORT_HEADER:
        headers = _without_transport(datagram)
    else:
        captured = min(len(frame), datagram.end)
        if captured < datagram.start + _LEAST_BYTES:
            headers = _without_transport(datagram._replace(mark=datagram.mark | _MALFORMED, start=0, end=0))
        else:
            headers = read(frame, datagram, captured, addresses)
    return headers._replace(fragment=datagram.fragment)


def _without_transport(datagram: _Datagram) -> DecodedHeaders:
    return DecodedHeaders(
        datagram.network,
        datagram.protocol,
        datagram.source,
        datagram.destination,
        mark=datagram.mark,
        payload_offset=min(datagram.start, _LAST_OFFSET),
        payload_bytes=datagram.end - datagram.start,
    )


def _tcp(frame: Bytes, datagram: _Datagram, captured: int, addresses: AddressTable) -> DecodedHeaders:
    network, protocol, source, destination, mark, start, end, _, _ = datagram
    if captured >= start + 20:
        fields = _TCP.unpack_from(frame, start)
    else:
        mark |= _MALFORMED
        fields = _TCP.unpack(_whole_fields(frame[start:captured], _TCP_FIELD_ENDS))
    source_port, destination_port, seq, ack, offset, flags, window = fields
    payload = start + (offset >> 4) * 4
    if not start + 20 <= payload <= end:
        mark |= _MALFORMED
        payload = end = 0
    return DecodedHeaders(
        *(network, protocol, source, destination, source_port, destination_port, seq, ack, window, flags, mark),
        *(start, payload, end - payload),
    )


def _udp(frame: Bytes, datagram: _Datagram, captured: int, addresses: AddressTable) -> DecodedHeaders:
    network, protocol, source, destination, mark, start, end, _, _ = datagram
    whole = captured >= start + 8
    fields = (
        _UDP.unpack_from(frame, start) if whole else _UDP.unpack(_whole_fields(frame[start:captured], _UDP_FIELD_ENDS))
    )
    source_port, destination_port, udp_bytes = fields
    if udp_bytes == 0 and whole and network == Network.IPV6:  # a jumbogram, RFC 2675 section 4
        udp_bytes = end - start
    if not whole or udp_bytes < 8 or (start + udp_bytes > end and not mark & _FRAGMENT_MARK):
        mark |= _MALFORMED
    payload = start + 8 if udp_bytes >= 8 else 0
    payload_bytes = max(0, min(start + udp_bytes, end) - start - 8)
    return DecodedHeaders(
        *(network, protocol, source, destination, source_port, destination_port, 0, 0, 0, 0, mark),
        *(start, payload, payload_bytes),
    )


def _icmp(frame: Bytes, datagram: _Datagram, captured: int, addresses: AddressTable) -> DecodedHeaders:
    network, protocol, source, destination, mark, start, end, _, _ = datagram
    kind, code = frame[start], frame[start + 1]
    quoted, identifier, payload = None, 0, start + 8
    if captured < payload:
        mark |= _MALFORMED
        payload = end = 0
    elif kind in ICMP_ECHO[protocol]:
        identifier = number(frame, start + 4)
    elif kind in ICMP_ERRORS[protocol]:
        mark |= _QUOTING
        quoted = _quoted(frame[payload:captured], network, addresses)
    return DecodedHeaders(
        *(network, protocol, source, destination, identifier, identifier, 0, 0, 0, 0, mark),
        *(start, payload, end - payload, (kind, code), quoted),
    )


def _quoted(data: Bytes, network: int, addresses: AddressTable) -> QuotedDatagram | None:
    """The datagram that an error quotes: its IP header and at least 8 more bytes (RFC 792, RFC 4443). Of a quoted error
    not what that quotes in turn: none ever answers an error (RFC 1122 section 3.2.2)."""
    datagram = (_ipv6 if network == Network.IPV6 else _ipv4)(data, 0, len(data), addresses)
    if datagram is None:
        return None
    source_port = destination_port = seq = 0
    start, protocol = datagram.start, datagram.protocol
    if start and not (datagram.fragment and datagram.fragment.offset) and len(data) >= start + 8:
        if protocol in (TCP, UDP):
            source_port, destination_port = number(data, start), number(data, start + 2)
            seq = int.from_bytes(data[start + 4 : start + 8], "big") if protocol == TCP else 0
        elif data[start] in ICMP_ECHO.get(protocol, ()):
            source_port = destination_port = number(data, start + 4)
    return QuotedDatagram(
        datagram.network,
        protocol,
        datagram.source,
        datagram.destination,
        source_port,
        destination_port,
        seq,
        datagram.identification,
    )


def _whole_fields(header: Bytes, ends: tuple[int, ...]) -> bytes:
    """A header that breaks off, up to its last whole field; zeros for the rest. The first of ``ends`` is its size."""
    kept = next((end for end in ends if end <= len(header)), _LEAST_BYTES)
    return bytes(header[:kept]).ljust(ends[0], b"\0")


_NETWORKS = {ETHERTYPE_IPV4: _ipv4, ETHERTYPE_IPV6: _ipv6}
_TRANSPORTS: dict[int, Callable[[Bytes, _Datagram, int, AddressTable], DecodedHeaders]] = {
    TCP: _tcp,
    UDP: _udp,
    ICMP: _icmp,
    ICMPV6: _icmp,
}
