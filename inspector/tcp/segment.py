"""A TCP segment as the analysis sees it."""

from enum import IntFlag
from typing import NamedTuple

from inspector.tcp.options import NO_OPTIONS, TcpOptions
from inspector.tcp.states import Side


class Flag(IntFlag):
    """Control bits, RFC 9293 section 3.1 and RFC 3168."""

    FIN = 1
    SYN = 2
    RST = 4
    PSH = 8
    ACK = 16
    URG = 32
    ECE = 64
    CWR = 128


class Segment(NamedTuple):
    """One segment of a connection. ``side`` is its sender; ``seq``, ``ack`` and ``window`` stand as on the wire.

    ``payload_bytes`` is the true length, captured or not. Nothing but the display may depend on the ``options`` of a
    segment without SYN, nor on its ``identification``: they are read only where a conversation is looked at. The
    diagnosis asks for them through a ``Past``.
    """

    packet: int  # from 1
    time_ns: int
    side: Side
    seq: int
    ack: int
    flags: int  # Flag bits; a plain int, since an IntFlag operation costs a microsecond
    window: int
    payload_bytes: int
    options: TcpOptions = NO_OPTIONS
    identification: int = 0  # of the IPv4 header; 0 where there is none
