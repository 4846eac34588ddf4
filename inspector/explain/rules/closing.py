"""Why a connection ends as it does: FIN, the ACK of it, what is missing; resets."""

from collections.abc import Iterator
from itertools import islice

from inspector.calls.matching import EXIT, SidedCall
from inspector.explain.reason import Amount, Case, Duration, Part, Rule
from inspector.explain.scene import ACK, FIN, RST, SYN, Moment
from inspector.tcp.findings import Kind
from inspector.tcp.states import Known, TcpState

_AFTER_RESET = ("ECONNRESET", "EPIPE")
_LOOKED_AT = 32  # packets before one, at the most
_LINGER_OFF = "SO_LINGER=0 s"


def fin(m: Moment) -> Iterator[Case]:
    """I send nothing more."""
    if m.has(FIN, SYN | RST) and not _peer_has_closed(m):
        yield Case({"side": m.side, "peer": m.side.other})


def fin_second(m: Moment) -> Iterator[Case]:
    """The other direction closes too."""
    theirs = m.scene.fins[m.side.other]
    if theirs is not None and m.has(FIN, SYN | RST) and _peer_has_closed(m):
        yield Case({"side": m.side, "peer": m.side.other, "packet": theirs.row.packet}, (theirs.row.packet,))


def _peer_has_closed(m: Moment) -> bool:
    """Whether the other side had sent a FIN before."""
    theirs = m.scene.fins[m.side.other]
    return theirs is not None and theirs.place < m.place


def fin_call(m: Moment) -> Iterator[Case]:
    """close() or shutdown() made it."""
    if m.has(FIN, SYN | RST) and not m.is_resent:
        for each in _closing_calls(m)[:1]:
            yield Case({"side": m.side, "call": each}, calls=(each,))


def fin_exit(m: Moment) -> Iterator[Case]:
    """The kernel closed what the program left open."""
    if m.flags & (FIN | RST) and not m.is_resent:
        for each in m.calls(m.side, EXIT):
            yield Case({"side": m.side}, calls=(each,), known=Known.INFERRED)


def fin_unseen_call(m: Moment) -> Iterator[Case]:
    """Without recorded calls: one of three."""
    if m.has(FIN, SYN | RST) and not m.is_resent and not _closing_calls(m) and not m.calls(m.side, EXIT):
        yield Case({"side": m.side}, known=Known.INFERRED)


def _closing_calls(m: Moment) -> list[SidedCall]:
    return m.calls(m.side, "close", "shutdown", "detach")


def fin_takes_number(m: Moment) -> Iterator[Case]:
    """It counts one, like a SYN."""
    if m.has(FIN, SYN | RST) and m.report is not None:
        at = m.report.relative_seq + m.row.payload_bytes
        yield Case({"number": at, "next": at + 1, "peer": m.side.other})


def fin_acked(m: Moment) -> Iterator[Case]:
    """The number that acknowledges a FIN."""
    for each in m.covers:
        if each.flags & FIN and m.report is not None and each.report is not None:
            ack, before = m.report.relative_ack, each.report.relative_seq + each.row.payload_bytes
            if ack == before + 1:
                yield Case({"ack": ack, "before": before, "packet": each.row.packet}, (each.row.packet,))


def fin_ack_alone(m: Moment) -> Iterator[Case]:
    """Only the kernel has noticed; its program has not closed."""
    fins = [each for each in m.covers if each.flags & FIN]
    if m.is_pure_ack and fins and not _has_closed(m):
        yield Case({"side": m.side}, (fins[0].row.packet,), known=Known.INFERRED)


def _has_closed(m: Moment) -> bool:
    """Whether its sender had sent a FIN before."""
    own = m.scene.fins[m.side]
    return own is not None and own.place < m.place


def fin_merged(m: Moment) -> Iterator[Case]:
    """ACK and FIN in one: three segments instead of four."""
    if m.has(FIN | ACK, SYN | RST) and not m.is_resent and not _has_closed(m):
        for each in m.covers:
            if each.flags & FIN:
                yield Case({"side": m.side, "peer": m.side.other, "packet": each.row.packet}, (each.row.packet,))


def fin_crosses(m: Moment) -> Iterator[Case]:
    """Both close at once."""
    if m.has(FIN, SYN | RST) and not m.is_resent:
        theirs = m.scene.fins[m.side.other]
        answer = theirs.covered_by if theirs is not None and theirs.place < m.place else None
        if theirs is not None and answer is not None and answer.place > m.place:
            yield Case({"packet": theirs.row.packet}, (theirs.row.packet,))


def last_ack(m: Moment) -> Iterator[Case]:
    """It acknowledges the second FIN: everything is said."""
    own, theirs = m.scene.fins[m.side], m.scene.fins[m.side.other]
    answers = m.has(ACK, SYN | FIN | RST) and any(each.flags & FIN for each in m.covers)
    if not answers or own is None or theirs is None or own.covered_by is None:
        return
    if own.covered_by.place <= theirs.place:  # else they crossed: both sides wait
        yield Case({"side": m.side, "peer": m.side.other})


def half_closed_data(m: Moment) -> Iterator[Case]:
    """Data after the other side's FIN: the other direction is open."""
    if m.row.payload_bytes and m.report is not None and not m.flags & (SYN | RST) and not m.is_resent:
        theirs, answer = m.scene.fins[m.side.other], next(m.after(m.side.other), None)
        if theirs is not None and theirs.place < m.place and not (answer is not None and answer.flags & RST):
            yield Case({"side": m.side, "peer": m.side.other, "packet": theirs.row.packet}, (theirs.row.packet,))


def data_to_closed(m: Moment) -> Iterator[Case]:
    """Data for a side that had closed: its FIN did not say whether it would still read."""
    if m.row.payload_bytes and m.report is not None and not m.flags & (SYN | RST):
        theirs, answer = m.scene.fins[m.side.other], next(m.after(m.side.other), None)
        if theirs is not None and theirs.place < m.place and answer is not None and answer.flags & RST:
            packets = theirs.row.packet, answer.row.packet
            parameters = {"side": m.side, "peer": m.side.other, "packet": packets[0], "answer": packets[1]}
            yield Case(parameters, packets)


def end_of_stream(m: Moment) -> Iterator[Case]:
    """recv() returned b''."""
    if m.has(FIN, SYN | RST) and not m.is_resent:
        for each in m.scene.calls:
            if each.side is not m.side and each.call.name.startswith("recv") and _is_end(each, m):
                waited = Duration((each.call.exit_ns or 0) - m.row.time_ns)
                yield Case({"side": each.side, "call": each, "time": waited}, calls=(each,))
                return


def _is_end(each: SidedCall, m: Moment) -> bool:
    call = each.call
    ended = call.returned == 0 and bool(call.asked) and not call.error
    return ended and call.exit_ns is not None and call.exit_ns >= m.row.time_ns


def end_of_stream_expected(m: Moment) -> Iterator[Case]:
    """What the program will be told, when its calls were not recorded."""
    if m.has(FIN, SYN | RST) and not m.is_resent and not m.knows_calls(m.side.other):
        yield Case({"side": m.side.other, "peer": m.side}, known=Known.INFERRED)


def time_wait(m: Moment) -> Iterator[Case]:
    """Who closes first stands in TIME-WAIT."""
    if m.report is not None:
        for move in m.report.transitions:
            if move.after is TcpState.TIME_WAIT:
                yield Case({"side": move.side}, (move.cause,), known=Known.INFERRED)


def close_wait(m: Moment) -> Iterator[Case]:
    """The other side's FIN never came."""
    if not m.has(FIN, SYN | RST) or m.scene.fins[m.side.other] is not None or _is_cut_short(m):
        return
    last_ns = m.scene.rows[-1].time_ns
    yield Case({"side": m.side, "peer": m.side.other, "time": Duration(last_ns - m.row.time_ns)}, known=Known.UNKNOWN)


def fin_next(m: Moment) -> Iterator[Case]:
    """When it was acknowledged."""
    if m.has(FIN, SYN | RST) and (answer := m.covered_by) is not None:
        yield Case({"answer": answer.row.packet, "time": Duration(answer.since(m))}, (answer.row.packet,))


def fin_unacknowledged(m: Moment) -> Iterator[Case]:
    """No ACK for it in the capture."""
    if m.has(FIN, SYN | RST) and m.covered_by is None and not _is_cut_short(m):
        yield Case({"peer": m.side.other}, known=Known.UNKNOWN)


def _is_cut_short(m: Moment) -> bool:
    """Whether nothing is missing after it: a reset ends the connection, or it is one socket's with itself."""
    return m.scene.is_itself or m.scene.last_reset > m.place


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
        closing = tuple(each for each in (*_closing_calls(m), *m.calls(m.side, EXIT)))
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
                yield Case({"side": m.side, "call": each}, calls=(each, *_closing_calls(m)[:1]))
                return


def reset_after_close(m: Moment) -> Iterator[Case]:
    """Something came for a socket that its program had closed."""
    asked = m.last_peer
    if not is_abort(m) or asked is None or not asked.row.payload_bytes:
        return
    fin = m.scene.fins[m.side]
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
    if not is_abort(m):
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
    if is_abort(m) and not _program_had_closed(m):
        failed = [each for each in m.scene.calls if each.side is not m.side and each.call.error in _AFTER_RESET]
        late = [each for each in failed if (each.call.exit_ns or 0) >= m.row.time_ns]
        known = Known.SEEN if late else Known.INFERRED
        yield Case({"side": m.side.other}, calls=tuple(late[:1]), known=known)


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
    reset_gives_up,
    reset_of_gone,
    reset_no_socket,
    reset_not_accepted,
    fin_exit,
)

RULES = (
    Rule("fin", Part.WHAT, "teardown", "RFC 9293 §3.6", fin),
    Rule("fin_second", Part.WHAT, "teardown", "RFC 9293 §3.6", fin_second),
    Rule("last_ack", Part.WHAT, "teardown", "RFC 9293 §3.6", last_ack),
    Rule("half_closed_data", Part.WHAT, "half-close", "RFC 9293 §3.6.1", half_closed_data),
    Rule("data_to_closed", Part.WHAT, "reset", "RFC 9293 §3.6", data_to_closed),
    Rule("reset", Part.WHAT, "reset", "RFC 9293 §3.5.2", reset),
    Rule("fin_call", Part.WHY, "teardown", "RFC 9293 §3.10.4", fin_call),
    Rule("fin_exit", Part.WHY, "teardown", "RFC 9293 §3.10.4", fin_exit),
    Rule("fin_unseen_call", Part.WHY, "teardown", "RFC 9293 §3.10.4", fin_unseen_call),
    Rule("fin_merged", Part.WHY, "teardown", "RFC 9293 §3.6", fin_merged),
    Rule("fin_crosses", Part.WHY, "simultaneous", "RFC 9293 §3.6", fin_crosses),
    Rule("fin_ack_alone", Part.WHY, "close-wait", "RFC 9293 §3.6", fin_ack_alone),
    Rule("reset_unread", Part.WHY, "reset", "RFC 9293 §3.6.1", reset_unread),
    Rule("reset_linger", Part.WHY, "reset", "socket(7)", reset_linger),
    Rule("reset_after_close", Part.WHY, "reset", "RFC 9293 §3.5.2", reset_after_close),
    Rule("reset_gives_up", Part.WHY, "keep-alive", "RFC 9293 §3.8.3", reset_gives_up),
    Rule("reset_of_gone", Part.WHY, "reset", "RFC 9293 §3.5.2", reset_of_gone),
    Rule("reset_no_socket", Part.WHY, "reset", "RFC 9293 §3.5.2", reset_no_socket),
    Rule("reset_not_accepted", Part.WHY, "accept-queue", "listen(2)", reset_not_accepted),
    Rule("reset_unseen_reason", Part.WHY, "reset", "RFC 9293 §3.5.2", reset_unseen_reason),
    Rule("fin_takes_number", Part.NUMBERS, "sequence-numbers", "RFC 9293 §3.4", fin_takes_number),
    Rule("fin_acked", Part.NUMBERS, "sequence-numbers", "RFC 9293 §3.4", fin_acked),
    Rule("reset_numbers", Part.NUMBERS, "reset", "RFC 9293 §3.5.2", reset_numbers),
    Rule("end_of_stream", Part.PROGRAMS, "end-of-stream", "recv(2)", end_of_stream),
    Rule("end_of_stream_expected", Part.PROGRAMS, "end-of-stream", "recv(2)", end_of_stream_expected),
    Rule("time_wait", Part.PROGRAMS, "time-wait", "RFC 9293 §3.6.1", time_wait),
    Rule("reset_lost", Part.PROGRAMS, "reset", "RFC 9293 §3.10.7.4", reset_lost),
    Rule("reset_unnoticed", Part.PROGRAMS, "reset", "RFC 9293 §3.10.7.1", reset_unnoticed),
    Rule("broken_pipe", Part.PROGRAMS, "reset", "send(2)", broken_pipe),
    Rule("fin_next", Part.NEXT, "teardown", "RFC 9293 §3.6", fin_next),
    Rule("fin_unacknowledged", Part.NEXT, "teardown", "RFC 9293 §3.6", fin_unacknowledged),
    Rule("close_wait", Part.NEXT, "close-wait", "RFC 9293 §3.6", close_wait),
)
