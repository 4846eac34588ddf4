"""A segment that starts below what its sender had sent: a copy, one that was overtaken, or sent again, and why.

The IP identification and the timestamp option tell; where there is neither, the time that passed. Sources: RFC 6298
(timeout), 5681 and 6675 (fast retransmit), 8985 (RACK, tail-loss probe); Linux net/ipv4/tcp_output.c, tcp_timer.c.
"""

from collections.abc import Mapping
from itertools import islice, takewhile
from typing import NamedTuple

from inspector.tcp.findings import Cause
from inspector.tcp.past import Past
from inspector.tcp.segment import Segment
from inspector.tcp.seqnum import seq_diff
from inspector.tcp.states import Known
from inspector.tcp.wireshark_rules import ACK, REORDERING_NS, SYN, Direction, is_after, is_before, segment_end

DIRECTLY_NS = 5_000_000
_LEAST_TIMEOUT_NS = 190_000_000  # of Linux, 200 ms beyond the round trip; a little less, as the clocks of captures go
_LEAST_PATIENCE_NS = 10_000_000  # of RACK's timer, and of clocks
_PROBE_NS = 250_000_000  # what a probe waits for beyond two round trips: a delayed acknowledgment, and some slack
_COPY_NS = 1_000_000
_ANSWERS_READ = 64  # the latest; a hostile capture has any number
_HALF_IDENTIFICATION, _IDENTIFICATIONS = 1 << 15, 1 << 16


class Earlier(NamedTuple):
    """What came before a segment that starts below what its sender had sent."""

    original: Segment | None  # the latest that carries some of the same bytes
    beyond: Segment | None  # where there is none: the first one captured of what overtook it
    answers: list[Segment]  # the peer's since then, the newest first


def earlier(segment: Segment, past: Past, overtook: Mapping[int, int]) -> Earlier:
    """Search the past for the segment's bytes, and for what its sender has learned since.

    ``overtook``: by packet that came late, the packet that overtook it; its sender had learned of that meanwhile.
    """
    beyond, answers = None, []
    start, end = segment.seq, segment_end(segment)
    for each in past.before(segment.packet):
        if each.side is not segment.side:
            answers.append(each)
        elif each.seq != segment_end(each):
            if is_before(each.seq, end) and is_before(start, segment_end(each)):
                missed = _between(overtook[each.packet], each, past) if each.packet in overtook else []
                return Earlier(each, None, answers + missed)
            if not is_before(each.seq, end):
                beyond = each
    first = beyond.packet if beyond is not None else 0
    return Earlier(None, beyond, [each for each in answers if each.packet > first])


def _between(first: int, segment: Segment, past: Past) -> list[Segment]:
    """What the peer sent from a packet on until the segment came, the newest first."""
    between = takewhile(lambda each: each.packet > first, past.before(segment.packet))
    return [each for each in between if each.side is not segment.side]


def copied(segment: Segment, original: Segment, round_trip_ns: int | None) -> Known | None:
    """How surely one is a copy of the other, both whole, that their sender did not make; None: it is none."""
    same = (segment.seq, segment.flags, segment.payload_bytes) == (original.seq, original.flags, original.payload_bytes)
    if not same:
        return None
    times = segment.options.timestamp, original.options.timestamp
    if segment.identification and original.identification:
        alike = segment.identification == original.identification and times[0] == times[1]
        soon = segment.time_ns - original.time_ns < _LEAST_TIMEOUT_NS  # later a timer sends, at a time of its own
        return Known.SEEN if alike and (soon or times[0] is not None) else None
    if times[0] is not None and times[0] != times[1]:
        return None
    soon_ns = _COPY_NS if round_trip_ns is None else max(round_trip_ns // 2, _COPY_NS)
    return Known.INFERRED if segment.time_ns - original.time_ns < soon_ns else None


def overtaken(segment: Segment, beyond: Segment, round_trip_ns: int | None) -> Known | None:
    """How surely a segment was sent before the one, both whole, that was captured first; None: it was sent after it."""
    if segment.identification and beyond.identification and segment.identification != beyond.identification:
        ahead = (beyond.identification - segment.identification) % _IDENTIFICATIONS
        return Known.SEEN if ahead < _HALF_IDENTIFICATION else None
    times = segment.options.timestamp, beyond.options.timestamp
    if times[0] is not None and times[1] is not None and times[0][0] != times[1][0]:
        return Known.SEEN if seq_diff(times[0][0], times[1][0]) > 0 else None
    soon_ns = REORDERING_NS if round_trip_ns is None else round_trip_ns * 9 // 10
    return Known.INFERRED if segment.time_ns - beyond.time_ns < soon_ns else None


def round_trip_ns(own: Direction, peer: Direction) -> int | None:
    """From the capture to both ends and back, as the handshake took; None when it was not captured."""
    return None if own.answer_ns is None or peer.answer_ns is None else own.answer_ns + peer.answer_ns


def cause_of(
    segment: Segment, found: Earlier, own: Direction, peer: Direction, past: Past, resent_before: bool
) -> tuple[Cause, Segment | None]:
    """Why it was sent again, and the peer's segment that made its sender do so; ``resent_before``: the original was
    itself a retransmission."""
    since = found.original or found.beyond
    if since is None:
        return Cause.UNKNOWN, None
    if segment.flags & SYN:
        syn = next((each for each in found.answers if each.flags & SYN), None)
        if segment.flags & ACK and syn is not None:
            return Cause.ANSWER_TO_SYN, syn
        return Cause.TIMEOUT if segment.time_ns - since.time_ns >= _LEAST_TIMEOUT_NS else Cause.UNKNOWN, None
    if since.flags & SYN and since.payload_bytes and found.answers:
        return Cause.FAST_OPEN_REFUSED, found.answers[0]
    latest = islice(found.answers, _ANSWERS_READ)
    asking = next((each for each in latest if _asks_for(each, segment, past)), None)
    if asking is not None and since_answered_ns(asking, segment, own) < _patience_ns(own, peer):
        return Cause.FAST, asking
    elapsed_ns = segment.time_ns - since.time_ns
    if asking is None and found.original is not None and segment_end(segment) == own.next_seq and not resent_before:
        return _timer(elapsed_ns, own, peer), None
    return Cause.TIMEOUT if elapsed_ns >= _LEAST_TIMEOUT_NS else Cause.UNKNOWN, None


def since_answered_ns(ack: Segment, segment: Segment, own: Direction) -> int:
    """How long the sender took to send the segment once it had the acknowledgment, seen from the capture."""
    return segment.time_ns - ack.time_ns - (own.answer_ns or 0)


def _timer(elapsed_ns: int, own: Direction, peer: Direction) -> Cause:
    """Nobody asked for the last segment, and it comes again: a probe would come once, and before long."""
    rtt_ns = round_trip_ns(own, peer)
    can_probe = own.sack_permitted, peer.sack_permitted
    if rtt_ns is None or None in can_probe:
        return Cause.TIMER if elapsed_ns >= _LEAST_TIMEOUT_NS else Cause.UNKNOWN
    if elapsed_ns < rtt_ns:
        return Cause.UNKNOWN
    if not all(can_probe) or elapsed_ns > 2 * rtt_ns + _PROBE_NS:
        return Cause.TIMEOUT if elapsed_ns >= _LEAST_TIMEOUT_NS else Cause.UNKNOWN
    return Cause.TAIL_LOSS_PROBE


def _patience_ns(own: Direction, peer: Direction) -> int:
    """How long a sender may wait for a segment that was only overtaken, before it sends it again: RFC 8985 section 6.2,
    less than a timeout."""
    return min(max(round_trip_ns(own, peer) or 0, _LEAST_PATIENCE_NS), _LEAST_TIMEOUT_NS)


def _asks_for(ack: Segment, segment: Segment, past: Past) -> bool:
    """Whether it tells that data beyond the segment has come, and the segment has not: by SACK, or by repeating."""
    if is_after(ack.ack, segment.seq) or not ack.flags & ACK:
        return False
    blocks = past.whole(ack).options.sack_blocks
    if blocks:
        end = segment_end(segment)
        return any(not is_before(left, end) and is_after(right, ack.ack) for left, right in blocks)
    last = next((each for each in past.before(ack.packet) if each.side is ack.side), None)
    return last is not None and not ack.payload_bytes and (last.ack, last.window) == (ack.ack, ack.window)
