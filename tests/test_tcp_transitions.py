"""The table holds the diagram of RFC 9293, and only that leaves a state."""

import re

import pytest

from inspector.tcp.states import TcpState
from inspector.tcp.transitions import TABLE, Event

FIGURE_5 = """
CLOSED        sent SYN              SYN-SENT
LISTEN        got SYN               SYN-RECEIVED
LISTEN        sent SYN              SYN-SENT
SYN-RECEIVED  own SYN acknowledged  ESTABLISHED
SYN-RECEIVED  sent FIN              FIN-WAIT-1
SYN-RECEIVED  got RST               LISTEN
SYN-SENT      got SYN               SYN-RECEIVED
SYN-SENT      got SYN,ACK           ESTABLISHED
ESTABLISHED   sent FIN              FIN-WAIT-1
ESTABLISHED   got FIN               CLOSE-WAIT
FIN-WAIT-1    own FIN acknowledged  FIN-WAIT-2
FIN-WAIT-1    got FIN               CLOSING
FIN-WAIT-2    got FIN               TIME-WAIT
CLOSE-WAIT    sent FIN              LAST-ACK
CLOSING       own FIN acknowledged  TIME-WAIT
LAST-ACK      own FIN acknowledged  CLOSED
TIME-WAIT     TIME-WAIT over        CLOSED
"""
ARCS = [re.split(r"  +", line) for line in FIGURE_5.split("\n") if line]
RESETS = {Event.SENT_RST, Event.GOT_RST, Event.GOT_RST_AFTER_ACTIVE_OPEN}
# Of the text, not of the figure: section 3.10.7.4 takes a FIN in SYN-RECEIVED as in ESTABLISHED.
BEYOND_THE_FIGURE = {(TcpState.SYN_RECEIVED, Event.GOT_FIN), (TcpState.LISTEN, Event.SENT_CHALLENGE)}


@pytest.mark.parametrize(("before", "event", "after"), ARCS)
def test_every_arc_of_figure_5_is_a_row(before: str, event: str, after: str) -> None:
    assert TABLE[TcpState(before), Event(event)].after == after


def test_nothing_else_moves_an_endpoint() -> None:
    figure = {(TcpState(before), Event(event)) for before, event, _ in ARCS} | BEYOND_THE_FIGURE
    for (before, event), rule in TABLE.items():
        if rule.after is not before and before is not TcpState.UNKNOWN and event not in RESETS:
            assert (before, event) in figure


def test_every_row_cites_its_section() -> None:
    for key, rule in TABLE.items():
        assert re.fullmatch(r"(9293|5961) §\d+(\.\d+)+", rule.source), key


def test_a_reset_ends_every_state_that_has_a_connection() -> None:
    for state in TcpState:
        if state not in (TcpState.LISTEN, TcpState.SYN_RECEIVED):
            assert TABLE[state, Event.GOT_RST].after is TcpState.CLOSED


def test_every_state_can_be_reached_and_left() -> None:
    moves = [(before, rule.after) for (before, _), rule in TABLE.items() if rule.after is not before]
    assert {after for _, after in moves} == set(TcpState)
    assert {before for before, _ in moves} == set(TcpState)
