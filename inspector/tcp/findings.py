"""What really happened to a segment, as far as the capture can tell; ``analysis`` only says how Wireshark names it."""

from enum import StrEnum
from typing import NamedTuple

from inspector.tcp.states import Known


class Kind(StrEnum):
    """What a finding says of its packet."""

    RETRANSMISSION = "retransmission"  # the sender sent it again; ``cause`` tells what made it
    SPURIOUS_RETRANSMISSION = "spurious_retransmission"  # it was not needed: the peer had the data
    DUPLICATED = "duplicated"  # the network, or the capture, made a copy; the sender sent it once
    REORDERED = "reordered"  # it was sent before what overtook it
    GAP = "gap"  # something before it was not seen: lost on its way here, late, or not captured
    CAPTURE_LOSS = "capture_loss"  # it acknowledges what was not seen: the peer had it, the capture had not
    DUPLICATE_ACK = "duplicate_ack"
    CHALLENGE_ACK = "challenge_ack"  # RFC 5961: the answer to a SYN or RST that the connection does not believe
    SIMULTANEOUS_OPEN = "simultaneous_open"  # the SYN,ACK of an end that had sent a SYN, RFC 9293 section 3.5
    KEEP_ALIVE = "keep_alive"
    KEEP_ALIVE_ANSWER = "keep_alive_answer"
    ZERO_WINDOW_PROBE = "zero_window_probe"
    ZERO_WINDOW_PROBE_ANSWER = "zero_window_probe_answer"
    ZERO_WINDOW = "zero_window"
    WINDOW_UPDATE = "window_update"
    WINDOW_FULL = "window_full"
    REUSED_PORTS = "reused_ports"


class Cause(StrEnum):
    """What made a sender send again."""

    TIMEOUT = "timeout"  # the retransmission timer, RFC 6298; also what follows to make up for it
    TAIL_LOSS_PROBE = "tail_loss_probe"  # RFC 8985 section 7: the last segment once more, before the timeout
    TIMER = "timer"  # one of the two, and nothing tells which
    FAST = "fast"  # acknowledgments told of data beyond it: RFC 5681, 6675, 8985
    ANSWER_TO_SYN = "answer_to_syn"  # a SYN,ACK, because the SYN came again
    FAST_OPEN_REFUSED = "fast_open_refused"  # the data of a SYN, which the SYN,ACK left out; RFC 7413 section 3
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """``packet`` is whom it is about, mostly the segment it is reported with; ``evidence`` are the packets that
    prove it besides that one, ``known`` how sure it is. ``cause`` is of retransmissions."""

    kind: Kind
    packet: int
    evidence: tuple[int, ...] = ()
    cause: Cause | None = None
    known: Known = Known.SEEN
