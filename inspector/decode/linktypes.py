"""Link types: where the network header begins and what it is (www.tcpdump.org/linktypes.html)."""

from collections.abc import Callable

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_IPV6 = 0x86DD
VLAN_TAGS = frozenset((0x8100, 0x88A8, 0x9100))  # 802.1Q, 802.1ad, QinQ before the standard

LINKTYPE_NULL = 0
LINKTYPE_ETHERNET = 1
LINKTYPE_PPP = 9
LINKTYPE_PPP_HDLC = 50
LINKTYPE_RAW = 101
LINKTYPE_LOOP = 108
LINKTYPE_LINUX_SLL = 113
LINKTYPE_IPV4 = 228
LINKTYPE_IPV6 = 229
LINKTYPE_LINUX_SLL2 = 276

_LLC_SNAP_ETHERNET = b"\xaa\xaa\x03\0\0\0"
_FIRST_ETHERTYPE = 0x600  # a smaller number is an 802.3 length
_ADDRESS_FAMILIES = {2: ETHERTYPE_IPV4, 10: ETHERTYPE_IPV6, 24: ETHERTYPE_IPV6, 28: ETHERTYPE_IPV6, 30: ETHERTYPE_IPV6}
_PPP_PROTOCOLS = {0x21: ETHERTYPE_IPV4, 0x57: ETHERTYPE_IPV6, ETHERTYPE_IPV4: ETHERTYPE_IPV4}

Bytes = bytes | bytearray | memoryview
Found = tuple[int, int] | None
"""(offset of the network header, EtherType); None when the frame ends before it."""


def number(data: Bytes, offset: int) -> int:
    """The 16-bit number in network byte order at an offset; 0 where the bytes end before."""
    return int.from_bytes(data[offset : offset + 2], "big")


def _ethernet(frame: Bytes) -> Found:
    return _ethertype(frame, 12)


def _ethertype(frame: Bytes, offset: int) -> Found:
    """Follow an EtherType through VLAN tags and the LLC/SNAP form of 802.3."""
    while len(frame) >= offset + 2:
        kind = number(frame, offset)
        if kind in VLAN_TAGS:
            offset += 4
        elif kind < _FIRST_ETHERTYPE and frame[offset + 2 : offset + 8] == _LLC_SNAP_ETHERNET:
            offset += 8
        else:
            return offset + 2, kind
    return None


def _cooked(frame: Bytes) -> Found:
    return (_ethertype(frame, 14)) if len(frame) >= 16 else None


def _cooked_2(frame: Bytes) -> Found:
    if len(frame) < 20:
        return None
    kind = number(frame, 0)
    return _ethertype(frame, 22) if kind in VLAN_TAGS else (20, kind)


def _null(frame: Bytes) -> Found:
    if len(frame) < 4:
        return None
    # The family is in the byte order of the machine that captured; families are below 256.
    family = int.from_bytes(frame[:4], "little") if frame[0] else int.from_bytes(frame[:4], "big")
    return 4, _ADDRESS_FAMILIES.get(family, 0)


def _loop(frame: Bytes) -> Found:
    return (4, _ADDRESS_FAMILIES.get(int.from_bytes(frame[:4], "big"), 0)) if len(frame) >= 4 else None


def _raw(frame: Bytes) -> Found:
    return (0, {4: ETHERTYPE_IPV4, 6: ETHERTYPE_IPV6}.get(frame[0] >> 4, 0)) if frame else None


def _ppp(frame: Bytes) -> Found:
    """RFC 1661, with or without the HDLC address and control bytes; Cisco HDLC uses EtherTypes."""
    start = 2 if frame[:1] and frame[0] in (0xFF, 0x0F, 0x8F) else 0
    if len(frame) < start + 2:
        return None
    return start + 2, _PPP_PROTOCOLS.get(number(frame, start), 0)


LINKS: dict[int, Callable[[Bytes], Found]] = {
    LINKTYPE_NULL: _null,
    LINKTYPE_ETHERNET: _ethernet,
    LINKTYPE_PPP: _ppp,
    LINKTYPE_PPP_HDLC: _ppp,
    LINKTYPE_RAW: _raw,
    LINKTYPE_LOOP: _loop,
    LINKTYPE_LINUX_SLL: _cooked,
    LINKTYPE_LINUX_SLL2: _cooked_2,
    LINKTYPE_IPV4: lambda _frame: (0, ETHERTYPE_IPV4),
    LINKTYPE_IPV6: lambda _frame: (0, ETHERTYPE_IPV6),
}
