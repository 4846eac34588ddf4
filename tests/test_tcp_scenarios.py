"""The scenarios of ``scenarios/tcp_*.toml``, which specify states and outcomes, run.

A row of ``segments`` is: segment | client's state after it | server's | the state its receiver is expected in, if new.
A segment is its sender (C, S), its flags, and ``seq``, ``ack``, ``data`` (payload bytes) and ``win`` where not 0; the
first is packet 1. "?" marks what is inferred. Besides:

- ``opening``, ``closing``, ``closed_by``: the outcome;
- ``ends``: the states if nothing follows, where they differ from the last row's;
- ``moves``: every transition, as "packet that decides it: side before -> after by the packet that caused it";
- ``unexpected``: what the table of transitions does not have.
"""

import tomllib
from pathlib import Path
from typing import Any

import pytest

from inspector.tcp.connection import Connection
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import MODULUS
from inspector.tcp.states import EndpointState, Known, Side, TcpState
from inspector.tcp.tracker import Tracker

FILES = sorted((Path(__file__).parent / "scenarios").glob("tcp_*.toml"))
Scenario = dict[str, Any]
SCENARIOS: list[tuple[str, Scenario]] = [
    (f"{path.stem}.{name}", scenario)
    for path in FILES
    for name, scenario in tomllib.loads(path.read_text(encoding="utf-8")).items()
]
MARKS = {Known.SEEN: "", Known.INFERRED: "?", Known.UNKNOWN: ""}
EVERY_SCENARIO = pytest.mark.parametrize("scenario", [pytest.param(each, id=name) for name, each in SCENARIOS])


def segment_of(text: str, packet: int, first_numbers: tuple[int, int] = (0, 0)) -> Segment:
    """The segment a text describes; ``first_numbers`` move the client's and the server's sequence numbers."""
    side, flags, *fields = text.split()
    values = {name: int(value) for name, value in (field.split("=") for field in fields)}
    bits = Flag(0)
    for flag in flags.split(","):
        bits |= Flag[flag]
    sender = Side.CLIENT if side == "C" else Side.SERVER
    return Segment(
        packet=packet,
        time_ns=packet * 1_000_000,
        side=sender,
        seq=(values.get("seq", 0) + first_numbers[sender]) % MODULUS,
        ack=(values["ack"] + first_numbers[sender.other]) % MODULUS if "ack" in values else 0,
        flags=int(bits),
        window=values.get("win", 1000),
        payload_bytes=values.get("data", 0),
    )


def written(state: EndpointState) -> str:
    """As the scenarios write a state."""
    return state.state + MARKS[state.known]


@EVERY_SCENARIO
@pytest.mark.parametrize("first_numbers", [(0, 0), (2**32 - 102, 2**32 - 304), (2**31, 2**31 - 2)])
def test_states_after_every_segment(scenario: Scenario, first_numbers: tuple[int, int]) -> None:
    """Wherever the sequence numbers begin: also where they wrap around."""
    connection = Connection()
    moves = []
    for packet, row in enumerate(scenario["segments"], start=1):
        text, client, server, expected = (column.strip() for column in row.split("|"))
        report = connection.feed(segment_of(text, packet, first_numbers))
        assert (written(report.client), written(report.server)) == (client, server), row
        assert (report.expected.state if report.expected else "") == expected, row
        moves += [
            f"{packet}: {move.side.name.lower()} {move.before} -> {move.after}{MARKS[move.known]} by {move.cause}"
            for move in report.transitions
        ]
    assert moves == scenario.get("moves", moves)
    client_end, server_end, outcome = connection.end()
    assert f"{written(client_end)} | {written(server_end)}" == scenario.get("ends", f"{client} | {server}")
    assert (outcome.opening, outcome.closing) == (scenario["opening"], scenario["closing"])
    assert (outcome.closed_by.name.lower() if outcome.closed_by is not None else None) == scenario.get("closed_by")
    unexpected = [
        f"{miss.packet}: {miss.side.name.lower()} {miss.state}, {miss.event}" for miss in connection.tracker.unexpected
    ]
    assert unexpected == scenario.get("unexpected", [])


@EVERY_SCENARIO
def test_transitions_follow_each_other(scenario: Scenario) -> None:
    """Each begins where the endpoint stood, and the states after a segment are where they lead."""
    tracker = Tracker()
    for packet, row in enumerate(scenario["segments"], start=1):
        tracked = tracker.feed(segment_of(row.split("|")[0], packet))
        for side, state in ((Side.CLIENT, tracked.client), (Side.SERVER, tracked.server)):
            own = [move for move in tracked.transitions if move.side is side]
            assert [move.before for move in own[1:]] == [move.after for move in own[:-1]]
            assert all(move.before is not move.after and move.cause <= packet for move in own)
            renewed = state.state in (TcpState.LISTEN, TcpState.CLOSED)  # by a SYN, or a reset still on its way
            assert not own or own[-1].after is state.state or renewed


def test_the_states_of_the_rfc_are_all_in_the_scenarios() -> None:
    said = {
        column.strip(" ?") for _, scenario in SCENARIOS for row in scenario["segments"] for column in row.split("|")[1:]
    }
    assert set(TcpState) <= said
