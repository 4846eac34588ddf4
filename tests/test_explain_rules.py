"""Every rule of the explanations: the smallest capture in which it holds, and a near one in which it does not."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from explain_building import scene_of

from inspector.calls import journal
from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.cli.explain import read_scene
from inspector.explain.reason import Reason
from inspector.explain.rules import RULES, changes, closing, data, findings, opening, reasons, resets
from inspector.explain.scene import Scene
from inspector.tcp.findings import Cause, Kind
from inspector.tcp.states import TcpState
from inspector.tcp.transitions import TABLE
from inspector.trace.conversation import Endpoint
from inspector.trace.trace import Trace
from inspector.views.explanation import evidence, sentence

FILES = sorted((Path(__file__).parent / "reasons").glob("*.toml"))
CASES: dict[str, dict[str, Any]] = {
    name: case for path in FILES for name, case in tomllib.loads(path.read_text(encoding="utf-8")).items()
}


def bundled_scene(name: str) -> Scene:
    """The first conversation of a bundled capture."""
    path = bundled.located(name)
    calls, damage = journal.load(journal.path_beside(path))
    assert damage is None
    with Trace.read(path) as trace:
        return read_scene(trace, 1, CallIndex(calls))


def scene(case: dict[str, Any], texts: str, calls: str) -> Scene:
    if "capture" in case:
        return bundled_scene(case["capture"])
    changed: dict[str, Any] = {"reused": case.get("reused", False) and texts == "hit"}
    if case.get("to_itself") and texts == "hit":
        changed["server"] = Endpoint("127.0.0.1", 50000)
    if "payload" in case:
        changed["payload"] = case["payload"].encode()
    return scene_of(case[texts], case.get(calls, ()), **changed)


def found(case: dict[str, Any], texts: str, calls: str, packet: str, rule: str) -> list[Reason]:
    whole = scene(case, texts, calls)
    number = case.get(packet, whole.rows[-1].packet)
    return [reason for reason in reasons(whole.moment(number)) if reason.rule.key == rule]


@pytest.mark.parametrize("rule", CASES)
def test_rule_holds(rule: str) -> None:
    case = CASES[rule]
    reason, *_ = found(case, "hit", "calls", "packet", case.get("rule", rule))
    assert case.get("says", "") in sentence(reason)
    assert evidence(reason)
    assert all(packet > 0 for packet in reason.case.packets)


@pytest.mark.parametrize("rule", CASES)
def test_near_miss(rule: str) -> None:
    case = CASES[rule]
    assert not found(case, "miss", "miss_calls", "miss_packet", case.get("rule", rule))


def test_every_tcp_rule_has_its_case() -> None:
    ours = {rule.key for module in (opening, data, closing, resets, findings, changes) for rule in module.RULES}
    assert ours == {case.get("rule", name) for name, case in CASES.items()}


def test_names_are_unique() -> None:
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names))


def test_every_finding_and_every_state_is_explained() -> None:
    names = {rule.name for rule in RULES}
    renamed = {Kind.RETRANSMISSION: {f"resent_{cause}" for cause in Cause}, Kind.SPURIOUS_RETRANSMISSION: {"spurious"}}
    for kind in Kind:
        assert renamed.get(kind, {str(kind)}) <= names, kind
    for rule in TABLE.values():
        if rule.after is not TcpState.UNKNOWN:
            assert f"to_{rule.after.lower().replace('-', '_')}" in names
