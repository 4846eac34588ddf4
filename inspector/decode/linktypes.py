"""Link types: where the network header begins and what it is (www.tcpdump.org/linktypes.html)."""

from collections.abc import Callable

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
ETHERTYPE_MPLS = 0x8847
_ETHERTYPE_MPLS_MULTICAST = 0x8848
_ETHERTYPE_PPPOE_SESSION = 0x8864
_PPPOE_BYTES = 6  # RFC 2516 section 4
_CONTROL_WORD_BYTES = 4
VLAN_TAGS = frozenset((0x8100, 0x88A8, 0x9100))  # 802.1Q, 802.1ad, QinQ before the standard

LINKTYPE_NULL = 0
LINKTYPE_ETHERNET = 1
LINKTYPE_ARCNET_BSD = 7
LINKTYPE_PPP = 9
LINKTYPE_FDDI = 10
LINKTYPE_RAW_BSD = 12  # DLT_RAW where a program wrote its system's number into the file, 14 on OpenBSD
LINKTYPE_RAW_OPENBSD = 14
LINKTYPE_PPP_HDLC = 50
LINKTYPE_RAW = 101
LINKTYPE_LOOP = 108
LINKTYPE_LINUX_SLL = 113
LINKTYPE_ARCNET_LINUX = 129
LINKTYPE_IPV4 = 228
LINKTYPE_IPV6 = 229
LINKTYPE_LINUX_SLL2 = 276

ADDRESS_FAMILIES = {  # AF_INET everywhere; AF_INET6 of Linux, NetBSD and OpenBSD, FreeBSD, macOS
    2: ETHERTYPE_IPV4,
    10: ETHERTYPE_IPV6,
    24: ETHERTYPE_IPV6,
    28: ETHERTYPE_IPV6,
    30: ETHERTYPE_IPV6,
}
IP_VERSIONS = {4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}
_PPP_PROTOCOLS = {0x21: ETHERTYPE_IPV4, 0x57: ETHERTYPE_IPV6}  # RFC 1332, RFC 5072
_LLC_SNAP_ETHERNET = b"\xaa\xaa\x03\0\0\0"  # RFC 1042: an EtherType follows
_FIRST_ETHERTYPE = 0x600  # a smaller number is an 802.3 length

Bytes = bytes | bytearray | memoryview
Found = tuple[int, int] | None
"""(offset of the network header, EtherType or 0 for what has none); None when the frame ends before it."""


def number(data: Bytes, offset: int) -> int:
    """The 16-bit number in network byte order at an offset, which must lie within the data."""
    return data[offset] << 8 | data[offset + 1]


def _ethertype(frame: Bytes, offset: int) -> Found:
    """Follow the EtherType at an offset, or the length of 802.3 in its place."""
    if len(frame) < offset + 2:
        return None
    kind = number(frame, offset)
    return _llc(frame, offset + 2) if kind < _FIRST_ETHERTYPE else followed(frame, offset + 2, kind)


def followed(frame: Bytes, offset: int, kind: int) -> Found:
    """Follow an EtherType, what it names being at an offset, through VLAN tags, PPPoE sessions and MPLS labels."""
    if kind in VLAN_TAGS:
        return _ethertype(frame, offset + 2)
    if kind == _ETHERTYPE_PPPOE_SESSION:
        return _ppp_at(frame, offset + _PPPOE_BYTES)
    if kind in (ETHERTYPE_MPLS, _ETHERTYPE_MPLS_MULTICAST):
        return _mpls(frame, offset)
    return offset, kind


def inside(data: Bytes, offset: int, link_type: int) -> Found:
    """Where the network header is of a frame that lies within another one."""
    found = LINKS[link_type](data[offset:]) if offset < len(data) else None
    return None if found is None else (offset + found[0], found[1])


def _mpls(frame: Bytes, offset: int) -> Found:
    """RFC 3032: labels up to the bottom of the stack. What is below them nothing says: IP by its version, or a
    pseudowire of Ethernet behind its control word (RFC 4385, RFC 4448)."""
    while len(frame) >= offset + 5:
        bottom = frame[offset + 2] & 1
        offset += 4
        if bottom:
            version = frame[offset] >> 4
            return (offset, IP_VERSIONS[version]) if version in IP_VERSIONS else _pseudowire(frame, offset)
    return None


def _pseudowire(frame: Bytes, offset: int) -> Found:
    found = _ethertype(frame, offset + _CONTROL_WORD_BYTES + 12) if frame[offset] >> 4 == 0 else None
    return found if found is not None else (offset, 0)


def _llc(frame: Bytes, offset: int) -> Found:
    """802.2: only its SNAP form has an EtherType."""
    if not _LLC_SNAP_ETHERNET.startswith(bytes(frame[offset : offset + 6])):
        return offset, 0
    return (offset + 8, number(frame, offset + 6)) if len(frame) >= offset + 8 else None


def _ethernet(frame: Bytes) -> Found:
    return _ethertype(frame, 12)


def _arcnet(frame: Bytes) -> Found:
    return _arcnet_type(frame, 2)


def _arcnet_linux(frame: Bytes) -> Found:
    return _arcnet_type(frame, 4)


def _arcnet_type(frame: Bytes, offset: int) -> Found:
    """The type; those of RFC 1201 are followed by a flag and a sequence number, those of RFC 1051 are not."""
    if len(frame) <= offset:
        return None
    more, kind = _ARCNET_TYPES.get(frame[offset], (0, 0))
    return offset + 1 + more, kind


def _fddi(frame: Bytes) -> Found:
    return _llc(frame, 13) if len(frame) >= 13 else None


def _cooked(frame: Bytes) -> Found:
    return _ethertype(frame, 14)


def _cooked_2(frame: Bytes) -> Found:
    if len(frame) < 20:
        return None
    kind = number(frame, 0)
    return _ethertype(frame, 22) if kind in VLAN_TAGS else (20, kind)


def _family(frame: Bytes) -> Found:
    """NULL is in the byte order of the machine that captured, LOOP in that of the network: families are small."""
    if len(frame) < 4:
        return None
    return 4, ADDRESS_FAMILIES.get(min(int.from_bytes(frame[:4], "little"), int.from_bytes(frame[:4], "big")), 0)


def _raw(frame: Bytes) -> Found:
    return (0, IP_VERSIONS.get(frame[0] >> 4, 0)) if frame else None


def _ppp(frame: Bytes) -> Found:
    """RFC 1661, RFC 1662: address and control may be left out, and the first byte of the protocol where it is 0."""
    return _ppp_at(frame, 2 if frame[:2] == b"\xff\x03" else 0)


def _ppp_at(frame: Bytes, offset: int) -> Found:
    """The protocol field of PPP at an offset."""
    if len(frame) < offset + 2:
        return None
    if frame[offset] & 1:
        return offset + 1, _PPP_PROTOCOLS.get(frame[offset], 0)
    return offset + 2, _PPP_PROTOCOLS.get(number(frame, offset), 0)


def _hdlc(frame: Bytes) -> Found:
    """PPP, or Cisco HDLC (addresses 0x0F and 0x8F), which has EtherTypes: RFC 1547 section 4.3.1."""
    if frame[:1] not in (b"\x0f", b"\x8f"):
        return _ppp(frame)
    return (4, number(frame, 2)) if len(frame) >= 4 else None


def _ipv4(_frame: Bytes) -> Found:
    return 0, ETHERTYPE_IPV4


def _ipv6(_frame: Bytes) -> Found:
    return 0, ETHERTYPE_IPV6


_ARCNET_TYPES = {  # bytes that follow the type, EtherType
    0xC4: (3, ETHERTYPE_IPV6),
    0xD4: (3, ETHERTYPE_IPV4),
    0xD5: (3, ETHERTYPE_ARP),
    0xF0: (0, ETHERTYPE_IPV4),
    0xF1: (0, ETHERTYPE_ARP),
}
LINKS: dict[int, Callable[[Bytes], Found]] = {
    LINKTYPE_NULL: _family,
    LINKTYPE_ETHERNET: _ethernet,
    LINKTYPE_ARCNET_BSD: _arcnet,
    LINKTYPE_ARCNET_LINUX: _arcnet_linux,
    LINKTYPE_PPP: _ppp,
    LINKTYPE_FDDI: _fddi,
    LINKTYPE_RAW_BSD: _raw,
    LINKTYPE_RAW_OPENBSD: _raw,
    LINKTYPE_PPP_HDLC: _hdlc,
    LINKTYPE_RAW: _raw,
    LINKTYPE_LOOP: _family,
    LINKTYPE_LINUX_SLL: _cooked,
    LINKTYPE_LINUX_SLL2: _cooked_2,
    LINKTYPE_IPV4: _ipv4,
    LINKTYPE_IPV6: _ipv6,
}
