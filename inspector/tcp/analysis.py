"""What stands out in each segment of a connection, in Wireshark's words (``tcp.analysis``); its relative numbers."""

from typing import NamedTuple

from inspector.tcp.diagnosis import Diagnosis
from inspector.tcp.findings import Finding
from inspector.tcp.past import Past, RecentSegments
from inspector.tcp.segment import Segment
from inspector.tcp.seqnum import HALF, MASK, MODULUS
from inspector.tcp.wireshark_rules import (
    ACK,
    ACK_RULES,
    ACKED_UNSEEN,
    FIN,
    NOT_USED,
    PLAIN_RULES,
    REORDERING_NS,
    RESEND_RULES,
    SYN,
    UNKNOWN,
    UNSIGNED_64,
    Direction,
    Rule,
    acknowledges_unseen,
    is_before,
    segment_end,
)

IMPLAUSIBLE_FLIGHT_BYTES = 2_000_000_000  # the numbers are not of one stream


class SegmentAnalysis(NamedTuple):
    """What the analysis says of one segment; the fields are those of ``report.SegmentReport``."""

    relative_seq: int
    relative_ack: int  # of a segment without the ACK flag: the field as it stands
    scaled_window: int | None
    names: tuple[str, ...]
    duplicate_ack_number: int | None
    bytes_in_flight: int | None
    findings: tuple[Finding, ...]


class Steady(NamedTuple):
    """What one side of a connection in the middle of its exchange has sent last; nothing is missing or unclear."""

    base_seq: int
    next_seq: int
    last_ack: int
    window: int
    scale: int  # places by which the window is shifted
    right_edge: int


class Analyzer:
    """Analyses the segments of one connection instance, fed in the order of their capture.

    ``reused``: the SYN that opens it reuses addresses and ports of an earlier connection. A SYN without ACK whose
    number is not the one that side began with opens another instance: it is for another Analyzer.
    ``past`` has what the findings are compared with; with it this holds a few dozen integers, however long the
    connection is, without it the latest segments, which then have to come whole.
    """

    __slots__ = ("_diagnosis", "_directions", "_recent", "_reused", "_rtt_ns", "_syn_ns")

    def __init__(self, reused: bool = False, past: Past | None = None) -> None:
        self._recent = RecentSegments() if past is None else None
        self._diagnosis = Diagnosis(past or self._recent or RecentSegments())
        client, server = Direction(), Direction()
        self._directions = ((client, server), (server, client))  # by side: its own, its peer's
        self._reused = reused
        self._syn_ns = 0  # when the latest SYN without ACK was sent
        self._rtt_ns = 0  # from there to the first ACK without SYN

    def feed(self, segment: Segment) -> SegmentAnalysis:
        """Analyse the next segment.

        Data in order and ACKs of something new, nearly all there is, are recognised by a few comparisons under which
        no rule of ``wireshark_rules`` can hold and nothing is to be found; all else goes to ``examine``. A property
        test holds both against each other.
        """
        if self._recent is not None:
            self._recent.add(segment)
        own, peer = self._directions[segment.side]
        if own.settled and not self._diagnosis.waiting[segment.side] and _is_uneventful(segment, own, peer):
            return _take_in_order(segment, own, peer)
        return self._examine(segment)

    def examine(self, segment: Segment) -> SegmentAnalysis:
        """Analyse the next segment rule by rule; says of any segment what ``feed`` says."""
        if self._recent is not None:
            self._recent.add(segment)
        return self._examine(segment)

    def steady(self) -> tuple[Steady, Steady] | None:
        """Client and server when ordinary segments can be skipped, else None."""
        (client, server), _ = self._directions
        if self._recent is not None or any(self._diagnosis.waiting) or not (client.settled and server.settled):
            return None
        both = []
        for own, peer in self._directions:
            clear = own.flight_known and own.contiguous_end == own.next_seq and own.unacknowledged == peer.last_ack
            if not clear or own.window_scale == UNKNOWN or own.only_syn or own.duplicate_acks:
                return None
            scale = max(own.window_scale, 0)
            both.append(Steady(own.base_seq, own.next_seq, own.last_ack, own.window, scale, own.right_edge))
        return both[0], both[1]

    def skip(self, segment: Segment) -> None:
        """Go on after an ordinary segment; those of its side before it were ordinary, and were not fed."""
        own, peer = self._directions[segment.side]
        own.next_seq = own.contiguous_end = segment.seq
        _take_in_order(segment, own, peer)

    def _examine(self, segment: Segment) -> SegmentAnalysis:
        own, peer = self._directions[segment.side]
        names = self._set_bases(segment, own, peer) + _applying(PLAIN_RULES, segment, own, peer)
        duplicate_ack_number = _count_duplicate_ack(own) if "duplicate_ack" in names else None
        names += _applying(ACK_RULES, segment, own, peer)
        if acknowledges_unseen(segment, peer):
            _accept_as_seen(peer)
        if (segment.payload_bytes or segment.flags & (SYN | FIN)) and "keep_alive" not in names:
            names += _applying(RESEND_RULES, segment, own, peer)
        findings = self._diagnosis.feed(segment, own, peer, names)
        self._learn_from_handshake(segment, own, peer)
        return _conclude(segment, own, peer, names, duplicate_ack_number, findings)

    def _set_bases(self, segment: Segment, own: Direction, peer: Direction) -> tuple[str, ...]:
        """Relative numbers count from the SYN; without it, such that the first byte seen is number 1."""
        reused, self._reused = self._reused and segment.flags & (SYN | ACK) == SYN, False
        if own.base_seq == UNKNOWN:
            own.base_seq = segment.seq if segment.flags & SYN else (segment.seq - 1) % MODULUS
            own.unacknowledged = segment.seq
        elif segment.flags & (SYN | ACK) == SYN | ACK and segment.seq != own.base_seq:
            own.base_seq = segment.seq
            reused = True
        if peer.base_seq == UNKNOWN and segment.flags & ACK:
            peer.base_seq = (segment.ack - 1) % MODULUS
            peer.unacknowledged = segment.ack
        return ("reused_ports",) if reused else ()

    def _learn_from_handshake(self, segment: Segment, own: Direction, peer: Direction) -> None:
        """What a SYN, or the first ACK after it, tells of the segments that follow."""
        if segment.flags & SYN:
            own.only_syn = True
            own.settled = peer.settled = False
            _learn_window_scale(segment, own, peer)
            peer.set_right_edge()
            if not segment.options.malformed:
                own.sack_permitted = segment.options.sack_permitted
            if not segment.flags & ACK:
                self._syn_ns = segment.time_ns
            elif self._syn_ns:
                own.answer_ns = segment.time_ns - self._syn_ns
        elif segment.flags & ACK:
            own.only_syn = False
            if self._syn_ns and not self._rtt_ns:
                self._rtt_ns = segment.time_ns - self._syn_ns
                if peer.answer_ns is not None:
                    own.answer_ns = self._rtt_ns - peer.answer_ns
                own.reordering_ns = peer.reordering_ns = self._rtt_ns & UNSIGNED_64 or REORDERING_NS
            own.settled = not self._syn_ns or self._rtt_ns != 0


def _is_uneventful(segment: Segment, own: Direction, peer: Direction) -> bool:
    """Whether it is the next in order, brings data or an ACK of something new, and neither side's window is closed."""
    _, _, _, seq, ack, flags, window, payload_bytes, _, _ = segment
    if (
        seq != own.next_seq
        or flags & (SYN | ACK) != ACK
        or not (window and peer.window)
        or peer.contiguous_end - ack & HALF  # acknowledges what was not seen
    ):
        return False
    carried_bytes = payload_bytes + (flags & FIN)
    if not carried_bytes:
        return ack != own.last_ack
    end = seq + carried_bytes & MASK  # no full window, nothing acknowledged already: not the data before a FIN either
    return end != peer.right_edge and peer.last_ack - seq - (payload_bytes or carried_bytes) & HALF != 0


def _take_in_order(segment: Segment, own: Direction, peer: Direction) -> SegmentAnalysis:
    """``_conclude`` of an uneventful segment: what it is for nearly all, without a call."""
    _, time_ns, _, seq, ack, flags, window, payload_bytes, _, _ = segment
    carried_bytes = payload_bytes + (flags & FIN)
    if carried_bytes:
        own.next_seq = seq + carried_bytes & MASK
        own.next_seq_ns = time_ns
        if seq == own.contiguous_end:
            own.contiguous_end = own.next_seq
    if ack != own.last_ack:
        own.last_ack, own.duplicate_acks = ack, 0
    peer.flight_known = True
    if peer.unacknowledged - ack & HALF:
        peer.unacknowledged = ack
    scale = own.window_scale
    scaled = None if scale == UNKNOWN else window if scale == NOT_USED else window << scale
    own.window, own.last_ns, own.last_names = window, time_ns, ()
    own.right_edge = UNKNOWN if scaled is None else ack + scaled & MASK
    in_flight = None
    if payload_bytes and own.flight_known:
        in_flight = own.next_seq - own.unacknowledged & MASK
        in_flight = max(in_flight - (flags & FIN), payload_bytes) if in_flight < IMPLAUSIBLE_FLIGHT_BYTES else None
    return SegmentAnalysis(seq - own.base_seq & MASK, ack - peer.base_seq & MASK, scaled, (), None, in_flight, ())


def _applying(rules: tuple[Rule, ...], segment: Segment, own: Direction, peer: Direction) -> tuple[str, ...]:
    """Names of the rules that hold, up to and with the first that settles."""
    names: tuple[str, ...] = ()
    for rule in rules:
        if rule.holds(segment, own, peer):
            names += (rule.name,)
            if rule.settles:
                break
    return names


def _count_duplicate_ack(own: Direction) -> int:
    own.duplicate_acks = 1 if own.duplicate_acks == ACKED_UNSEEN else own.duplicate_acks + 1
    return own.duplicate_acks


def _accept_as_seen(peer: Direction) -> None:
    """A hole before an acknowledged number is said once."""
    if is_before(peer.contiguous_end, peer.next_seq):
        peer.contiguous_end = peer.next_seq
    else:
        peer.duplicate_acks = ACKED_UNSEEN


def _learn_window_scale(segment: Segment, own: Direction, peer: Direction) -> None:
    """Windows are scaled only when both SYNs offer it, RFC 7323 section 2.2; a SYN that was cut short tells nothing."""
    if segment.options.window_scale is not None:
        own.window_scale = segment.options.window_scale
    elif own.window_scale == UNKNOWN and not segment.options.malformed:
        own.window_scale = peer.window_scale = NOT_USED
    if segment.flags & ACK and peer.window_scale == NOT_USED:
        own.window_scale = NOT_USED


def _conclude(
    segment: Segment,
    own: Direction,
    peer: Direction,
    names: tuple[str, ...],
    duplicate_ack_number: int | None,
    findings: tuple[Finding, ...],
) -> SegmentAnalysis:
    """Take the segment into what its sender has sent and acknowledged, and put its analysis together."""
    _, time_ns, _, seq, ack, flags, window, payload_bytes, _, _ = segment
    if "zero_window_probe" not in names:  # a probe does not advance the numbers
        end = segment_end(segment)
        if is_before(own.next_seq, end) or not own.next_seq:
            own.next_seq, own.next_seq_ns = end, time_ns
        if seq == own.contiguous_end or not own.contiguous_end:
            own.contiguous_end = own.next_seq
    if "lost_segment" in names:
        own.flight_known = False
    if ack != own.last_ack:
        own.last_ack, own.duplicate_acks = ack, 0
    if flags & ACK:
        peer.flight_known = True
        if is_before(peer.unacknowledged, ack):
            peer.unacknowledged = ack
    own.window, own.last_ns, own.last_names = window, time_ns, names
    own.set_right_edge()
    return SegmentAnalysis(
        (seq - own.base_seq) % MODULUS,
        (ack - peer.base_seq) % MODULUS if flags & ACK else ack,
        window if flags & SYN else own.scaled(window),
        names,
        duplicate_ack_number,
        _bytes_in_flight(segment, own) if payload_bytes else None,
        findings,
    )


def _bytes_in_flight(segment: Segment, own: Direction) -> int | None:
    """From the first byte not acknowledged to the last one sent, and at least what the segment itself carries."""
    in_flight = (own.next_seq - own.unacknowledged) % MODULUS
    if not own.flight_known or in_flight >= IMPLAUSIBLE_FLIGHT_BYTES:
        return None
    if segment.flags & (SYN | FIN):  # it counts as a byte, and is none
        in_flight -= 1
    return max(in_flight, segment.payload_bytes)
