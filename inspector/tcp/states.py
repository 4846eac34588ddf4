"""The words of RFC 9293: states of an endpoint, and how surely each is known."""

from enum import IntEnum, StrEnum
from typing import NamedTuple


class Side(IntEnum):
    """The two endpoints of a connection; the client is who sent the first SYN."""

    CLIENT = 0
    SERVER = 1

    __hash__ = int.__hash__  # that of Enum is written in Python

    @property
    def other(self) -> "Side":
        """The opposite endpoint."""
        return Side.SERVER if self is Side.CLIENT else Side.CLIENT


class TcpState(StrEnum):
    """States of RFC 9293 section 3.3.2, and UNKNOWN for an endpoint that the capture does not tell of yet."""

    CLOSED = "CLOSED"
    LISTEN = "LISTEN"
    SYN_SENT = "SYN-SENT"
    SYN_RECEIVED = "SYN-RECEIVED"
    ESTABLISHED = "ESTABLISHED"
    FIN_WAIT_1 = "FIN-WAIT-1"
    FIN_WAIT_2 = "FIN-WAIT-2"
    CLOSE_WAIT = "CLOSE-WAIT"
    CLOSING = "CLOSING"
    LAST_ACK = "LAST-ACK"
    TIME_WAIT = "TIME-WAIT"
    UNKNOWN = "UNKNOWN"

    __hash__ = str.__hash__


class Known(StrEnum):
    """How a state or verdict is known."""

    SEEN = "seen"  # on the wire, or in a call
    INFERRED = "inferred"  # from later segments, or from the rules
    UNKNOWN = "unknown"  # the capture began in the middle, was snapped, or lost packets

    __hash__ = str.__hash__


class EndpointState(NamedTuple):
    """State of one endpoint after a segment."""

    state: TcpState
    known: Known


class Transition(NamedTuple):
    """One endpoint moves. ``rule`` cites the RFC 9293 section; ``cause`` is the packet that made it move: the segment
    it sent, or the segment it received, which may be an earlier packet than the one that proves the receipt."""

    side: Side
    before: TcpState
    after: TcpState
    known: Known
    rule: str
    cause: int
