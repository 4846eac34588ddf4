"""A conversation: all packets between two endpoints, of one connection instance where the protocol has connections."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from inspector.tcp.report import Outcome, SegmentReport
from inspector.tcp.states import EndpointState, Known, Side

if TYPE_CHECKING:
    from inspector.trace.messages import MessageStream
    from inspector.trace.trace import Trace


class Endpoint(NamedTuple):
    """An address and, for protocols that have them, a port."""

    address: str
    port: int | None

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address and self.port is not None else self.address
        return host if self.port is None else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Conversation:
    """One conversation's counts, from the columns alone. Packets that are ICMP errors about it are not counted."""

    number: int  # from 1, over all protocols in order of the first packet
    protocol: str  # upper case: TCP, UDP, ICMP, ICMPV6, or another IP protocol's name
    client: Endpoint
    server: Endpoint
    client_known: Known  # whether a SYN says so (seen), or the order and ports (inferred)
    packets_to_server: int
    packets_to_client: int
    payload_to_server: int  # bytes
    payload_to_client: int
    start_ns: int
    end_ns: int
    tunnel: str = ""  # that its first packet came through: its kind and the outer addresses
    trace: "Trace | None" = field(default=None, repr=False, compare=False)  # that it was read from

    def messages(self, framing: str = "auto") -> "tuple[MessageStream, MessageStream]":
        """The messages that the client sent, and the server: by a framing such as "length:!I", or one that is found.

        Raises UnknownFraming; ValueError for a conversation of a capture that is running, whose packets are gone.
        """
        from inspector.trace.messages import framed

        if self.trace is None:
            raise ValueError(self.number)
        return framed(self.trace, self.number, framing).streams

    @property
    def packets(self) -> int:
        """Packets both ways."""
        return self.packets_to_server + self.packets_to_client

    @property
    def payload_bytes(self) -> int:
        """Payload both ways."""
        return self.payload_to_server + self.payload_to_client


class ConnectionEnd(NamedTuple):
    """Where a TCP connection stands at the end of what was captured."""

    client: EndpointState
    server: EndpointState
    outcome: Outcome


class Notice(NamedTuple):
    """An ICMP error as a row of the conversation it speaks of: ``name`` is a key of text area ``icmp``
    (``port_unreachable`` ...); ``about`` is the packet it quotes, None when that one was not captured."""

    name: str
    source: str
    about: int | None


class Row(NamedTuple):
    """One packet of a conversation as the views take it: exactly one of ``report`` (TCP segment), ``notice`` (ICMP
    error), or neither (a datagram). ``payload`` is as much of the captured payload as was asked for.
    ``answers`` is, for a reply of UDP or ICMP echo, the packet it answers; ``icmp`` names an ICMP message of the two
    hosts' own conversation (a key of text area ``icmp``), empty for anything else."""

    packet: int
    time_ns: int
    side: Side  # the sender; for a notice, the side it was sent from or whose network it came from
    payload_bytes: int
    payload: bytes
    frame_bytes: int
    report: SegmentReport | None = None
    notice: Notice | None = None
    answers: int | None = None
    icmp: str = ""
    fragment: bool = False
    comment: str = ""
    damaged: bool = False  # a header says what cannot be, or ends before it is complete


class PacketRecord(NamedTuple):
    """One packet as ``inspector packets`` prints it; ``report`` is there for TCP segments that are analysed."""

    packet: int  # from 1
    time_ns: int
    conversation: int | None
    protocol: str  # upper case
    source: str  # "addr:port", IPv6 in brackets; an address alone where the protocol has no ports
    destination: str
    frame_bytes: int  # on the wire
    payload_bytes: int
    flags: int | None  # TCP only
    report: SegmentReport | None
