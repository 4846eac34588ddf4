"""Connections that did not come up, or came up late."""

from collections.abc import Iterator

from inspector.explain.matters.matter import MatterRule, Reading, Severity
from inspector.explain.reason import Case, Duration
from inspector.explain.scene import ACK, RST, SYN, Moment
from inspector.tcp.findings import Kind
from inspector.tcp.report import Closing, Opening
from inspector.tcp.states import Known, Side

ANSWER_NS = 1_000_000_000  # after which a SYN is sent again, RFC 6298 section 2: until then nothing is missing
_LATE_NS = 190_000_000  # no timer sends a SYN again sooner: it is a copy
_OPENED = (Opening.HANDSHAKE, Opening.SIMULTANEOUS, Opening.FAST_OPEN)


def refused(reading: Reading) -> Iterator[Case]:
    """A SYN that a reset answers."""
    if reading.outcome is None or reading.outcome.opening is not Opening.REFUSED:
        return
    answer = next((each for each in reading.scene.moments() if each.has(RST) and each.side is Side.SERVER), None)
    syns = _syns(reading)
    if answer is not None and syns:
        first = syns[0]
        parameters = {"time": Duration(answer.since(first)), "tries": len(syns)}
        yield Case(parameters, (first.row.packet, answer.row.packet))


def _syns(reading: Reading) -> list[Moment]:
    syns = [each for each in reading.scene.moments() if each.has(SYN, ACK | RST) and each.side is Side.CLIENT]
    return [each for each in syns if not each.finding(Kind.DUPLICATED)]


def _unanswered(reading: Reading) -> list[Moment]:
    """The SYNs of a connection that nothing came back for, not even an ICMP error."""
    if reading.outcome is None or reading.outcome.opening is not Opening.UNANSWERED:
        return []
    return [] if any(row.notice is not None for row in reading.scene.rows) else _syns(reading)


def unanswered(reading: Reading) -> Iterator[Case]:
    """SYNs into silence."""
    syns = _unanswered(reading)
    if syns and (len(syns) > 1 or reading.left_ns(syns[0]) >= ANSWER_NS):
        parameters = {"tries": len(syns), "time": Duration(reading.left_ns(syns[0]))}
        yield Case(parameters, tuple(each.row.packet for each in syns))


def unanswered_at_end(reading: Reading) -> Iterator[Case]:
    """A SYN so late in the capture that its answer may have come after it."""
    syns = _unanswered(reading)
    if len(syns) == 1 and reading.left_ns(syns[0]) < ANSWER_NS:
        yield Case({"time": Duration(reading.left_ns(syns[0]))}, (syns[0].row.packet,), known=Known.UNKNOWN)


def late_open(reading: Reading) -> Iterator[Case]:
    """A handshake whose SYN, or the answer to it, had to be sent again."""
    for case in _opened_again(reading):
        if int(str(case.parameters["time"])) >= _LATE_NS:
            yield case


def handshake_copied(reading: Reading) -> Iterator[Case]:
    """The same, sooner than any timer: copies that the network or the capture made."""
    for case in _opened_again(reading):
        if int(str(case.parameters["time"])) < _LATE_NS:
            yield case._replace(known=Known.INFERRED)


def _opened_again(reading: Reading) -> Iterator[Case]:
    """The segments of a handshake that came again, of a connection that opened."""
    if reading.outcome is None or reading.outcome.opening not in _OPENED:
        return
    first = reading.scene.syns[Side.CLIENT]
    again = [each for each, _ in reading.found(Kind.RETRANSMISSION) if each.flags & SYN]
    if first is not None and again:
        parameters = {"tries": len(again), "time": Duration(again[-1].since(first))}
        yield Case(parameters, (first.row.packet, *(each.row.packet for each in again)))


def incomplete(reading: Reading) -> Iterator[Case]:
    """The third segment never came."""
    answers = _answers(reading, Closing.NEVER_OPENED)
    if answers and reading.left_ns(answers[0]) >= ANSWER_NS:
        parameters = {"tries": len(answers), "time": Duration(reading.left_ns(answers[0]))}
        yield Case(parameters, tuple(each.row.packet for each in answers), known=Known.UNKNOWN)


def _answers(reading: Reading, closing: Closing) -> list[Moment]:
    """The SYN,ACKs of a connection that did not open, and went like this."""
    outcome = reading.outcome
    if outcome is None or outcome.opening is not Opening.INCOMPLETE or outcome.closing is not closing:
        return []
    return [each for each in reading.scene.moments() if each.has(SYN | ACK) and each.side is Side.SERVER]


def given_up_opening(reading: Reading) -> Iterator[Case]:
    """A SYN,ACK that the client answers with a reset."""
    answers, reset = _answers(reading, Closing.RESET), reading.reset
    if answers and reset is not None and reset.side is Side.CLIENT:
        parameters = {"time": Duration(reset.since(answers[0]))}
        yield Case(parameters, (answers[0].row.packet, reset.row.packet), known=Known.INFERRED)


def itself(reading: Reading) -> Iterator[Case]:
    """A socket that met itself."""
    asked = any(reading.scene.syns) if reading.conversation.protocol == "TCP" else False
    if asked and reading.conversation.client == reading.conversation.server:
        yield Case({}, (reading.scene.rows[0].packet,))


RULES = (
    MatterRule("refused", Severity.FAILED, "refused-or-timeout", refused),
    MatterRule("unanswered", Severity.FAILED, "refused-or-timeout", unanswered, to_the_end=True),
    MatterRule("incomplete", Severity.FAILED, "handshake", incomplete, to_the_end=True),
    MatterRule("late_open", Severity.SLOW, "refused-or-timeout", late_open),
    MatterRule("itself", Severity.PROGRAM, "simultaneous", itself),
    MatterRule("given_up_opening", Severity.NOTE, "reset", given_up_opening),
    MatterRule("handshake_copied", Severity.NOTE, "loopback", handshake_copied),
    MatterRule("unanswered_at_end", Severity.NOTE, "refused-or-timeout", unanswered_at_end, to_the_end=True),
)
