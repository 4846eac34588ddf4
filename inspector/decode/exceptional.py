"""One frame, completely: the headers that the vectorised columns cannot take, and what they are tested against.

Nothing a frame holds makes this fail: where a header breaks off or says what cannot be, the row is marked malformed and
keeps what could be read before.
"""

from typing import NamedTuple

from inspector.decode.addresses import AddressTable
from inspector.decode.columns import Mark, Network
from inspector.decode.linktypes import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, LINKS, Bytes, number
from inspector.decode.protocols import ICMP, ICMP_ECHO, ICMP_ERRORS, ICMPV6, TCP, UDP

_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION = 0, 43, 44, 51, 60
_EXTENSION_HEADERS = frozenset((_HOP_BY_HOP, _ROUTING, _FRAGMENT, _AUTHENTICATION, _DESTINATION))
_LAST_OFFSET = 0xFFFF


class QuotedDatagram(NamedTuple):
    """What an ICMP error says of the datagram it is about; ports and ``seq`` are 0 where it does not tell."""

    network: int
    protocol: int
    source: int
    destination: int
    source_port: int
    destination_port: int
    seq: int


class FragmentKey(NamedTuple):
    """What the fragments of one datagram have in common (RFC 791 section 2.3, RFC 8200 section 4.5)."""

    network: int
    protocol: int
    source: int
    destination: int
    identification: int


class Headers:
    """The columns of one frame, named as in PacketColumns; and what ties it to other packets."""

    __slots__ = (
        "ack",
        "destination",
        "destination_port",
        "flags",
        "fragment",
        "mark",
        "network",
        "payload_bytes",
        "payload_offset",
        "protocol",
        "quoted",
        "seq",
        "source",
        "source_port",
        "transport_offset",
        "window",
    )

    def __init__(self) -> None:
        self.network = self.protocol = self.source = self.destination = self.source_port = self.destination_port = 0
        self.seq = self.ack = self.window = self.flags = self.mark = 0
        self.transport_offset = self.payload_offset = self.payload_bytes = 0
        self.quoted: QuotedDatagram | None = None
        self.fragment: FragmentKey | None = None


def decode_frame(frame: Bytes, link_type: int, wire_bytes: int, addresses: AddressTable) -> Headers:
    """All headers of a frame; a link type that is not known gives a row of zeros."""
    headers = Headers()
    link = LINKS.get(link_type)
    if link is None:
        return headers
    found = link(frame)
    if found is None:
        headers.mark |= Mark.MALFORMED
        return headers
    offset, ethertype = found
    reader = _NETWORKS.get(ethertype)
    if reader is not None:
        reader(headers, frame, offset, max(wire_bytes, len(frame)), addresses)
    return headers


def _arp(headers: Headers, frame: Bytes, offset: int, end: int, addresses: AddressTable) -> None:
    """RFC 826, for IPv4 over Ethernet; of another pair only the fact."""
    headers.network = Network.ARP
    headers.payload_offset = min(offset, _LAST_OFFSET)
    if frame[offset + 2 : offset + 6] == b"\x08\x00\x06\x04" and len(frame) >= offset + 28:
        headers.source = int.from_bytes(frame[offset + 14 : offset + 18], "big")
        headers.destination = int.from_bytes(frame[offset + 24 : offset + 28], "big")


def _ipv4(headers: Headers, frame: Bytes, offset: int, end: int, addresses: AddressTable) -> None:
    if len(frame) < offset + 20 or frame[offset] >> 4 != 4:
        headers.mark |= Mark.MALFORMED
        return
    headers.network = Network.IPV4
    headers.protocol = frame[offset + 9]
    headers.source = int.from_bytes(frame[offset + 12 : offset + 16], "big")
    headers.destination = int.from_bytes(frame[offset + 16 : offset + 20], "big")
    header_bytes = (frame[offset] & 15) * 4
    total_bytes = number(frame, offset + 2) or end - offset  # 0: left to the segmentation offload
    if header_bytes < 20 or total_bytes < header_bytes:
        headers.mark |= Mark.MALFORMED
        return
    end = min(end, offset + total_bytes)
    fragment = number(frame, offset + 6)
    start = offset + header_bytes
    if fragment & 0x3FFF:
        headers.mark |= Mark.FRAGMENT
        identification = number(frame, offset + 4)
        headers.fragment = FragmentKey(
            headers.network, headers.protocol, headers.source, headers.destination, identification
        )
    if fragment & 0x1FFF:
        _no_transport(headers, start, end)
    else:
        _transport(headers, frame, start, end, addresses)


def _ipv6(headers: Headers, frame: Bytes, offset: int, end: int, addresses: AddressTable) -> None:
    if len(frame) < offset + 40 or frame[offset] >> 4 != 6:
        headers.mark |= Mark.MALFORMED
        return
    headers.network = Network.IPV6
    headers.source = addresses.number(bytes(frame[offset + 8 : offset + 24]))
    headers.destination = addresses.number(bytes(frame[offset + 24 : offset + 40]))
    payload_bytes = number(frame, offset + 4)
    if payload_bytes:  # 0: a jumbogram, or left to the segmentation offload
        end = min(end, offset + 40 + payload_bytes)
    kind, start = frame[offset + 6], offset + 40
    while kind in _EXTENSION_HEADERS:
        if len(frame) < start + 8 or end < start + 8:
            headers.mark |= Mark.MALFORMED
            return
        following = frame[start]
        if kind == _FRAGMENT:
            place = number(frame, start + 2)
            if place & 0xFFF9:  # else an atomic fragment: a whole datagram, RFC 6946
                headers.mark |= Mark.FRAGMENT
                identification = int.from_bytes(frame[start + 4 : start + 8], "big")
                headers.protocol = following
                headers.fragment = FragmentKey(
                    headers.network, following, headers.source, headers.destination, identification
                )
            if place & 0xFFF8:
                _no_transport(headers, start + 8, end)
                return
            start += 8
        else:
            start += (frame[start + 1] + 2) * 4 if kind == _AUTHENTICATION else (frame[start + 1] + 1) * 8
        kind = following
    headers.protocol = kind
    _transport(headers, frame, start, end, addresses)


def _no_transport(headers: Headers, start: int, end: int) -> None:
    headers.payload_offset = min(start, _LAST_OFFSET)
    headers.payload_bytes = max(0, end - start)


def _transport(headers: Headers, frame: Bytes, start: int, end: int, addresses: AddressTable) -> None:
    """The transport header at ``start``; ``end`` is where the datagram's bytes end, captured or not."""
    reader = _TRANSPORTS.get(headers.protocol)
    if reader is None or start > _LAST_OFFSET - 60:
        _no_transport(headers, start, end)
        return
    headers.transport_offset = headers.payload_offset = start
    reader(headers, frame, start, end, addresses)


def _ports(headers: Headers, frame: Bytes, start: int) -> None:
    if len(frame) >= start + 4:
        headers.source_port, headers.destination_port = number(frame, start), number(frame, start + 2)


def _tcp(headers: Headers, frame: Bytes, start: int, end: int, addresses: AddressTable) -> None:
    _ports(headers, frame, start)
    if len(frame) >= start + 8:
        headers.seq = int.from_bytes(frame[start + 4 : start + 8], "big")
    if len(frame) < start + 20 or end < start + 20:
        headers.mark |= Mark.MALFORMED
        return
    headers.ack = int.from_bytes(frame[start + 8 : start + 12], "big")
    headers.flags = frame[start + 13]
    headers.window = number(frame, start + 14)
    header_bytes = (frame[start + 12] >> 4) * 4
    if header_bytes < 20 or start + header_bytes > end:
        headers.mark |= Mark.MALFORMED
        return
    _no_transport(headers, start + header_bytes, end)


def _udp(headers: Headers, frame: Bytes, start: int, end: int, addresses: AddressTable) -> None:
    _ports(headers, frame, start)
    udp_bytes = number(frame, start + 4) or end - start  # 0: a jumbogram, RFC 2675
    if len(frame) < start + 8 or end < start + 8 or udp_bytes < 8:
        headers.mark |= Mark.MALFORMED
        return
    _no_transport(headers, start + 8, min(end, start + udp_bytes))


def _icmp(headers: Headers, frame: Bytes, start: int, end: int, addresses: AddressTable) -> None:
    if len(frame) < start + 8 or end < start + 8:
        headers.mark |= Mark.MALFORMED
        return
    kind = frame[start]
    _no_transport(headers, start + 8, end)
    if kind in ICMP_ECHO[headers.protocol]:
        headers.source_port = headers.destination_port = number(frame, start + 4)
    elif kind in ICMP_ERRORS[headers.protocol]:
        headers.mark |= Mark.QUOTING
        headers.quoted = _quoted(frame[start + 8 : end], headers.network, addresses)


def _quoted(datagram: Bytes, network: int, addresses: AddressTable) -> QuotedDatagram | None:
    """The datagram that an error quotes: its IP header and at least 8 more bytes (RFC 792)."""
    inner = Headers()
    reader = _ipv6 if network == Network.IPV6 else _ipv4
    # An error never answers an error (RFC 1122 section 3.2.2), and one that pretends to must not nest without end.
    if len(datagram) > 9 and datagram[6 if network == Network.IPV6 else 9] not in (ICMP, ICMPV6):
        reader(inner, datagram, 0, len(datagram), addresses)
    if inner.network == Network.OTHER:
        return None
    return QuotedDatagram(
        inner.network,
        inner.protocol,
        inner.source,
        inner.destination,
        inner.source_port,
        inner.destination_port,
        inner.seq,
    )


_NETWORKS = {ETHERTYPE_IPV4: _ipv4, ETHERTYPE_IPV6: _ipv6, ETHERTYPE_ARP: _arp}
_TRANSPORTS = {TCP: _tcp, UDP: _udp, ICMP: _icmp, ICMPV6: _icmp}
