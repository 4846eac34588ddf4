"""Why a reset was sent, and what the programs are told of it."""

from collections.abc import Iterator
from itertools import islice

from inspector.calls.matching import EXIT, SidedCall
from inspector.explain.reason import Amount, Case, Part, Rule
from inspector.explain.rules.closing import closing_calls, fin_exit
from inspector.explain.scene import ACK, RST, SYN, Moment
from inspector.tcp.findings import Kind
from inspector.tcp.states import Known

_AFTER_RESET = ("ECONNRESET", "EPIPE")
_LOOKED_AT = 32  # packets before one, at the most
_LINGER_OFF = "SO_LINGER=0 s"


def is_abort(m: Moment) -> bool:
    """A reset of a connection that had opened."""
    return m.has(RST, SYN) and not any(each.has(SYN, ACK) and m.flags & ACK for each in m.covers)


def reset(m: Moment) -> Iterator[Case]:
    """The connection is given up, at once, in both directions."""
    if is_abort(m):
        yield Case({"side": m.side, "peer": m.side.other})


def reset_unread(m: Moment) -> Iterator[Case]:
    """Closed with bytes in the receive buffer."""
    if is_abort(m) and m.knows_reads(m.side):
        unread = _unread(m)
        closing = tuple(each for each in (*closing_calls(m), *m.calls(m.side, EXIT)))
        if unread > 0 and closing:
            packets = tuple(each.row.packet for each in m.before(m.side.other) if each.row.payload_bytes)[:1]
            yield Case({"side": m.side, "count": Amount(unread)}, packets, closing[:1])


def _unread(m: Moment) -> int:
    """Bytes that had come to its sender and that no receive had returned."""
    came = max(
        (
            each.report.relative_seq - 1 + each.row.payload_bytes
            for each in m.before(m.side.other)
            if each.report is not None and each.row.payload_bytes
        ),
        default=0,
    )
    read = max(
        (each.offsets[1] for each in m.scene.calls if each.side is m.side and _has_read(each, m) and each.offsets),
        default=0,
    )
    return came - read


def _has_read(each: SidedCall, m: Moment) -> bool:
    call = each.call
    return call.name.startswith(("recv", "read")) and call.exit_ns is not None and call.exit_ns <= m.row.time_ns


def reset_linger(m: Moment) -> Iterator[Case]:
    """SO_LINGER with a time of 0."""
    if is_abort(m):
        for each in m.scene.calls:
            if each.side is m.side and each.call.name == "setsockopt" and each.call.detail == _LINGER_OFF:
                yield Case({"side": m.side, "call": each}, calls=(each, *closing_calls(m)[:1]))
                return


def reset_after_close(m: Moment) -> Iterator[Case]:
    """Something came for a socket that its program had closed."""
    if not m.flags & ACK:
        yield from _after_fin(m)


def reset_after_fin(m: Moment) -> Iterator[Case]:
    """The same with the ACK flag: its program may only have shut down its sending before, and closes now."""
    told = any(True for reason in (reset_unread, reset_linger) for _ in reason(m))
    if m.flags & ACK and not told:
        yield from _after_fin(m)


def _after_fin(m: Moment) -> Iterator[Case]:
    """A reset right behind data, of a side that has sent its FIN."""
    asked, fin = m.last_peer, m.scene.fins[m.side]
    if not is_abort(m) or asked is None or not asked.row.payload_bytes:
        return
    if fin is not None and fin.place < m.place and m.place - asked.place <= 2:
        parameters = {"side": m.side, "peer": m.side.other, "packet": asked.row.packet, "fin": fin.row.packet}
        yield Case(parameters, (fin.row.packet, asked.row.packet), known=Known.INFERRED)


def reset_numbers(m: Moment) -> Iterator[Case]:
    """From no socket: the number is the one that the other side asked for, and there is no ACK."""
    if (asked := _met_no_socket(m)) is not None:
        yield Case({"packet": asked.row.packet, "seq": m.segment.seq}, (asked.row.packet,))


def reset_no_socket(m: Moment) -> Iterator[Case]:
    """The packet that it answers met no connection: a socket that aborts would set the ACK flag."""
    asked = _met_no_socket(m)
    if asked is not None and not any(True for reason in (reset_after_close, reset_of_gone) for _ in reason(m)):
        parameters = {"side": m.side, "packet": asked.row.packet}
        yield Case(parameters, (asked.row.packet,), known=Known.INFERRED)


def _met_no_socket(m: Moment) -> Moment | None:
    if not is_abort(m) or m.flags & ACK:
        return None
    return next((each for each in _some(m.before(m.side.other)) if _asks_for(each, m.segment.seq)), None)


def _some(moments: Iterator[Moment]) -> Iterator[Moment]:
    """Of a flood of resets each would else look at all before it."""
    return islice(moments, _LOOKED_AT)


def _asks_for(m: Moment, number: int) -> bool:
    """Whether it acknowledges up to this number."""
    return m.has(ACK) and m.segment.ack == number


def reset_gives_up(m: Moment) -> Iterator[Case]:
    """After probes or retransmissions that nothing answered."""
    if not is_abort(m) or not m.scene.own_places[m.side.other]:  # one way only: who knows what was answered
        return
    tried = []
    for each in _some(m.before()):
        if each.side is not m.side:
            break
        if any(each.finding(kind) for kind in (Kind.KEEP_ALIVE, Kind.ZERO_WINDOW_PROBE, Kind.RETRANSMISSION)):
            tried.append(each.row.packet)
    if len(tried) > 1:
        yield Case({"side": m.side, "tries": len(tried)}, tuple(reversed(tried)), known=Known.INFERRED)


def reset_of_gone(m: Moment) -> Iterator[Case]:
    """The connection was no more: it had been reset before."""
    if is_abort(m):
        first = next((each for each in m.before(m.side) if each.flags & RST), None)
        if first is not None:
            yield Case({"side": m.side, "packet": first.row.packet}, (first.row.packet,))


def reset_not_accepted(m: Moment) -> Iterator[Case]:
    """The listener went before accept() had taken this connection."""
    if not is_abort(m) or m.knows_calls(m.side):
        return
    listens = [each for each in m.scene.calls if each.side is m.side and each.call.name in ("listen", "close", EXIT)]
    if any(each.call.name == "listen" for each in listens):
        yield Case({"side": m.side}, calls=tuple(listens[-1:]), known=Known.INFERRED)


def reset_unseen_reason(m: Moment) -> Iterator[Case]:
    """Several causes are possible, and what would tell them apart."""
    if is_abort(m) and not any(True for reason in _REASONS_OF_RESETS for _ in reason(m)):
        yield Case({"side": m.side}, known=Known.UNKNOWN)


def reset_lost(m: Moment) -> Iterator[Case]:
    """What the sender of the reset had not been told is gone with it."""
    again = any(True for _ in reset_of_gone(m))  # then it was told by the first
    if is_abort(m) and not _program_had_closed(m) and not _has_ended(m) and not again:
        failed = [each for each in m.scene.calls if each.side is not m.side and each.call.error in _AFTER_RESET]
        late = [each for each in failed if (each.call.exit_ns or 0) >= m.row.time_ns]
        known = Known.SEEN if late else Known.INFERRED
        yield Case({"side": m.side.other}, calls=tuple(late[:1]), known=known)


def reset_after_end(m: Moment) -> Iterator[Case]:
    """In CLOSE-WAIT the receiver has been told of the end: Linux says EPIPE then (tcp_reset)."""
    own = m.scene.fins[m.side]
    if is_abort(m) and own is not None and _has_ended(m) and not _program_had_closed(m):
        yield Case({"side": m.side.other, "fin": own.row.packet}, (own.row.packet,), known=Known.INFERRED)


def _has_ended(m: Moment) -> bool:
    """Whether its receiver had the sender's FIN and had sent none of its own: CLOSE-WAIT."""
    own, theirs = m.scene.fins[m.side], m.scene.fins[m.side.other]
    return own is not None and own.place < m.place and (theirs is None or theirs.place > m.place)


def reset_unnoticed(m: Moment) -> Iterator[Case]:
    """Its program had closed: there is nobody to be told."""
    if is_abort(m) and (closing := _program_had_closed(m)):
        yield Case({"side": m.side.other}, calls=closing[:1])


def _program_had_closed(m: Moment) -> tuple[SidedCall, ...]:
    """The call with which the other side's program had closed its socket before this packet."""
    closing = (each for each in m.scene.calls if each.side is m.side.other and each.call.name in ("close", EXIT))
    return tuple(each for each in closing if each.call.remote is not None and each.call.enter_ns < m.row.time_ns)


def broken_pipe(m: Moment) -> Iterator[Case]:
    """A send after the reset was noticed."""
    if is_abort(m):
        for each in m.scene.calls:
            if each.side is not m.side and each.call.error == "EPIPE" and each.call.enter_ns >= m.row.time_ns:
                yield Case({"side": each.side, "call": each}, calls=(each,))
                return


_REASONS_OF_RESETS = (
    reset_unread,
    reset_linger,
    reset_after_close,
    reset_after_fin,
    reset_gives_up,
    reset_of_gone,
    reset_no_socket,
    reset_not_accepted,
    fin_exit,
)

RULES = (
    Rule("reset", Part.WHAT, "reset", "RFC 9293 §3.5.2", reset),
    Rule("reset_unread", Part.WHY, "reset", "RFC 9293 §3.6.1", reset_unread),
    Rule("reset_linger", Part.WHY, "reset", "socket(7)", reset_linger),
    Rule("reset_after_close", Part.WHY, "reset", "RFC 9293 §3.5.2", reset_after_close),
    Rule("reset_after_fin", Part.WHY, "reset", "RFC 9293 §3.6.1", reset_after_fin),
    Rule("reset_gives_up", Part.WHY, "keep-alive", "RFC 9293 §3.8.3", reset_gives_up),
    Rule("reset_of_gone", Part.WHY, "reset", "RFC 9293 §3.5.2", reset_of_gone),
    Rule("reset_no_socket", Part.WHY, "reset", "RFC 9293 §3.5.2", reset_no_socket),
    Rule("reset_not_accepted", Part.WHY, "accept-queue", "listen(2)", reset_not_accepted),
    Rule("reset_unseen_reason", Part.WHY, "reset", "RFC 9293 §3.5.2", reset_unseen_reason),
    Rule("reset_numbers", Part.NUMBERS, "reset", "RFC 9293 §3.5.2", reset_numbers),
    Rule("reset_lost", Part.PROGRAMS, "reset", "RFC 9293 §3.10.7.4", reset_lost),
    Rule("reset_after_end", Part.PROGRAMS, "reset", "net/ipv4/tcp_input.c tcp_reset()", reset_after_end),
    Rule("reset_unnoticed", Part.PROGRAMS, "reset", "RFC 9293 §3.10.7.1", reset_unnoticed),
    Rule("broken_pipe", Part.PROGRAMS, "reset", "send(2)", broken_pipe),
)
