"""Why a segment came again, out of order, or not at all; windows, probes and keep-alives."""

from collections.abc import Callable, Iterator
from itertools import islice, pairwise

from inspector.explain.reason import Amount, Case, Duration, Part, Rule
from inspector.explain.scene import ACK, RST, SYN, Moment
from inspector.tcp.findings import Cause, Finding, Kind
from inspector.tcp.segment import Flag
from inspector.tcp.seqnum import seq_diff
from inspector.tcp.states import Known

_TOLD_OF_SYNS = (Cause.ANSWER_TO_SYN, Cause.FAST_OPEN_REFUSED)
_TRIES_TOLD = 7
_DOUBLED = 1.6  # of the wait before, and more: what is less is no doubling
_LOOKED_AT = 64  # segments before one, at the most
_CWR, _ECE = int(Flag.CWR), int(Flag.ECE)


def _first(m: Moment, finding: Finding) -> Moment | None:
    """The first packet of the same sender in the evidence."""
    own = (m.scene.moment(packet) for packet in finding.evidence if packet < m.row.packet)
    return next((each for each in own if each.side is m.side), None)


def _resent(cause: Cause) -> Callable[[Moment], Iterator[Case]]:
    def find(m: Moment) -> Iterator[Case]:
        finding = m.finding(Kind.RETRANSMISSION, cause)
        if finding is None or (m.flags & SYN and cause not in _TOLD_OF_SYNS):
            return
        first = _first(m, finding)
        if first is not None and finding.known is Known.SEEN:
            parameters = {"side": m.side, "peer": m.side.other, "first": first.row.packet}
            yield Case(parameters | {"time": Duration(m.since(first))}, finding.evidence, known=Known.INFERRED)

    return find


def _about_first(kind: Kind) -> Callable[[Moment], Iterator[Case]]:
    """Rules whose sentence names the first packet of the evidence."""

    def find(m: Moment) -> Iterator[Case]:
        finding = m.finding(kind)
        if finding is not None and finding.evidence:
            parameters = {"side": m.side, "peer": m.side.other, "first": finding.evidence[0]}
            yield Case(parameters, finding.evidence, known=finding.known)

    return find


def _plain(kind: Kind) -> Callable[[Moment], Iterator[Case]]:
    def find(m: Moment) -> Iterator[Case]:
        finding = m.finding(kind)
        if finding is not None:
            yield Case({"side": m.side, "peer": m.side.other}, finding.evidence, known=finding.known)

    return find


def first_copy_not_captured(m: Moment) -> Iterator[Case]:
    """A retransmission of what the capture never saw."""
    finding = m.finding(Kind.RETRANSMISSION)
    beyond = _first(m, finding) if finding is not None else None
    if finding is not None and finding.known is not Known.SEEN and beyond is not None:
        parameters = {"side": m.side, "packet": beyond.row.packet}
        yield Case(parameters, finding.evidence, known=Known.INFERRED)


def backoff(m: Moment) -> Iterator[Case]:
    """The wait doubles with each try."""
    tries = _tries(m)
    if len(tries) > 2 and not _begins_alike(tries) and _wait(tries, 0) > _DOUBLED * _wait(tries, 1):
        yield _waits(tries)


def backoff_of_syns(m: Moment) -> Iterator[Case]:
    """The waits for the first SYNs are alike, and double later: tcp_syn_linear_timeouts."""
    tries = _tries(m)
    if len(tries) > 2 and _begins_alike(tries):
        yield _waits(tries)


def _tries(m: Moment) -> list[Moment]:
    """What its timer sent again, the latest first, itself and the first copy included."""
    finding = m.finding(Kind.RETRANSMISSION)
    if finding is None or finding.cause not in (Cause.TIMEOUT, Cause.TIMER, Cause.TAIL_LOSS_PROBE):
        return []
    tries = [m]
    for each in islice(m.before(m.side), _LOOKED_AT):
        if each.is_pure_ack and not m.is_pure_ack:
            continue
        if each.report is None or each.segment.seq != m.segment.seq:
            break
        tries.append(each)
    return tries


def _wait(tries: list[Moment], at: int) -> int:
    return tries[at].since(tries[at + 1])


def _begins_alike(tries: list[Moment]) -> bool:
    """Whether it is a SYN whose first two waits did not double."""
    return tries[0].has(SYN, ACK) and _wait(tries, -3) < _DOUBLED * _wait(tries, -2)


def _waits(tries: list[Moment]) -> Case:
    told = tries[:_TRIES_TOLD]
    waits = tuple(Duration(later.since(earlier)) for later, earlier in pairwise(told))
    parameters = {"tries": len(tries), "waits": tuple(reversed(waits))}
    return Case(parameters, tuple(each.row.packet for each in reversed(told[1:])))


def duplicate_ack(m: Moment) -> Iterator[Case]:
    """The same number once more: something beyond it has come."""
    if m.finding(Kind.DUPLICATE_ACK) and m.report is not None:
        number = m.report.duplicate_ack_number or 1
        yield Case({"side": m.side, "ack": m.report.relative_ack, "number": number})


def sack(m: Moment) -> Iterator[Case]:
    """Which bytes beyond the hole have come."""
    blocks = m.segment.options.sack_blocks if m.report is not None else ()
    if m.report is None or not blocks or not m.flags & ACK or seq_diff(m.segment.ack, blocks[0][0]) < 0:
        return
    left, right = (m.report.relative_ack + seq_diff(m.segment.ack, edge) for edge in blocks[0])
    yield Case({"side": m.side, "left": left, "right": right, "missing": m.report.relative_ack, "before": left})


def duplicate_sack(m: Moment) -> Iterator[Case]:
    """A block below the ACK: it had come twice, RFC 2883."""
    blocks = m.segment.options.sack_blocks if m.report is not None else ()
    if m.report is not None and blocks and m.flags & ACK and seq_diff(blocks[0][1], m.segment.ack) >= 0:
        left, right = (m.report.relative_ack + seq_diff(m.segment.ack, edge) for edge in blocks[0])
        yield Case({"side": m.side, "left": left, "right": right})


def keep_alive(m: Moment) -> Iterator[Case]:
    """The window of the other side was open, so it is no zero-window probe."""
    if m.last_peer is not None:
        yield from _plain(Kind.KEEP_ALIVE)(m)


def keep_alive_or_window_probe(m: Moment) -> Iterator[Case]:
    """Nothing of the other side was captured, so its window is not known."""
    if m.last_peer is None:
        for case in _plain(Kind.KEEP_ALIVE)(m):
            yield case._replace(known=Known.UNKNOWN)


def zero_window(m: Moment) -> Iterator[Case]:
    """The receive buffer is full."""
    if m.finding(Kind.ZERO_WINDOW):
        yield Case({"side": m.side, "peer": m.side.other})


def zero_window_over(m: Moment) -> Iterator[Case]:
    """How long the sender had to wait."""
    last = m.last_own
    if m.report is None or last is None or last.report is None or m.flags & (SYN | RST):
        return
    if m.segment.window and not last.segment.window and not last.flags & (SYN | RST):
        first = last
        for each in last.before(m.side):
            if each.report is None or each.segment.window:
                break
            first = each
        parameters = {"side": m.side, "peer": m.side.other, "time": Duration(m.since(first)), "first": first.row.packet}
        yield Case(parameters, (first.row.packet,))


def window_update(m: Moment) -> Iterator[Case]:
    """There is room again."""
    window = m.report.scaled_window if m.report is not None else None
    tells = m.finding(Kind.WINDOW_UPDATE) and not m.finding(Kind.KEEP_ALIVE_ANSWER) and not m.scene.is_itself
    if tells and window is not None and window > _window_before(m):
        yield Case({"side": m.side, "window": Amount(window)}, known=Known.INFERRED)


def _window_before(m: Moment) -> int:
    last = m.last_own
    return last.report.scaled_window or 0 if last is not None and last.report is not None else 0


def window_full(m: Moment) -> Iterator[Case]:
    """The sender has used what it may."""
    if m.finding(Kind.WINDOW_FULL) and m.report is not None:
        yield Case({"side": m.side, "peer": m.side.other, "count": Amount(m.report.bytes_in_flight or 0)})


def window(m: Moment) -> Iterator[Case]:
    """What the field means once it is multiplied."""
    report = m.report
    if report is not None and report.scaled_window not in (None, report.segment.window) and not m.flags & (SYN | RST):
        parameters = {"side": m.side, "window": report.segment.window, "scaled": Amount(report.scaled_window or 0)}
        own, theirs = m.scene.syns[m.side], m.scene.syns[m.side.other]
        agreed = theirs is not None or (own is not None and own.flags & ACK)  # a SYN,ACK has it only if the SYN had
        yield Case(parameters, known=Known.SEEN if agreed else Known.INFERRED)


def window_unknown(m: Moment) -> Iterator[Case]:
    """Without both SYNs nobody knows the factor."""
    if m.report is not None and m.report.scaled_window is None and not m.flags & (SYN | RST):
        yield Case({"side": m.side, "window": m.segment.window}, known=Known.UNKNOWN)


def congestion_echo(m: Moment) -> Iterator[Case]:
    """ECE outside the handshake: a router marked a packet."""
    if m.has(_ECE | ACK, SYN) and m.report is not None:
        yield Case({"side": m.side, "peer": m.side.other}, known=Known.INFERRED)


def congestion_reduced(m: Moment) -> Iterator[Case]:
    """CWR: it has slowed down."""
    if m.has(_CWR, SYN):
        yield Case({"side": m.side})


_CAUSES = {
    Cause.TIMEOUT: ("rto", "RFC 6298 §5"),
    Cause.TAIL_LOSS_PROBE: ("rto", "RFC 8985 §7"),
    Cause.TIMER: ("rto", "RFC 6298 §5"),
    Cause.FAST: ("fast-retransmit", "RFC 5681 §3.2"),
    Cause.ANSWER_TO_SYN: ("handshake", "RFC 9293 §3.8.1"),
    Cause.FAST_OPEN_REFUSED: ("fast-open", "RFC 7413 §3"),
    Cause.UNKNOWN: ("rto", "RFC 9293 §3.8.1"),
}

RULES = (
    *(Rule(f"resent_{cause}", Part.WHY, *where, _resent(cause)) for cause, where in _CAUSES.items()),
    Rule("backoff", Part.WHY, "rto", "RFC 6298 §5.5", backoff),
    Rule("backoff_of_syns", Part.WHY, "rto", "Documentation/networking/ip-sysctl.rst", backoff_of_syns),
    Rule("first_copy_not_captured", Part.WHY, "rto", "RFC 9293 §3.8.1", first_copy_not_captured),
    Rule("spurious", Part.WHY, "rto", "RFC 2883 §4", _about_first(Kind.SPURIOUS_RETRANSMISSION)),
    Rule("duplicated", Part.WHAT, "loopback", "RFC 9293 §3.4", _about_first(Kind.DUPLICATED)),
    Rule("reordered", Part.WHAT, "fast-retransmit", "RFC 9293 §3.10.7.4", _about_first(Kind.REORDERED)),
    Rule("gap", Part.WHAT, "fast-retransmit", "RFC 9293 §3.10.7.4", _plain(Kind.GAP)),
    Rule("capture_loss", Part.WHAT, "cumulative-ack", "RFC 9293 §3.10.7.4", _plain(Kind.CAPTURE_LOSS)),
    Rule("duplicate_ack", Part.WHY, "fast-retransmit", "RFC 5681 §3.2", duplicate_ack),
    Rule("sack", Part.NUMBERS, "fast-retransmit", "RFC 2018 §3", sack),
    Rule("duplicate_sack", Part.NUMBERS, "fast-retransmit", "RFC 2883 §4", duplicate_sack),
    Rule("challenge_ack", Part.WHY, "challenge-ack", "RFC 5961 §3.2", _about_first(Kind.CHALLENGE_ACK)),
    Rule("keep_alive", Part.WHAT, "keep-alive", "RFC 9293 §3.8.4", keep_alive),
    Rule("keep_alive_or_window_probe", Part.WHAT, "keep-alive", "RFC 9293 §3.8.6.1", keep_alive_or_window_probe),
    Rule("keep_alive_answer", Part.WHAT, "keep-alive", "RFC 9293 §3.8.4", _about_first(Kind.KEEP_ALIVE_ANSWER)),
    Rule("zero_window_probe", Part.WHAT, "zero-window", "RFC 9293 §3.8.6.1", _plain(Kind.ZERO_WINDOW_PROBE)),
    Rule(
        "zero_window_probe_answer",
        Part.WHAT,
        "zero-window",
        "RFC 9293 §3.8.6.1",
        _about_first(Kind.ZERO_WINDOW_PROBE_ANSWER),
    ),
    Rule("zero_window", Part.WHY, "zero-window", "RFC 9293 §3.8.6", zero_window),
    Rule("window_update", Part.WHAT, "zero-window", "RFC 9293 §3.8.6", window_update),
    Rule("zero_window_over", Part.CHANGES, "zero-window", "RFC 9293 §3.8.6", zero_window_over),
    Rule("window_full", Part.NEXT, "sliding-window", "RFC 9293 §3.8.6", window_full),
    Rule("window", Part.NUMBERS, "window-scale", "RFC 7323 §2.2", window),
    Rule("window_unknown", Part.NUMBERS, "window-scale", "RFC 7323 §2.2", window_unknown),
    Rule("congestion_echo", Part.WHY, "ecn", "RFC 3168 §6.1.3", congestion_echo),
    Rule("congestion_reduced", Part.WHY, "ecn", "RFC 3168 §6.1.2", congestion_reduced),
)
