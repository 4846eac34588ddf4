"""Connections that end in a reset, or do not end."""

from collections.abc import Callable, Iterator

from inspector.calls.matching import EXIT
from inspector.explain.matters.matter import MatterRule, Reading, Severity
from inspector.explain.matters.opening import ANSWER_NS
from inspector.explain.reason import Amount, Case, Duration, Numbers
from inspector.explain.rules import resets as reasons
from inspector.explain.scene import FIN, RST, Moment
from inspector.tcp.findings import Kind
from inspector.tcp.report import Closing, Opening
from inspector.tcp.states import Known, Side

_LEAK_NS = 1_000_000_000  # a program that is told of a FIN and means to close has done so by then
_EXIT_NS = 200_000_000  # one that ends is allowed to leave the closing to the kernel
_GOODBYE_BYTES = 64
_TRIES = (Kind.RETRANSMISSION, Kind.KEEP_ALIVE, Kind.ZERO_WINDOW_PROBE)
_DOWN = (Closing.FOUR_SEGMENTS, Closing.THREE_SEGMENTS, Closing.SIMULTANEOUS)
_TOLD_OTHERWISE = (Opening.REFUSED, Opening.UNANSWERED, Opening.INCOMPLETE)

_Find = Callable[[Reading], Iterator[Case]]
_Explain = Callable[[Moment, Reading], Iterator[Case]]


def _aborted(reading: Reading) -> Moment | None:
    """The reset that ended a connection that had opened."""
    outcome = reading.outcome
    if outcome is None or outcome.closing is not Closing.RESET or outcome.opening in _TOLD_OTHERWISE:
        return None
    if reading.only is not None and len(reading.resets) < len(reading.scene.rows):
        return None  # of one direction nobody knows what was acknowledged
    return reading.reset


def reset_unread(m: Moment, _: Reading) -> Iterator[Case]:
    """Closed with bytes that were not read: its calls say so."""
    for case in reasons.reset_unread(m):
        yield case._replace(packets=(*case.packets, m.row.packet))


def reset_linger(m: Moment, _: Reading) -> Iterator[Case]:
    """SO_LINGER with a time of 0."""
    for case in reasons.reset_linger(m):
        yield case._replace(packets=(m.row.packet,))


def reset_unaccepted(m: Moment, reading: Reading) -> Iterator[Case]:
    """The listener was closed while the connection waited to be accepted."""
    own = [each for each in reading.scene.calls if each.side is Side.SERVER]
    closed = next((each for each in own if each.call.name == "close" and each.call.remote is None), None)
    accepted = any(each.call.remote is not None for each in own)
    if m.side is Side.SERVER and closed is not None and not accepted and closed.call.enter_ns <= m.row.time_ns:
        yield Case({"side": m.side}, (m.row.packet,), (closed,))


def reset_gave_up(m: Moment, _: Reading) -> Iterator[Case]:
    """After tries that nothing answered."""
    for case in reasons.reset_gives_up(m):
        first = m.scene.moment(case.packets[0])
        parameters = {**case.parameters, "peer": m.side.other, "time": Duration(m.since(first))}
        yield case._replace(parameters=parameters, packets=(*case.packets, m.row.packet))


def reset_only(m: Moment, _: Reading) -> Iterator[Case]:
    """Nothing but resets was captured."""
    if all(each.flags & RST for each in m.scene.moments()):
        yield Case({"side": m.side, "resets": len(m.scene.rows)}, (m.row.packet,), known=Known.UNKNOWN)


def reset_goodbye(m: Moment, _: Reading) -> Iterator[Case]:
    """The goodbye of TLS came when the other side had closed: nobody misses it."""
    count, peer = _lost(m), m.side.other
    last = next((each for each in m.before(peer) if each.row.payload_bytes), None)
    late = [each for each in (last, *m.after(peer)) if each is not None and each.row.payload_bytes]
    if 0 < count <= _GOODBYE_BYTES and all(_is_tls(each.row.payload) for each in late):
        yield from _after_own_fin(m, count)


def _is_tls(payload: bytes) -> bool:
    """A record of TLS that holds an alert, as it stands or encrypted: RFC 8446 section 5."""
    return payload[:1] in (b"\x15", b"\x17") and payload[1:2] == b"\x03"


def reset_late_data(m: Moment, _: Reading) -> Iterator[Case]:
    """The server had closed, and data came."""
    if m.side is Side.SERVER:
        yield from _after_own_fin(m, _lost(m))


def reset_left_early(m: Moment, _: Reading) -> Iterator[Case]:
    """The client had closed, and the server was still sending: a browser does so."""
    if m.side is Side.CLIENT:
        yield from _after_own_fin(m, _lost(m))


def _after_own_fin(m: Moment, count: int) -> Iterator[Case]:
    fin = m.scene.fins[m.side]
    if fin is not None and fin.place < m.place and count:
        last = next((each for each in m.before(m.side.other) if each.row.payload_bytes), fin)
        parameters = {"side": m.side, "peer": m.side.other, "bytes": Amount(count), "fin": Numbers((fin.row.packet,))}
        yield Case(parameters, (fin.row.packet, last.row.packet, m.row.packet), known=Known.INFERRED)


def reset_broken_off(m: Moment, _: Reading) -> Iterator[Case]:
    """The client gave up without a FIN while the server was sending; all of its own had arrived."""
    count = _lost(m)
    if m.side is Side.CLIENT and count and not _unacknowledged(m, m.side):
        parameters = {"side": m.side, "peer": m.side.other, "bytes": Amount(count)}
        yield Case(parameters, (m.row.packet,), known=Known.INFERRED)


def reset_lost(m: Moment, _: Reading) -> Iterator[Case]:
    """Data was under way when the reset came; why, nothing tells."""
    count = _lost(m) + _unacknowledged(m, m.side)
    if count:
        known = Known.UNKNOWN
        yield Case({"side": m.side, "peer": m.side.other, "bytes": Amount(count)}, (m.row.packet,), known=known)


def reset_unanswered(m: Moment, _: Reading) -> Iterator[Case]:
    """The server resets instead of answering what came last: it may have closed with that unread."""
    asked = next((each for each in m.before() if each.row.payload_bytes and each.report is not None), None)
    if m.side is Side.SERVER and asked is not None and asked.side is Side.CLIENT:
        parameters = {"side": m.side, "peer": m.side.other, "bytes": Amount(asked.row.payload_bytes)}
        yield Case(parameters, (asked.row.packet, m.row.packet), known=Known.UNKNOWN)


def reset_quiet(m: Moment, _: Reading) -> Iterator[Case]:
    """Everything had been acknowledged: a short way to close."""
    last = next(m.before(), m)
    parameters = {"side": m.side, "peer": m.side.other, "time": Duration(m.since(last))}
    yield Case(parameters, (m.row.packet,), known=Known.UNKNOWN)


def _lost(m: Moment) -> int:
    """Bytes that the other side sent to the resetting one in vain, those among them that crossed the reset."""
    crossed = [each for each in m.after(m.side.other) if not each.is_resent]
    return _unacknowledged(m, m.side.other) + sum(each.row.payload_bytes for each in crossed)


def _unacknowledged(m: Moment, sender: Side) -> int:
    """Bytes of a side that the other had not acknowledged up to this reset, which may do so itself."""
    sent = [_end_of(each) for each in m.before(sender) if each.report is not None and each.row.payload_bytes]
    answers = [each for each in (m, *m.before(sender.other)) if each.side is not sender and each.report is not None]
    acked = max((each.report.relative_ack for each in answers if each.report is not None), default=0)
    return max(0, max(sent, default=0) - acked) if acked else sum(each.row.payload_bytes for each in m.before(sender))


def _end_of(m: Moment) -> int:
    return m.row.payload_bytes + (m.report.relative_seq if m.report is not None else 0)


# The first of these that holds of a reset is why.
_WHY: tuple[tuple[str, Severity, str, _Explain], ...] = (
    ("reset_unread", Severity.FAILED, "reset", reset_unread),
    ("reset_linger", Severity.FAILED, "reset", reset_linger),
    ("reset_unaccepted", Severity.FAILED, "accept-queue", reset_unaccepted),
    ("reset_gave_up", Severity.FAILED, "keep-alive", reset_gave_up),
    ("reset_only", Severity.NOTE, "reset", reset_only),
    ("reset_goodbye", Severity.NOTE, "tls", reset_goodbye),
    ("reset_late_data", Severity.FAILED, "reset", reset_late_data),
    ("reset_left_early", Severity.NOTE, "reset", reset_left_early),
    ("reset_broken_off", Severity.NOTE, "reset", reset_broken_off),
    ("reset_lost", Severity.FAILED, "reset", reset_lost),
    ("reset_unanswered", Severity.FAILED, "reset", reset_unanswered),
    ("reset_quiet", Severity.NOTE, "reset", reset_quiet),
)


def _because(place: int) -> _Find:
    """Finds the reason at a place of the table, where none before it holds."""

    def find(reading: Reading) -> Iterator[Case]:
        m = _aborted(reading)
        if m is not None and not any(True for *_, before in _WHY[:place] for _ in before(m, reading)):
            yield from _WHY[place][-1](m, reading)

    return find


def reset_after_teardown(reading: Reading) -> Iterator[Case]:
    """Resets once both sides had closed."""
    if reading.outcome is not None and reading.outcome.closing in _DOWN and reading.resets:
        yield _case_of(reading.resets)


def reset_ignored(reading: Reading) -> Iterator[Case]:
    """Resets after which both sides go on: they were not their own, or were not believed."""
    if ignored := [each for each in reading.resets if reading.is_ignored(each)]:
        yield _case_of(ignored)._replace(known=Known.INFERRED)


def _case_of(resets: list[Moment]) -> Case:
    return Case({"side": resets[0].side, "resets": len(resets)}, tuple(each.row.packet for each in resets))


def _alone(reading: Reading) -> Moment | None:
    """The FIN of a connection that only one side closed."""
    closing = reading.outcome.closing if reading.outcome is not None else None
    if closing is not Closing.HALF_CLOSED or reading.conversation.client == reading.conversation.server:
        return None
    return next((each for each in reading.scene.fins if each is not None), None)


def _sent_after(fin: Moment) -> int:
    """Bytes that the other side sent after a FIN."""
    return sum(each.row.payload_bytes for each in fin.after(fin.side.other) if not each.is_resent)


def close_wait(reading: Reading) -> Iterator[Case]:
    """A FIN that is acknowledged and never answered by one."""
    fin = _alone(reading)
    if fin is not None and fin.covered_by and not _sent_after(fin) and reading.left_ns(fin) >= _LEAK_NS:
        parameters = {"side": fin.side.other, "peer": fin.side, "time": Duration(reading.left_ns(fin))}
        yield Case(parameters, (fin.row.packet, fin.covered_by.row.packet), known=Known.INFERRED)


def half_closed_at_end(reading: Reading) -> Iterator[Case]:
    """The same, but the capture ends too soon to tell."""
    fin = _alone(reading)
    if fin is not None and reading.left_ns(fin) < _LEAK_NS and not _sent_after(fin):
        parameters = {"side": fin.side, "peer": fin.side.other, "time": Duration(reading.left_ns(fin))}
        yield Case(parameters, (fin.row.packet,), known=Known.UNKNOWN)


def half_closed_in_use(reading: Reading) -> Iterator[Case]:
    """One side closed, and the other sends on to the end."""
    fin = _alone(reading)
    if fin is not None and (count := _sent_after(fin)):
        parameters = {"side": fin.side, "peer": fin.side.other, "bytes": Amount(count)}
        yield Case(parameters, (fin.row.packet,), known=Known.UNKNOWN)


def fin_unanswered(reading: Reading) -> Iterator[Case]:
    """A FIN that nothing acknowledges."""
    fin = _alone(reading)
    told = any(True for _ in silent(reading))
    if fin is not None and not fin.covered_by and reading.left_ns(fin) >= _LEAK_NS and not told:
        tries = [fin, *(each for each in fin.after(fin.side) if each.flags & FIN)]
        parameters = {"side": fin.side, "peer": fin.side.other, "tries": len(tries)}
        packets = tuple(each.row.packet for each in tries)
        yield Case({**parameters, "time": Duration(reading.left_ns(fin))}, packets, known=Known.UNKNOWN)


def close_by_exit(reading: Reading) -> Iterator[Case]:
    """A program that was told of the end and never closed: its process ended much later."""
    for side, fin in zip(Side, reading.scene.fins, strict=True):
        theirs = reading.scene.fins[side.other]
        if fin is None or theirs is None or theirs.place > fin.place or fin.since(theirs) < _EXIT_NS:
            continue
        for each in fin.calls(side, EXIT):
            parameters = {"side": side, "peer": side.other, "time": Duration(fin.since(theirs))}
            yield Case(parameters, (theirs.row.packet, fin.row.packet), (each,), Known.INFERRED)


def silent(reading: Reading) -> Iterator[Case]:
    """Segment after segment of one side that nothing answers, to the end."""
    outcome, last = reading.outcome, reading.scene.rows[-1]
    if outcome is None or outcome.closing in (*_DOWN, Closing.RESET, Closing.NEVER_OPENED) or last.report is None:
        return
    tail: list[Moment] = []
    for each in reading.scene.moment(last.packet).before():
        if each.side is not last.side:
            break
        tail.append(each)
    tail.insert(0, reading.scene.moment(last.packet))
    tries = [each for each in reversed(tail) if any(each.finding(kind) for kind in _TRIES) and not each.flags & FIN]
    if len(tries) > 1:
        time = Duration(reading.left_ns(tail[-1]))
        parameters = {"side": tries[0].side, "peer": tries[0].side.other, "tries": len(tries), "time": time}
        yield Case(parameters, tuple(each.row.packet for each in tries), known=Known.UNKNOWN)


def unfinished(reading: Reading) -> Iterator[Case]:
    """Both FINs, and an ACK that is missing."""
    if reading.outcome is None or reading.outcome.closing is not Closing.UNFINISHED:
        return
    fins = [each for each in reading.scene.fins if each is not None]
    open_fins = [each for each in fins if each.covered_by is None]
    if open_fins and reading.left_ns(open_fins[-1]) >= ANSWER_NS:
        yield Case({"side": open_fins[-1].side}, (open_fins[-1].row.packet,), known=Known.UNKNOWN)


RULES = (
    *(MatterRule(name, severity, topic, _because(at)) for at, (name, severity, topic, _) in enumerate(_WHY)),
    MatterRule("silent", Severity.FAILED, "rto", silent, to_the_end=True),
    MatterRule("close_wait", Severity.OPEN, "close-wait", close_wait, to_the_end=True),
    MatterRule("close_by_exit", Severity.OPEN, "close-wait", close_by_exit),
    MatterRule("fin_unanswered", Severity.OPEN, "teardown", fin_unanswered, to_the_end=True),
    MatterRule("half_closed_at_end", Severity.NOTE, "half-close", half_closed_at_end, to_the_end=True),
    MatterRule("half_closed_in_use", Severity.NOTE, "half-close", half_closed_in_use, to_the_end=True),
    MatterRule("unfinished", Severity.NOTE, "teardown", unfinished, to_the_end=True),
    MatterRule("reset_after_teardown", Severity.NOTE, "reset", reset_after_teardown),
    MatterRule("reset_ignored", Severity.NOTE, "challenge-ack", reset_ignored),
)
