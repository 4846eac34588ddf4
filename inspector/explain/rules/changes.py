"""What a packet changes at both ends: the states of RFC 9293, and what each of them means."""

from collections.abc import Callable, Iterator

from inspector.explain.reason import Case, Part, Rule
from inspector.explain.scene import Moment
from inspector.tcp.report import SegmentReport
from inspector.tcp.states import Known, TcpState, Transition

_TOPICS = {
    TcpState.LISTEN: "accept-queue",
    TcpState.SYN_SENT: "handshake",
    TcpState.SYN_RECEIVED: "handshake",
    TcpState.ESTABLISHED: "handshake",
    TcpState.FIN_WAIT_1: "teardown",
    TcpState.FIN_WAIT_2: "half-close",
    TcpState.CLOSE_WAIT: "close-wait",
    TcpState.CLOSING: "simultaneous",
    TcpState.LAST_ACK: "teardown",
    TcpState.TIME_WAIT: "time-wait",
    TcpState.CLOSED: "teardown",
}
# An endpoint that is taken for a listener until it sends a SYN was none: no socket call connects a listening socket.
_NO_CALL_DOES = (TcpState.LISTEN, TcpState.SYN_SENT)
_LISTENS_NOT = (TcpState.CLOSED, "9293 §3.10.1")


def name_of(state: TcpState) -> str:
    """The rule for the state that an endpoint comes to: ``to_syn_sent`` ..."""
    return f"to_{state.lower().replace('-', '_')}"


def _coming_to(state: TcpState) -> Callable[[Moment], Iterator[Case]]:
    def find(m: Moment) -> Iterator[Case]:
        for move in m.report.transitions if m.report is not None else ():
            if move.after is state and not _only_refuses(move):
                before, rule = _LISTENS_NOT if (move.before, state) == _NO_CALL_DOES else (move.before, move.rule)
                parameters = {"side": move.side, "before": before, "after": move.after, "rule": f"RFC {rule}"}
                yield Case(parameters, (move.cause,) if move.cause != m.row.packet else (), known=move.known)

    return find


def _only_refuses(move: Transition) -> bool:
    """Whether the reset only says that there is nobody who listens: no connection ends by it."""
    return move.before is TcpState.LISTEN and move.after is TcpState.CLOSED


def _arrived_at(state: TcpState) -> Callable[[Moment], Iterator[Case]]:
    """What its receiver came to, as a later packet shows."""

    def find(m: Moment) -> Iterator[Case]:
        if m.report is not None and m.report.expected is not None:
            for shown_by, move in m.scene.moves_caused_by(m.row.packet):
                if move.side is m.side.other and shown_by > m.row.packet and move.after is state:
                    parameters = {"side": move.side, "before": move.before, "after": move.after, "packet": shown_by}
                    yield Case(parameters, (shown_by,), known=move.known)
                    return

    return find


def _expected_at(state: TcpState) -> Callable[[Moment], Iterator[Case]]:
    """What its receiver will be in, if it arrives; nothing has shown that."""

    def find(m: Moment) -> Iterator[Case]:
        if m.report is not None and m.report.expected is not None and m.report.expected.state is state:
            yield from _expected(m, m.report, state)

    return find


def _expected(m: Moment, report: SegmentReport, state: TcpState) -> Iterator[Case]:
    if m.covered_by is not None or m.scene.is_itself or m.row.packet in m.scene.noticed:
        return
    if not any(move.side is m.side.other for _, move in m.scene.moves_caused_by(m.row.packet)):
        before = (report.client, report.server)[m.side.other].state
        parameters = {"side": m.side.other, "before": before, "after": state}
        yield Case(parameters, known=Known.INFERRED)


RULES = (
    *(
        Rule(name_of(state), Part.CHANGES, topic, "RFC 9293 §3.3.2", _coming_to(state))
        for state, topic in _TOPICS.items()
    ),
    *(
        Rule(f"{how}_{state.lower()}", Part.CHANGES, topic, "RFC 9293 §3.3.2", finding(state), how)
        for how, finding in (("arrived", _arrived_at), ("expected", _expected_at))
        for state, topic in _TOPICS.items()
    ),
)
