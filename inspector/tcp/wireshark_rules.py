"""The rules behind Wireshark's ``tcp.analysis`` names, one by one, in the order in which they are tested.

A rule is a predicate over a segment, what its sender has sent before (``own``) and what the other side has (``peer``);
it changes nothing. ``analysis.Analyzer`` runs the rules and keeps the two ``Direction``s true.
Source: Wireshark 4.0, epan/dissectors/packet-tcp.c, default preferences.
"""

from collections.abc import Callable
from typing import NamedTuple

from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import HALF, MODULUS

FIN, SYN, RST, ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.RST), int(Flag.ACK)

UNKNOWN = -1  # window scale: no SYN of this side was seen; sequence number or edge: not known yet
NOT_USED = -2  # window scale: a SYN came without the option, so neither side scales
NO_WINDOW_YET = 0xFFFFFFFF
ACKED_UNSEEN = 0xFFFFFFFF  # as a count of duplicate ACKs: this side's data was acknowledged before it was seen

FAST_RETRANSMISSION_NS = 20_000_000
REORDERING_NS = 3_000_000  # how late a segment may still be out of order when the handshake's time is not known
UNSIGNED_64 = 0xFFFF_FFFF_FFFF_FFFF


def is_before(a: int, b: int) -> bool:
    """Whether sequence number ``a`` comes before ``b``; at exactly half the circle also after it, as in Wireshark."""
    return (a - b) & HALF != 0  # the sign of a 32-bit difference


def is_after(a: int, b: int) -> bool:
    """Whether sequence number ``a`` comes after ``b``."""
    return is_before(b, a)


class Direction:
    """What one side of a connection has sent so far.

    As in Wireshark, 0 means "nothing yet" in ``next_seq``, ``contiguous_end`` and ``last_ack``, and every segment sets
    ``window`` and ``last_ack``, one without the ACK flag too.
    """

    __slots__ = (
        "answer_ns",
        "base_seq",
        "contiguous_end",
        "duplicate_acks",
        "flight_known",
        "last_ack",
        "last_names",
        "last_ns",
        "next_seq",
        "next_seq_ns",
        "only_syn",
        "reordering_ns",
        "right_edge",
        "sack_permitted",
        "settled",
        "unacknowledged",
        "window",
        "window_scale",
    )

    def __init__(self) -> None:
        self.base_seq = UNKNOWN  # where relative numbers start
        self.next_seq = 0  # the highest end of a segment; SYN and FIN count as a byte
        self.next_seq_ns = 0  # when that was reached
        self.contiguous_end = 0  # the highest end without a hole before it
        self.unacknowledged = 0  # the first byte that the peer has not acknowledged
        self.flight_known = True  # False from a hole until the peer's next ACK
        self.last_ack = 0
        self.last_ns = 0  # when the last segment of any kind was sent
        self.last_names: tuple[str, ...] = ()
        self.duplicate_acks = 0
        self.window = NO_WINDOW_YET  # as it stands in the last segment
        self.window_scale = UNKNOWN
        self.right_edge = UNKNOWN  # of the receive window: the sequence number that the peer may not reach beyond
        self.only_syn = False  # a window in a SYN is never scaled
        self.reordering_ns = REORDERING_NS
        self.answer_ns: int | None = None  # from the capture to this side and back, as the handshake took
        self.sack_permitted: bool | None = None  # None: no SYN of this side was seen
        self.settled = False  # base_seq of both sides, only_syn and reordering_ns will stay as they are until a SYN

    def scaled(self, window: int) -> int | None:
        """A window of this side in bytes; None when its scale factor cannot be known."""
        if self.window_scale == UNKNOWN:
            return None
        return window if self.window_scale == NOT_USED else window << self.window_scale

    def set_right_edge(self) -> None:
        """After the window, what it is counted from, or its scale has changed."""
        window = self.window if self.only_syn and self.window_scale != UNKNOWN else self.scaled(self.window)
        self.right_edge = UNKNOWN if window is None else (self.last_ack + window) % MODULUS


class Rule(NamedTuple):
    """``settles``: where it holds, the rules behind it in its table are not tested."""

    name: str
    holds: Callable[[Segment, Direction, Direction], bool]
    settles: bool = False


def zero_window_probe(segment: Segment, own: Direction, peer: Direction) -> bool:
    """The next byte, alone, into a closed window."""
    return segment.payload_bytes == 1 and segment.seq == own.next_seq and peer.window == 0


def zero_window(segment: Segment, own: Direction, peer: Direction) -> bool:
    """The sender closes its receive window, or keeps it closed."""
    return segment.window == 0 and not segment.flags & (SYN | FIN | RST)


def lost_segment(segment: Segment, own: Direction, peer: Direction) -> bool:
    """Something before this segment was not captured: it starts beyond all that its sender has sent."""
    return own.next_seq != 0 and is_after(segment.seq, own.next_seq) and not segment.flags & RST


def keep_alive(segment: Segment, own: Direction, peer: Direction) -> bool:
    """Nothing, or one byte, at the last sequence number already used, so that the peer must answer."""
    return (
        segment.payload_bytes <= 1
        and segment.seq == (own.next_seq - 1) % MODULUS
        and not segment.flags & (SYN | FIN | RST)
    )


def window_update(segment: Segment, own: Direction, peer: Direction) -> bool:
    """An ACK that brings nothing new but another window."""
    return _brings_no_number(segment, own) and segment.window not in (0, own.window)


def window_full(segment: Segment, own: Direction, peer: Direction) -> bool:
    """Data up to the very edge of the peer's receive window; untold where a scale factor is not known."""
    end = (segment.seq + segment.payload_bytes) % MODULUS
    return segment.payload_bytes > 0 and end == peer.right_edge and not segment.flags & (SYN | FIN | RST)


def keep_alive_ack(segment: Segment, own: Direction, peer: Direction) -> bool:
    """An ACK that repeats the last one, in answer to a keep-alive."""
    return duplicate_ack(segment, own, peer) and "keep_alive" in peer.last_names


def zero_window_probe_ack(segment: Segment, own: Direction, peer: Direction) -> bool:
    """An ACK that repeats the last one and its closed window, in answer to a probe."""
    return (
        _brings_no_number(segment, own) and segment.window == own.window == 0 and "zero_window_probe" in peer.last_names
    )


def duplicate_ack(segment: Segment, own: Direction, peer: Direction) -> bool:
    """An ACK that repeats the last one, its open window included: something behind a hole has arrived."""
    return _brings_no_number(segment, own) and segment.window == own.window != 0


def _brings_no_number(segment: Segment, own: Direction) -> bool:
    return (
        segment.payload_bytes == 0
        and segment.seq == own.next_seq
        and segment.ack == own.last_ack
        and not segment.flags & (SYN | FIN | RST)
    )


def acknowledges_unseen(segment: Segment, peer: Direction) -> bool:
    """Whether the ACK goes beyond what the peer was seen to have sent without a hole."""
    return segment.flags & ACK != 0 and peer.contiguous_end != 0 and is_after(segment.ack, peer.contiguous_end)


def ack_lost_segment(segment: Segment, own: Direction, peer: Direction) -> bool:
    """It acknowledges what was not captured; said once for each hole."""
    return acknowledges_unseen(segment, peer) and (
        is_before(peer.contiguous_end, peer.next_seq) or peer.duplicate_acks == 0
    )


def spurious_retransmission(segment: Segment, own: Direction, peer: Direction) -> bool:
    """Data that the peer has acknowledged already."""
    end = (segment.seq + segment.payload_bytes) % MODULUS
    return segment.payload_bytes > 0 and peer.last_ack != 0 and not is_after(end, peer.last_ack)


def fast_retransmission(segment: Segment, own: Direction, peer: Direction) -> bool:
    """Exactly what at least two duplicate ACKs ask for, within 20 ms of the last."""
    return (
        retransmission(segment, own, peer)
        and peer.duplicate_acks >= 2
        and peer.last_ack == segment.seq
        and _elapsed_ns(segment, peer.last_ns) < FAST_RETRANSMISSION_NS
    )


def out_of_order(segment: Segment, own: Direction, peer: Direction) -> bool:
    """Too soon after the newest data to be a retransmission (less than the handshake took), and not its repetition."""
    return (
        retransmission(segment, own, peer)
        and _elapsed_ns(segment, own.next_seq_ns) < own.reordering_ns
        and own.next_seq != segment_end(segment)
    )


def retransmission(segment: Segment, own: Direction, peer: Direction) -> bool:
    """It starts before what was sent already; but data from a probed byte on is new."""
    after_probe = segment.payload_bytes > 1 and segment.seq == (own.next_seq - 1) % MODULUS
    return own.next_seq != 0 and is_before(segment.seq, own.next_seq) and not after_probe


def segment_end(segment: Segment) -> int:
    """The sequence number after the segment: SYN or FIN count as one byte."""
    return (segment.seq + segment.payload_bytes + (1 if segment.flags & (SYN | FIN) else 0)) % MODULUS


def _elapsed_ns(segment: Segment, since_ns: int) -> int:
    # Unsigned as in Wireshark: where the clock went backwards, a very long time has passed.
    return (segment.time_ns - since_ns) & UNSIGNED_64


# Tested on every segment; several can hold.
PLAIN_RULES = (
    Rule("zero_window_probe", zero_window_probe, settles=True),
    Rule("zero_window", zero_window),
    Rule("lost_segment", lost_segment),
    Rule("keep_alive", keep_alive),
    Rule("window_update", window_update),
    Rule("window_full", window_full),
    Rule("keep_alive_ack", keep_alive_ack, settles=True),
    Rule("zero_window_probe_ack", zero_window_probe_ack, settles=True),
    Rule("duplicate_ack", duplicate_ack),
)
# Tested next, when ``duplicate_acks`` has been counted.
ACK_RULES = (Rule("ack_lost_segment", ack_lost_segment),)
# Tested last, on data, SYN and FIN that are no keep-alive; at most one can hold.
RESEND_RULES = (
    Rule("spurious_retransmission", spurious_retransmission, settles=True),
    Rule("fast_retransmission", fast_retransmission, settles=True),
    Rule("out_of_order", out_of_order, settles=True),
    Rule("retransmission", retransmission, settles=True),
)
