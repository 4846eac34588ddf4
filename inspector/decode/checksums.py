"""Internet checksums, RFC 1071: whether the one in a header is right, and when it need not be."""

import sys
from enum import StrEnum

from inspector.decode.protocols import ICMPV6, TCP, UDP


class Checksum(StrEnum):
    """What there is to say of a checksum."""

    RIGHT = "right"
    WRONG = "wrong"
    NOT_FILLED_IN = "not_filled_in"  # left to the network card, of which loopback has none
    NOT_SENT = "not_sent"  # UDP over IPv4 may go without, RFC 768
    UNKNOWN = "unknown"  # not all bytes that it covers are here


CHECKSUM_AT = {TCP: 16, UDP: 6, ICMPV6: 2}


def ones_complement_sum(data: bytes) -> int:
    """The 16-bit one's complement sum, carries added in, RFC 1071 section 1."""
    total = sum(memoryview(data + b"\0" * (len(data) % 2)).cast("H"))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int.from_bytes(total.to_bytes(2, sys.byteorder), "big")


def of_header(header: bytes) -> Checksum:
    """The checksum of an IPv4 header or of an ICMP message: the sum of everything is all ones."""
    return Checksum.RIGHT if ones_complement_sum(header) == 0xFFFF else Checksum.WRONG


def of_transport(protocol: int, source: bytes, destination: bytes, data: bytes) -> Checksum:
    """The checksum of a TCP segment, UDP datagram or ICMPv6 message with its pseudo-header (RFC 9293 section 3.1).

    A kernel that leaves it to the network card fills in the sum of the pseudo-header alone, or nothing.
    """
    at = CHECKSUM_AT[protocol]
    field = int.from_bytes(data[at : at + 2], "big")
    if protocol == UDP and field == 0 and len(source) == 4:
        return Checksum.NOT_SENT
    pseudo_header = source + destination + len(data).to_bytes(4, "big") + protocol.to_bytes(4, "big")
    if ones_complement_sum(pseudo_header + data) == 0xFFFF:
        return Checksum.RIGHT
    if protocol == TCP and field == 0:
        return Checksum.NOT_FILLED_IN
    return Checksum.NOT_FILLED_IN if field == ones_complement_sum(pseudo_header) else Checksum.WRONG
