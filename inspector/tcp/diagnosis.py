"""What really happened where a segment is not simply the next: the ``findings`` of each, with their evidence.

Sources besides those of ``resending``: RFC 2883 (duplicate SACK), 3522 (Eifel), 5961 (challenge ACK).
"""

from collections import deque
from typing import NamedTuple

from inspector.tcp.findings import Cause, Finding, Kind
from inspector.tcp.past import Past
from inspector.tcp.resending import (
    DIRECTLY_NS,
    Earlier,
    cause_of,
    copied,
    earlier,
    overtaken,
    round_trip_ns,
    since_answered_ns,
)
from inspector.tcp.segment import Segment
from inspector.tcp.seqnum import seq_diff
from inspector.tcp.states import Known, Side
from inspector.tcp.wireshark_rules import ACK, FIN, RST, SYN, Direction, is_after, is_before, segment_end

_RESENT_KEPT = 64
_DOUBTS_KEPT = 64
_LATE_KEPT = 64
_PROOFS = 8  # segments of the peer after a retransmission: what proves it unneeded comes at once

# Wireshark's names that mean what they say.
_SAME_MEANING = {
    "reused_ports": Kind.REUSED_PORTS,
    "zero_window": Kind.ZERO_WINDOW,
    "zero_window_probe": Kind.ZERO_WINDOW_PROBE,
    "window_update": Kind.WINDOW_UPDATE,
    "window_full": Kind.WINDOW_FULL,
    "lost_segment": Kind.GAP,
}
_REPEATS = frozenset(("duplicate_ack", "keep_alive_ack", "zero_window_probe_ack", "keep_alive"))
_ANSWERS = {
    Kind.KEEP_ALIVE: Kind.KEEP_ALIVE_ANSWER,
    Kind.ZERO_WINDOW_PROBE: Kind.ZERO_WINDOW_PROBE_ANSWER,
}


class _Doubt:
    """A retransmission that may turn out not to have been needed."""

    __slots__ = ("chances", "is_first", "original", "segment")

    def __init__(self, segment: Segment, original: Segment | None, is_first: bool) -> None:
        self.segment = segment  # whole, as the original
        self.original = original
        self.is_first = is_first  # nothing before it is unacknowledged
        self.chances = _PROOFS


class _Question(NamedTuple):
    """The latest segment, and what an ACK is that answers it."""

    segment: Segment
    answer: Kind


class _Recovery(NamedTuple):
    cause: Cause
    end: int  # of what had been sent when it began


class Diagnosis:
    """Of one connection: feed it each segment with what both sides had sent before it."""

    __slots__ = ("_doubts", "_overtook", "_past", "_question", "_recoveries", "_resent", "waiting")

    def __init__(self, past: Past) -> None:
        self._past = past
        self._doubts: list[_Doubt] = []
        self._overtook: dict[int, int] = {}  # by packet that came late, who overtook it
        self._question: _Question | None = None
        self._recoveries: list[_Recovery | None] = [None, None]  # by side
        self._resent: deque[int] = deque(maxlen=_RESENT_KEPT)
        self.waiting = (False, False)  # by side: its next segment, whatever it is, may tell of an earlier one

    def feed(self, segment: Segment, own: Direction, peer: Direction, names: tuple[str, ...]) -> tuple[Finding, ...]:
        """What this segment shows; ``names`` are Wireshark's for it."""
        meant = [_SAME_MEANING[name] for name in names if name in _SAME_MEANING]
        if own.only_syn:  # the window before was that of a SYN, which is never scaled: no buffer has grown since
            meant = [kind for kind in meant if kind is not Kind.WINDOW_UPDATE]
        found = [Finding(kind, segment.packet) for kind in meant]
        if "ack_lost_segment" in names:
            found.append(Finding(Kind.CAPTURE_LOSS, segment.packet, known=Known.INFERRED))
        if self._doubts:
            found += self._proofs(segment)
        if _repeats_bytes(segment, own, peer, names):
            found += self._again(segment, own, peer)
        elif not segment.payload_bytes and not segment.flags & (SYN | FIN | RST):
            found += self._of_pure_ack(segment, peer, names)
        elif "keep_alive" in names:
            found.append(_probe(segment, peer))
        self._question = _question(segment, peer, {finding.kind for finding in found})
        asked = self._question is not None
        by = {doubt.segment.side for doubt in self._doubts}
        self.waiting = asked or Side.SERVER in by, asked or Side.CLIENT in by
        return tuple(found)

    def _again(self, segment: Segment, own: Direction, peer: Direction) -> list[Finding]:
        packet, rtt_ns = segment.packet, round_trip_ns(own, peer)
        whole, found = self._past.whole(segment), earlier(segment, self._past, self._overtook)
        original = None if found.original is None else self._past.whole(found.original)
        if original is not None:
            if (known := copied(whole, original, rtt_ns)) is not None:
                self._doubts = [each for each in self._doubts if each.segment.packet != original.packet]
                return [Finding(Kind.DUPLICATED, packet, (original.packet,), known=known)]
            if segment.flags & original.flags & SYN and segment.flags & ACK and not original.flags & ACK:
                theirs = [each.packet for each in found.answers if each.flags & SYN]
                return [Finding(Kind.SIMULTANEOUS_OPEN, packet, (original.packet, *theirs[:1]))]
        elif found.beyond is not None:
            known = overtaken(whole, self._past.whole(found.beyond), rtt_ns)
            if known is not None:
                self._remember_late(packet, found.beyond.packet)
                return [Finding(Kind.REORDERED, packet, (found.beyond.packet,), known=known)]
        return self._sent_again(whole, original, found, own, peer)

    def _remember_late(self, packet: int, overtaken_by: int) -> None:
        self._overtook[packet] = overtaken_by
        if len(self._overtook) > _LATE_KEPT:
            del self._overtook[next(iter(self._overtook))]

    def _sent_again(
        self, segment: Segment, original: Segment | None, found: Earlier, own: Direction, peer: Direction
    ) -> list[Finding]:
        cause, answered = self._cause(segment, found, own, peer)
        self._resent.append(segment.packet)
        evidence = sorted({each.packet for each in (original or found.beyond, answered) if each is not None})
        known = Known.SEEN if original is not None else Known.INFERRED
        findings = [Finding(Kind.RETRANSMISSION, segment.packet, tuple(evidence), cause, known)]
        if segment.payload_bytes and peer.last_ack and not is_after(segment_end(segment), peer.last_ack):
            end = segment_end(segment)
            acks = [each.packet for each in found.answers if each.flags & ACK and not is_before(each.ack, end)]
            findings.append(Finding(Kind.SPURIOUS_RETRANSMISSION, segment.packet, tuple(acks[-1:])))
        elif len(self._doubts) < _DOUBTS_KEPT:
            self._doubts.append(_Doubt(segment, original, segment.seq == peer.last_ack))
        return findings

    def _cause(self, segment: Segment, found: Earlier, own: Direction, peer: Direction) -> tuple[Cause, Segment | None]:
        """What follows the first retransmission, as acknowledgments come, makes up for the same loss."""
        recovery = self._recoveries[segment.side]
        answered = next(
            (each for each in found.answers if each.flags & ACK and not is_after(each.ack, segment.seq)), None
        )
        if (
            recovery is not None
            and is_before(segment.seq, recovery.end)
            and answered is not None
            and since_answered_ns(answered, segment, own) < DIRECTLY_NS
        ):
            return recovery.cause, answered
        resent_before = found.original is not None and found.original.packet in self._resent
        cause, answered = cause_of(segment, found, own, peer, self._past, resent_before)
        if cause in (Cause.TIMEOUT, Cause.FAST):
            self._recoveries[segment.side] = _Recovery(cause, own.next_seq)
        return cause, answered

    def _of_pure_ack(self, segment: Segment, peer: Direction, names: tuple[str, ...]) -> list[Finding]:
        packet, question = segment.packet, self._question
        repeats = not _REPEATS.isdisjoint(names)
        last = (
            next((each for each in self._past.before(packet) if each.side is segment.side), None) if repeats else None
        )
        if last is not None and self._is_copied_ack(segment, last):
            return [Finding(Kind.DUPLICATED, packet, (last.packet,))]
        if question is not None and _answers(segment, question):
            return [Finding(question.answer, packet, (question.segment.packet,), known=Known.INFERRED)]
        if "keep_alive" in names:
            late = last and overtaken(self._past.whole(segment), self._past.whole(last), 0)
            return [Finding(Kind.REORDERED, packet, (last.packet,))] if last and late else [_probe(segment, peer)]
        return [Finding(Kind.DUPLICATE_ACK, packet)] if repeats else []

    def _is_copied_ack(self, segment: Segment, last: Segment) -> bool:
        """Only the IP identification tells: a receiver does say the same twice."""
        if (segment.seq, segment.ack, segment.flags) != (last.seq, last.ack, last.flags) or last.payload_bytes:
            return False
        ours, theirs = (self._past.whole(each).identification for each in (segment, last))
        return bool(ours) and ours == theirs

    def _proofs(self, segment: Segment) -> list[Finding]:
        """The retransmissions that this segment proves not to have been needed."""
        found = []
        for doubt in [each for each in self._doubts if each.segment.side is not segment.side]:
            doubt.chances -= 1
            proven = _proves_unneeded(self._past.whole(segment), doubt)
            if proven:
                about = () if doubt.original is None else (doubt.original.packet,)
                evidence = (*about, segment.packet)
                kind, packet = Kind.SPURIOUS_RETRANSMISSION, doubt.segment.packet
                found.append(Finding(kind, packet, evidence, known=Known.INFERRED))
            if proven or not doubt.chances:
                self._doubts.remove(doubt)
        return found


def _repeats_bytes(segment: Segment, own: Direction, peer: Direction, names: tuple[str, ...]) -> bool:
    """Whether it carries anything that starts below what its sender had sent; a keep-alive's byte was acknowledged."""
    end = segment_end(segment)
    if end == segment.seq or segment.flags & RST or not own.next_seq or "zero_window_probe" in names:
        return False
    acknowledged = peer.last_ack != 0 and not is_before(peer.last_ack, end)
    return is_before(segment.seq, own.next_seq) and not ("keep_alive" in names and acknowledged)


def _probe(segment: Segment, peer: Direction) -> Finding:
    """On Linux a keep-alive and a zero-window probe are the same segment: the peer's latest window tells."""
    return Finding(Kind.KEEP_ALIVE if peer.window else Kind.ZERO_WINDOW_PROBE, segment.packet)


def _question(segment: Segment, peer: Direction, kinds: set[Kind]) -> _Question | None:
    for probe, answer in _ANSWERS.items():
        if probe in kinds:
            return _Question(segment, answer)
    if Kind.SIMULTANEOUS_OPEN in kinds or not _may_be_challenged(segment, peer):
        return None
    return _Question(segment, Kind.CHALLENGE_ACK)


def _may_be_challenged(segment: Segment, peer: Direction) -> bool:
    """A SYN, a SYN,ACK that was answered before, a reset that does not have exactly the expected number: RFC 5961
    sections 3 and 4."""
    if segment.flags & RST:
        return peer.last_ack not in (0, segment.seq)
    if segment.flags & (SYN | ACK) == SYN | ACK:
        return peer.last_ack != 0 and not is_before(peer.last_ack, segment_end(segment))
    return segment.flags & SYN != 0


def _answers(ack: Segment, question: _Question) -> bool:
    """An ACK of the peer does; but to a SYN only one that does not acknowledge it."""
    asked = question.segment
    if ack.side is asked.side:
        return False
    return asked.flags & (SYN | ACK) != SYN or ack.ack != segment_end(asked)


def _proves_unneeded(ack: Segment, doubt: _Doubt) -> bool:
    """By a duplicate SACK of it, or because what is acknowledged echoes a timestamp from before it."""
    if not ack.flags & ACK:
        return False
    start, end = doubt.segment.seq, segment_end(doubt.segment)
    blocks = ack.options.sack_blocks
    if blocks:
        left, right = blocks[0]
        repeated = not is_after(right, ack.ack) or any(
            not is_before(left, outer[0]) and not is_after(right, outer[1]) for outer in blocks[1:2]
        )
        if repeated and is_before(left, end) and is_before(start, right):
            return True
    sent, echoed = doubt.segment.options.timestamp, ack.options.timestamp
    if sent is None or echoed is None or not doubt.is_first or is_before(ack.ack, end):
        return False
    return seq_diff(echoed[1], sent[0]) > 0
