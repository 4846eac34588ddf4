"""What a packet carries that is a packet itself: where the inner network header begins, and in which tunnel.

IP in IP (RFC 2003), 6in4 (RFC 4213), GRE (RFC 2784, 2890, 2637), AH (RFC 4302), MPLS in IP (RFC 4023); over UDP VXLAN
(RFC 7348), GENEVE (RFC 8926), L2TP (RFC 2661), GTP-U (3GPP TS 29.281) and Teredo (RFC 4380).
"""

from collections.abc import Callable
from typing import NamedTuple

from inspector.decode import linktypes as links
from inspector.decode.linktypes import Bytes, Found, number

IPV4_IN_IP, IPV6_IN_IP, GRE, AH, MPLS_IN_IP = 4, 41, 47, 51, 137
_GRE_CHECKSUM, _GRE_ROUTING, _GRE_KEY, _GRE_SEQUENCE, _GRE_ACKNOWLEDGMENT = 0x8000, 0x4000, 0x2000, 0x1000, 0x0080
_BRIDGED_ETHERNET, _PPP, _ERSPAN = 0x6558, 0x880B, 0x88BE
_ERSPAN_BYTES = 8
_GTP_DATA = 0xFF
_GPE_PROTOCOLS = {
    1: links.ETHERTYPE_IPV4,
    2: links.ETHERTYPE_IPV6,
    3: _BRIDGED_ETHERNET,
    5: links.ETHERTYPE_MPLS,
}
_L2TP_CONTROL, _L2TP_LENGTH, _L2TP_SEQUENCE, _L2TP_OFFSET = 0x8000, 0x4000, 0x0800, 0x0200
_TEREDO_AUTHENTICATION, _TEREDO_ORIGIN = b"\0\1", b"\0\0"


class Tunnel(NamedTuple):
    """The outer packet of a tunnel: what kind, and between which addresses (as in PacketColumns)."""

    name: str
    network: int
    source: int
    destination: int


def inner_of_ip(frame: Bytes, protocol: int, start: int, end: int) -> tuple[str, Found]:
    """The tunnel's name and what was found in the payload of an IP packet; ("", None) for what is no tunnel."""
    name, find = _IN_IP.get(protocol, ("", _nothing))
    return name, find(frame[:end], start)


def inner_of_udp(frame: Bytes, ports: tuple[int, int], start: int, end: int) -> tuple[str, Found]:
    """The same for a UDP datagram; ``start`` is where its payload begins."""
    for port in ports:
        if port in UDP_TUNNELS:
            name, find = UDP_TUNNELS[port]
            if (found := find(frame[:end], start)) is not None:
                return name, found
    return "", None


def _nothing(_data: Bytes, _start: int) -> Found:
    return None


def _ipv4(_data: Bytes, start: int) -> Found:
    return start, links.ETHERTYPE_IPV4


def _ipv6(_data: Bytes, start: int) -> Found:
    return start, links.ETHERTYPE_IPV6


def _gre(data: Bytes, start: int) -> Found:
    """Optional words follow the first one; version 1 is that of PPTP, whose key is always there."""
    if len(data) < start + 4:
        return None
    flags, kind = number(data, start), number(data, start + 2)
    at = start + 4
    at += 4 * (bool(flags & (_GRE_CHECKSUM | _GRE_ROUTING)) + bool(flags & _GRE_KEY) + bool(flags & _GRE_SEQUENCE))
    at += 4 * bool(flags & _GRE_ACKNOWLEDGMENT and flags & 7 == 1)
    if kind == _ERSPAN:
        return links.inside(data, at + (_ERSPAN_BYTES if flags & _GRE_SEQUENCE else 0), links.LINKTYPE_ETHERNET)
    return _by_type(data, at, kind)


def _by_type(data: Bytes, at: int, kind: int) -> Found:
    """What an EtherType says, or the numbers that GRE and GENEVE have for whole frames."""
    if kind == _BRIDGED_ETHERNET:
        return links.inside(data, at, links.LINKTYPE_ETHERNET)
    if kind == _PPP:
        return links.inside(data, at, links.LINKTYPE_PPP)
    return links.followed(data, at, kind)


def _authentication(data: Bytes, start: int) -> Found:
    """Its length is in words of four bytes, less two; only another tunnel's or IP's header is looked for behind it."""
    if len(data) < start + 2:
        return None
    kinds = {IPV4_IN_IP: links.ETHERTYPE_IPV4, IPV6_IN_IP: links.ETHERTYPE_IPV6}
    return (start + 4 * (data[start + 1] + 2), kinds[data[start]]) if data[start] in kinds else None


def _mpls(data: Bytes, start: int) -> Found:
    return links.followed(data, start, links.ETHERTYPE_MPLS)


def _vxlan(data: Bytes, start: int) -> Found:
    if len(data) < start + 8 or not data[start] & 0x08:
        return None
    return links.inside(data, start + 8, links.LINKTYPE_ETHERNET)


def _vxlan_gpe(data: Bytes, start: int) -> Found:
    """draft-ietf-nvo3-vxlan-gpe: the fourth byte says what follows."""
    if len(data) < start + 8 or not data[start] & 0x08:
        return None
    kind = _GPE_PROTOCOLS.get(data[start + 3])
    return None if kind is None else _by_type(data, start + 8, kind)


def _geneve(data: Bytes, start: int) -> Found:
    if len(data) < start + 8 or data[start] >> 6:
        return None
    return _by_type(data, start + 8 + 4 * (data[start] & 0x3F), number(data, start + 2))


def _gtp(data: Bytes, start: int) -> Found:
    """Version 1 with user data; the second word of options is there when any of its flags is."""
    if len(data) < start + 12 or data[start] >> 4 != 3 or data[start + 1] != _GTP_DATA:
        return None
    at, extension = start + 8, 0
    if data[start] & 7:
        extension, at = data[start + 11] if data[start] & 4 else 0, at + 4
    while extension and at < len(data) and data[at]:
        size = 4 * data[at]
        if at + size > len(data):
            return None
        extension, at = data[at + size - 1], at + size
    return links.inside(data, at, links.LINKTYPE_RAW)


def _l2tp(data: Bytes, start: int) -> Found:
    """RFC 2661 section 3.1: a data message of version 2, with the words that its flags announce; then PPP."""
    flags = number(data, start) if len(data) >= start + 2 else _L2TP_CONTROL
    if flags & _L2TP_CONTROL or flags & 15 != 2:
        return None
    at = start + 6 + 2 * bool(flags & _L2TP_LENGTH) + 4 * bool(flags & _L2TP_SEQUENCE)
    if flags & _L2TP_OFFSET:
        at += 2 + (number(data, at) if len(data) >= at + 2 else 0)
    return links.inside(data, at, links.LINKTYPE_PPP)


def _teredo(data: Bytes, start: int) -> Found:
    """IPv6, with an authentication and an origin before it where they are."""
    if data[start : start + 2] == _TEREDO_AUTHENTICATION and len(data) >= start + 4:
        start += 13 + data[start + 2] + data[start + 3]
    if data[start : start + 2] == _TEREDO_ORIGIN:
        start += 8
    found = links.inside(data, start, links.LINKTYPE_RAW)
    return found if found is not None and found[1] == links.ETHERTYPE_IPV6 else None


_Find = Callable[[Bytes, int], Found]
_IN_IP: dict[int, tuple[str, _Find]] = {
    IPV4_IN_IP: ("IP in IP", _ipv4),
    IPV6_IN_IP: ("6in4", _ipv6),
    GRE: ("GRE", _gre),
    AH: ("AH", _authentication),
    MPLS_IN_IP: ("MPLS", _mpls),
}
UDP_TUNNELS: dict[int, tuple[str, _Find]] = {
    1701: ("L2TP", _l2tp),
    2152: ("GTP", _gtp),
    3544: ("Teredo", _teredo),
    4789: ("VXLAN", _vxlan),
    4790: ("VXLAN-GPE", _vxlan_gpe),
    6081: ("GENEVE", _geneve),
    8472: ("VXLAN", _vxlan),
}
