"""What the analysis of a connection says: a report for each segment, and the outcome of the whole."""

from enum import StrEnum
from typing import NamedTuple

from inspector.tcp.findings import Finding
from inspector.tcp.segment import Segment
from inspector.tcp.states import EndpointState, Side, Transition


class SegmentReport(NamedTuple):
    """All that is known once a segment has passed.

    ``relative_seq`` and ``relative_ack`` count as Wireshark's: from 0 at the SYN, from 1 when the capture starts in
    the middle. ``scaled_window`` is None when the scale factor cannot be known (RFC 7323 section 2.2). ``analysis``
    has Wireshark's names (``retransmission``, ``duplicate_ack`` ...), ``findings`` what really happened, some of it to
    an earlier segment. ``transitions`` are those decided by this segment, in order; ``client`` and ``server`` hold
    after it. ``expected`` is what the receiver of the segment will be in when it turns out to have received it, None
    when that changes nothing.
    """

    segment: Segment
    relative_seq: int
    relative_ack: int
    scaled_window: int | None
    analysis: tuple[str, ...]
    duplicate_ack_number: int | None
    bytes_in_flight: int | None  # of the sender, this segment included; None when it carries nothing
    transitions: tuple[Transition, ...]
    client: EndpointState
    server: EndpointState
    expected: EndpointState | None
    findings: tuple[Finding, ...] = ()


class Opening(StrEnum):
    """How a connection came up."""

    HANDSHAKE = "handshake"
    SIMULTANEOUS = "simultaneous"
    FAST_OPEN = "fast_open"
    REFUSED = "refused"  # the SYN was answered by a reset
    UNANSWERED = "unanswered"
    INCOMPLETE = "incomplete"  # SYN and SYN,ACK were seen, the third segment was not
    NOT_CAPTURED = "not_captured"  # the capture began later


class Closing(StrEnum):
    """How a connection went down."""

    FOUR_SEGMENTS = "four_segments"
    THREE_SEGMENTS = "three_segments"  # the passive closer's ACK and FIN share a segment
    SIMULTANEOUS = "simultaneous"
    RESET = "reset"
    HALF_CLOSED = "half_closed"  # one side sent its FIN, the other never did
    UNFINISHED = "unfinished"  # both FINs were seen, the last ACK was not
    OPEN = "open"  # neither FIN nor RST in the capture
    NEVER_OPENED = "never_opened"


class Outcome(NamedTuple):
    """A connection as a whole, as far as the capture goes.

    ``conn_state`` and ``history`` are Zeek's (base/protocols/conn/main.zeek).
    """

    opening: Opening
    closing: Closing
    closed_by: Side | None  # whose FIN or RST came first
    conn_state: str
    history: str
    handshake_rtt_ns: int | None  # from the SYN to the ACK that completes the handshake
