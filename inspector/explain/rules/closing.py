"""Why a connection ends as it does: FIN, the ACK of it, what is missing."""

from collections.abc import Iterator

from inspector.calls.matching import EXIT, SidedCall
from inspector.explain.reason import Case, Duration, Part, Rule
from inspector.explain.scene import ACK, FIN, RST, SYN, Moment
from inspector.tcp.states import Known, TcpState


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
        for each in closing_calls(m)[:1]:
            yield Case({"side": m.side, "call": each}, calls=(each,))


def fin_exit(m: Moment) -> Iterator[Case]:
    """The kernel closed what the program left open."""
    if m.flags & (FIN | RST) and not m.is_resent:
        for each in m.calls(m.side, EXIT):
            yield Case({"side": m.side}, calls=(each,), known=Known.INFERRED)


def fin_unseen_call(m: Moment) -> Iterator[Case]:
    """Without recorded calls: one of three."""
    if m.has(FIN, SYN | RST) and not m.is_resent and not closing_calls(m) and not m.calls(m.side, EXIT):
        yield Case({"side": m.side}, known=Known.INFERRED)


def closing_calls(m: Moment) -> list[SidedCall]:
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
    if m.covered_by is None:  # nobody knows whether it was received
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


RULES = (
    Rule("fin", Part.WHAT, "teardown", "RFC 9293 §3.6", fin),
    Rule("fin_second", Part.WHAT, "teardown", "RFC 9293 §3.6", fin_second),
    Rule("last_ack", Part.WHAT, "teardown", "RFC 9293 §3.6", last_ack),
    Rule("half_closed_data", Part.WHAT, "half-close", "RFC 9293 §3.6.1", half_closed_data),
    Rule("data_to_closed", Part.WHAT, "reset", "RFC 9293 §3.6", data_to_closed),
    Rule("fin_call", Part.WHY, "teardown", "RFC 9293 §3.10.4", fin_call),
    Rule("fin_exit", Part.WHY, "teardown", "RFC 9293 §3.10.4", fin_exit),
    Rule("fin_unseen_call", Part.WHY, "teardown", "RFC 9293 §3.10.4", fin_unseen_call),
    Rule("fin_merged", Part.WHY, "teardown", "RFC 9293 §3.6", fin_merged),
    Rule("fin_crosses", Part.WHY, "simultaneous", "RFC 9293 §3.6", fin_crosses),
    Rule("fin_ack_alone", Part.WHY, "close-wait", "RFC 9293 §3.6", fin_ack_alone),
    Rule("fin_takes_number", Part.NUMBERS, "sequence-numbers", "RFC 9293 §3.4", fin_takes_number),
    Rule("fin_acked", Part.NUMBERS, "sequence-numbers", "RFC 9293 §3.4", fin_acked),
    Rule("end_of_stream", Part.PROGRAMS, "end-of-stream", "recv(2)", end_of_stream),
    Rule("end_of_stream_expected", Part.PROGRAMS, "end-of-stream", "recv(2)", end_of_stream_expected),
    Rule("time_wait", Part.PROGRAMS, "time-wait", "RFC 9293 §3.6.1", time_wait),
    Rule("fin_next", Part.NEXT, "teardown", "RFC 9293 §3.6", fin_next),
    Rule("fin_unacknowledged", Part.NEXT, "teardown", "RFC 9293 §3.6", fin_unacknowledged),
    Rule("close_wait", Part.NEXT, "close-wait", "RFC 9293 §3.6", close_wait),
)
