"""THE table: what an endpoint does in a state when an event happens to it, with the place that says so.

RFC 9293 figure 5 and section 3.10 as data, and RFC 5961 (challenge ACKs) where it adds to them; Fast Open (RFC 7413)
needs no row of its own. Rows that change nothing are the events a connection survives: retransmissions, duplicates,
resets that are not believed. A pair that is not here is something unexpected in the capture, never an error.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from inspector.tcp.states import TcpState
from inspector.tcp.states import TcpState as S


class Event(StrEnum):
    """What happens to one endpoint."""

    SENT_SYN = "sent SYN"
    GOT_SYN = "got SYN"
    SENT_SYN_ACK = "sent SYN,ACK"
    GOT_SYN_ACK = "got SYN,ACK"
    OWN_SYN_ACKED = "own SYN acknowledged"
    SENT_DATA = "sent data"  # told only where it says something of an endpoint that was unknown
    SENT_CHALLENGE = "sent ACK in answer to a SYN"
    SENT_FIN = "sent FIN"
    GOT_FIN = "got FIN"
    OWN_FIN_ACKED = "own FIN acknowledged"
    SENT_RST = "sent RST"
    SENT_RST_FOR_OLD = "sent RST for a segment of an old connection"
    GOT_RST = "got RST"
    GOT_RST_AFTER_ACTIVE_OPEN = "got RST after an active OPEN"  # told apart in SYN-RECEIVED only
    GOT_BAD_RST = "got RST with an unacceptable number"
    TIME_WAIT_OVER = "TIME-WAIT over"


class Rule(NamedTuple):
    """The state an event leads to, and the section that says so: "9293 §..." and the like."""

    after: TcpState
    source: str


_SYNCHRONIZED = (
    S.ESTABLISHED,
    S.FIN_WAIT_1,
    S.FIN_WAIT_2,
    S.CLOSE_WAIT,
    S.CLOSING,
    S.LAST_ACK,
    S.TIME_WAIT,
)


def _stay(states: Iterable[TcpState], event: Event, source: str) -> dict[tuple[TcpState, Event], Rule]:
    return {(state, event): Rule(state, source) for state in states}


TABLE: dict[tuple[TcpState, Event], Rule] = {
    # Opening: figures 6 and 7.
    (S.CLOSED, Event.SENT_SYN): Rule(S.SYN_SENT, "9293 §3.10.1"),
    (S.LISTEN, Event.SENT_SYN): Rule(S.SYN_SENT, "9293 §3.10.2"),
    (S.LISTEN, Event.GOT_SYN): Rule(S.SYN_RECEIVED, "9293 §3.10.7.2"),
    (S.SYN_SENT, Event.GOT_SYN): Rule(S.SYN_RECEIVED, "9293 §3.10.7.3"),
    (S.SYN_SENT, Event.GOT_SYN_ACK): Rule(S.ESTABLISHED, "9293 §3.10.7.3"),
    (S.SYN_RECEIVED, Event.OWN_SYN_ACKED): Rule(S.ESTABLISHED, "9293 §3.10.7.4"),
    **_stay((S.SYN_SENT, S.SYN_RECEIVED, *_SYNCHRONIZED), Event.SENT_SYN, "9293 §3.8.1"),
    **_stay((S.SYN_RECEIVED, *_SYNCHRONIZED), Event.SENT_SYN_ACK, "9293 §3.8.1"),
    # An ACK where a SYN,ACK was due: the other end still has a connection that this SYN knows nothing of.
    (S.LISTEN, Event.SENT_CHALLENGE): Rule(S.UNKNOWN, "5961 §4.2"),
    # A capture that began in the middle.
    (S.UNKNOWN, Event.SENT_DATA): Rule(S.ESTABLISHED, "9293 §3.10.2"),
    (S.UNKNOWN, Event.SENT_FIN): Rule(S.FIN_WAIT_1, "9293 §3.10.4"),
    (S.UNKNOWN, Event.GOT_FIN): Rule(S.CLOSE_WAIT, "9293 §3.10.7.4"),
    **_stay((S.UNKNOWN,), Event.SENT_SYN_ACK, "9293 §3.8.1"),
    # Closing: figures 12 and 13.
    (S.SYN_RECEIVED, Event.SENT_FIN): Rule(S.FIN_WAIT_1, "9293 §3.10.4"),
    (S.SYN_RECEIVED, Event.GOT_FIN): Rule(S.CLOSE_WAIT, "9293 §3.10.7.4"),
    (S.ESTABLISHED, Event.SENT_FIN): Rule(S.FIN_WAIT_1, "9293 §3.10.4"),
    (S.ESTABLISHED, Event.GOT_FIN): Rule(S.CLOSE_WAIT, "9293 §3.10.7.4"),
    (S.FIN_WAIT_1, Event.OWN_FIN_ACKED): Rule(S.FIN_WAIT_2, "9293 §3.10.7.4"),
    (S.FIN_WAIT_1, Event.GOT_FIN): Rule(S.CLOSING, "9293 §3.10.7.4"),
    (S.FIN_WAIT_2, Event.GOT_FIN): Rule(S.TIME_WAIT, "9293 §3.10.7.4"),
    (S.CLOSE_WAIT, Event.SENT_FIN): Rule(S.LAST_ACK, "9293 §3.10.4"),
    (S.CLOSING, Event.OWN_FIN_ACKED): Rule(S.TIME_WAIT, "9293 §3.10.7.4"),
    (S.LAST_ACK, Event.OWN_FIN_ACKED): Rule(S.CLOSED, "9293 §3.10.7.4"),
    (S.TIME_WAIT, Event.TIME_WAIT_OVER): Rule(S.CLOSED, "9293 §3.10.8"),
    **_stay((S.CLOSE_WAIT, S.CLOSING, S.LAST_ACK, S.TIME_WAIT), Event.GOT_FIN, "9293 §3.10.7.4"),
    **_stay((S.FIN_WAIT_1, S.FIN_WAIT_2, S.CLOSING, S.LAST_ACK, S.TIME_WAIT), Event.SENT_FIN, "9293 §3.8.1"),
    # Resets.
    (S.UNKNOWN, Event.SENT_RST): Rule(S.CLOSED, "9293 §3.10.7.1"),
    (S.LISTEN, Event.SENT_RST): Rule(S.CLOSED, "9293 §3.10.7.1"),  # a reset for a SYN: nobody listened
    (S.SYN_SENT, Event.SENT_RST): Rule(S.CLOSED, "9293 §3.10.7.1"),
    (S.SYN_RECEIVED, Event.SENT_RST): Rule(S.CLOSED, "9293 §3.10.5"),
    **{(state, Event.SENT_RST): Rule(S.CLOSED, "9293 §3.10.5") for state in _SYNCHRONIZED},
    **_stay((S.CLOSED,), Event.SENT_RST, "9293 §3.10.7.1"),
    **_stay((S.SYN_SENT,), Event.SENT_RST_FOR_OLD, "9293 §3.10.7.3"),
    **_stay((S.SYN_RECEIVED,), Event.SENT_RST_FOR_OLD, "9293 §3.10.7.4"),
    (S.UNKNOWN, Event.GOT_RST): Rule(S.CLOSED, "9293 §3.10.7.4"),
    (S.SYN_SENT, Event.GOT_RST): Rule(S.CLOSED, "9293 §3.10.7.3"),
    (S.SYN_RECEIVED, Event.GOT_RST): Rule(S.LISTEN, "9293 §3.10.7.4"),
    (S.SYN_RECEIVED, Event.GOT_RST_AFTER_ACTIVE_OPEN): Rule(S.CLOSED, "9293 §3.10.7.4"),
    **{(state, Event.GOT_RST): Rule(S.CLOSED, "9293 §3.10.7.4") for state in _SYNCHRONIZED},
    **_stay((S.CLOSED,), Event.GOT_RST, "9293 §3.10.7.1"),
    **_stay((S.LISTEN,), Event.GOT_RST, "9293 §3.10.7.2"),
    **_stay((S.SYN_SENT,), Event.GOT_BAD_RST, "9293 §3.10.7.3"),
    **_stay((S.SYN_RECEIVED, *_SYNCHRONIZED), Event.GOT_BAD_RST, "5961 §3.2"),
}
