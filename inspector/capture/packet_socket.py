"""Linux packet sockets: numbers of the kernel's interface and what is asked of every capture socket.

Numbers are from linux/if_packet.h, linux/if_ether.h and asm-generic/socket.h; packet(7) and
Documentation/networking/packet_mmap.rst tell what they do. Imports little: a helper process opens sockets with it.
"""

import contextlib
import socket
import struct
from typing import NamedTuple

SOL_PACKET = 263
_PACKET_STATISTICS = 6
_PACKET_IGNORE_OUTGOING = 23

_ETH_P_ALL = 0x0003
_ETH_P_RESERVED = 0xFFFF  # no frame carries it, so a socket bound to it hears nothing

_ARPHRD_ETHER = 1
_ARPHRD_RAWIP = 519
_ARPHRD_LOOPBACK = 772
_ARPHRD_NONE = 0xFFFE

LINKTYPE_NULL = 0
LINKTYPE_ETHERNET = 1
LINKTYPE_RAW = 101
_LINK_TYPE_OF_HARDWARE = {
    _ARPHRD_ETHER: LINKTYPE_ETHERNET,
    _ARPHRD_LOOPBACK: LINKTYPE_ETHERNET,
    _ARPHRD_RAWIP: LINKTYPE_RAW,
    _ARPHRD_NONE: LINKTYPE_RAW,  # tun, WireGuard
}


class Link(NamedTuple):
    """How frames of an interface begin (LINKTYPE_ number), and whether it shows each packet when sent and received."""

    link_type: int
    is_loopback: bool


def link_of(packet_socket: socket.socket) -> Link:
    """The link of the interface that the socket is bound to; KeyError with the ARPHRD_ number when it is not known."""
    hardware = packet_socket.getsockname()[3]
    return Link(_LINK_TYPE_OF_HARDWARE[hardware], hardware == _ARPHRD_LOOPBACK)


def deafen(packet_socket: socket.socket, interface: str) -> None:
    """Let nothing more come in until ``listen``, so that a ring can be put on and counters cleared in between."""
    packet_socket.bind((interface, _ETH_P_RESERVED))


def listen(packet_socket: socket.socket, interface: str) -> None:
    """Begin to receive; loopback would give each packet twice (sent, received), of which the received one is taken."""
    if link_of(packet_socket).is_loopback:
        with contextlib.suppress(OSError):  # Linux before 4.20: the outgoing copies are left out by the readers
            packet_socket.setsockopt(SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
    packet_socket.bind((interface, _ETH_P_ALL))


def take_statistics(packet_socket: socket.socket) -> tuple[int, int]:
    """Frames that passed the filter (dropped ones included) and frames dropped, since the last call: reading resets."""
    counters = packet_socket.getsockopt(SOL_PACKET, _PACKET_STATISTICS, 12)
    received, dropped = struct.unpack_from("II", counters)
    return received, dropped
