"""Link types: where the network header begins and what it is (www.tcpdump.org/linktypes.html)."""

from collections.abc import Callable

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
VLAN_TAGS = frozenset((0x8100, 0x88A8, 0x9100))  # 802.1Q, 802.1ad, QinQ before the standard

LINKTYPE_NULL = 0
LINKTYPE_ETHERNET = 1
LINKTYPE_PPP = 9
LINKTYPE_FDDI = 10
LINKTYPE_RAW_BSD = 12  # DLT_RAW where a program wrote its system's number into the file, 14 on OpenBSD
LINKTYPE_RAW_OPENBSD = 14
LINKTYPE_PPP_HDLC = 50
LINKTYPE_RAW = 101
LINKTYPE_LOOP = 108
LINKTYPE_LINUX_SLL = 113
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
    """Follow the EtherType at an offset through VLAN tags and the LLC/SNAP form of 802.3."""
    while len(frame) >= offset + 2:
        kind = number(frame, offset)
        if kind in VLAN_TAGS:
            offset += 4
        elif kind < _FIRST_ETHERTYPE:
            return _llc(frame, offset + 2)
        else:
            return offset + 2, kind
    return None


def _llc(frame: Bytes, offset: int) -> Found:
    """802.2: only its SNAP form has an EtherType."""
    if not _LLC_SNAP_ETHERNET.startswith(bytes(frame[offset : offset + 6])):
        return offset, 0
    return (offset + 8, number(frame, offset + 6)) if len(frame) >= offset + 8 else None


def _ethernet(frame: Bytes) -> Found:
    return _ethertype(frame, 12)


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
    offset = 2 if frame[:2] == b"\xff\x03" else 0
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


LINKS: dict[int, Callable[[Bytes], Found]] = {
    LINKTYPE_NULL: _family,
    LINKTYPE_ETHERNET: _ethernet,
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
