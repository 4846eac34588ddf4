"""Frames built by hand, for the tests of the header decoder: every field can be made to lie."""

import socket
from struct import pack
from typing import NamedTuple

import numpy as np

from inspector.capture.batch import FrameBatch
from inspector.decode.columns import COLUMN_TYPES, PacketColumns
from inspector.decode.fast import Decoder

TCP, UDP, ICMP, ICMPV6, NO_NEXT_HEADER = 6, 17, 1, 58, 59
HOP_BY_HOP, ROUTING, FRAGMENT, AUTHENTICATION, DESTINATION = 0, 43, 44, 51, 60

_MACS = bytes(12)
_FDDI = b"\x50" + _MACS + b"\xaa\xaa\x03\0\0\0"
_SLL2_REST = bytes(18)
LINK_HEADERS: dict[str, tuple[int, bytes, bytes]] = {  # link type, header before IPv4, header before IPv6
    "ethernet": (1, _MACS + b"\x08\x00", _MACS + b"\x86\xdd"),
    "802.1Q": (1, _MACS + b"\x81\0\0\7\x08\x00", _MACS + b"\x81\0\0\7\x86\xdd"),
    "802.1ad": (1, _MACS + b"\x88\xa8\0\1\x81\0\0\7\x08\x00", _MACS + b"\x88\xa8\0\1\x81\0\0\7\x86\xdd"),
    "QinQ": (1, _MACS + b"\x91\0\0\1\x91\0\0\7\x08\x00", _MACS + b"\x91\0\0\1\x91\0\0\7\x86\xdd"),
    "LLC/SNAP": (1, _MACS + b"\0\x64\xaa\xaa\x03\0\0\0\x08\0", _MACS + b"\0\x64\xaa\xaa\x03\0\0\0\x86\xdd"),
    "fddi": (10, _FDDI + b"\x08\0", _FDDI + b"\x86\xdd"),
    "cooked": (113, bytes(14) + b"\x08\x00", bytes(14) + b"\x86\xdd"),
    "cooked 2": (276, b"\x08\x00" + _SLL2_REST, b"\x86\xdd" + _SLL2_REST),
    "cooked 2, 802.1Q": (276, b"\x81\x00" + _SLL2_REST + b"\0\7\x08\0", b"\x81\x00" + _SLL2_REST + b"\0\7\x86\xdd"),
    "NULL, FreeBSD": (0, b"\2\0\0\0", b"\x1c\0\0\0"),
    "NULL, macOS": (0, b"\2\0\0\0", b"\x1e\0\0\0"),
    "NULL, big-endian": (0, b"\0\0\0\2", b"\0\0\0\x18"),
    "LOOP": (108, b"\0\0\0\2", b"\0\0\0\x18"),
    "raw": (101, b"", b""),
    "raw, DLT 12": (12, b"", b""),
    "raw, DLT 14": (14, b"", b""),
    "raw IPv4 or IPv6": (228, b"", b""),  # 229 for IPv6: see ``link``
    "PPP": (9, b"\xff\x03\0\x21", b"\xff\x03\0\x57"),
    "PPP, compressed": (9, b"\x21", b"\x57"),
    "PPP in HDLC": (50, b"\xff\x03\0\x21", b"\xff\x03\0\x57"),
    "Cisco HDLC": (50, b"\x0f\0\x08\0", b"\x8f\0\x86\xdd"),
}


class Frame(NamedTuple):
    """A frame as captured. ``wire_bytes`` is None when it is whole."""

    data: bytes
    link_type: int = 101
    wire_bytes: int | None = None
    status: int = 0


def link(name: str, packet: bytes) -> Frame:
    """A packet in a link layer of ``LINK_HEADERS``."""
    link_type, *headers = LINK_HEADERS[name]
    is_v6 = packet[0] >> 4 == 6
    return Frame(headers[is_v6] + packet, 229 if link_type == 228 and is_v6 else link_type)


def ipv4(
    payload: bytes,
    protocol: int = TCP,
    *,
    options: bytes = b"",
    identification: int = 1,
    fragment_offset: int = 0,
    more: bool = False,
    total_bytes: int | None = None,
    header_words: int | None = None,
    source: str = "10.0.0.1",
    destination: str = "10.0.0.2",
) -> bytes:
    words = 5 + len(options) // 4 if header_words is None else header_words
    total = 20 + len(options) + len(payload) if total_bytes is None else total_bytes
    place = fragment_offset // 8 | more << 13
    start = pack(">BBHHHBBH", 0x40 | words, 0, total, identification, place, 64, protocol, 0)
    return start + socket.inet_aton(source) + socket.inet_aton(destination) + options + payload


def ipv6(
    payload: bytes,
    next_header: int = TCP,
    *,
    payload_bytes: int | None = None,
    source: str = "fd00::1",
    destination: str = "fd00::2",
) -> bytes:
    size = len(payload) if payload_bytes is None else payload_bytes
    addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
    return pack(">IHBB", 6 << 28, size, next_header, 64) + addresses + payload


def extension(next_header: int, *, words: int = 0) -> bytes:
    """A hop-by-hop, routing or destination options header of ``8 + 8 * words`` bytes."""
    return bytes((next_header, words)) + bytes(6 + 8 * words)


def fragment_header(next_header: int, *, offset: int = 0, more: bool = False, identification: int = 1) -> bytes:
    return pack(">BxHI", next_header, offset | more, identification)


def tcp(
    payload: bytes = b"",
    *,
    source_port: int = 40000,
    destination_port: int = 80,
    seq: int = 1000,
    ack: int = 2000,
    flags: int = 0x18,
    window: int = 512,
    options: bytes = b"",
    header_words: int | None = None,
) -> bytes:
    words = 5 + len(options) // 4 if header_words is None else header_words
    header = pack(">HHIIBBHHH", source_port, destination_port, seq, ack, words << 4, flags, window, 0, 0)
    return header + options + payload


def udp(
    payload: bytes = b"", *, source_port: int = 40000, destination_port: int = 53, udp_bytes: int | None = None
) -> bytes:
    size = 8 + len(payload) if udp_bytes is None else udp_bytes
    return pack(">HHHH", source_port, destination_port, size, 0) + payload


def icmp(kind: int, code: int = 0, body: bytes = b"", *, identifier: int = 0, sequence: int = 0) -> bytes:
    return pack(">BBHHH", kind, code, 0, identifier, sequence) + body


def arp(sender: str, target: str, *, hardware_bytes: int = 6) -> bytes:
    start = pack(">HHBBH", 1, 0x0800, hardware_bytes, 4, 1)
    return start + bytes(hardware_bytes) + socket.inet_aton(sender) + bytes(hardware_bytes) + socket.inet_aton(target)


def batch_of(frames: list[Frame], *, room_behind: int = 0) -> FrameBatch:
    """The frames one behind the other, as a ring or a chunk of a file would hold them, and so many bytes behind."""
    captured = np.array([len(frame.data) for frame in frames], np.uint32)
    wire = [len(frame.data) if frame.wire_bytes is None else frame.wire_bytes for frame in frames]
    offset = np.cumsum(captured, dtype=np.int64) - captured
    rows = len(frames)
    return FrameBatch(
        buffer=b"".join(frame.data for frame in frames) + b"\x45" * room_behind,
        offset=offset,
        captured_bytes=captured,
        wire_bytes=np.array(wire, np.uint32),
        time_ns=np.arange(rows, dtype=np.int64) * 1000,
        link_type=np.array([frame.link_type for frame in frames], np.uint16),
        interface=np.zeros(rows, np.uint16),
        status=np.array([frame.status for frame in frames], np.uint8),
        position=offset + 24,
    )


Row = dict[str, int | str]


def rows_of(columns: PacketColumns, decoder: Decoder) -> list[Row]:
    """The columns row by row, addresses as text."""
    lists = {name: getattr(columns, name).tolist() for name in COLUMN_TYPES}
    rows: list[Row] = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    for row in rows:
        for name in ("source", "destination"):
            row[name] = decoder.addresses.text(int(row["network"]), int(row[name]))
    return rows


def decode(*frames: Frame) -> list[Row]:
    """What a fresh decoder says of the frames."""
    decoder = Decoder()
    return rows_of(decoder.decode(batch_of(list(frames))), decoder)
