"""Tests that run in a network of their own, with the right to capture there, whoever runs them.

A module of such tests marks them with ``in_private_network`` and has an automatic fixture that calls ``run_inside``: a
second pytest runs them all in one private network, and each test outside ends as the one inside has ended.
"""

import ctypes
import functools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inspector.sandbox import refusal

PROJECT = Path(__file__).parents[1]
_INSIDE = "TEST_IN_PRIVATE_NETWORK"
_ENTER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from inspector.sandbox.namespaces import enter
enter()
import private_network
private_network.run_here(sys.argv[2], sys.argv[3:])
"""
_CAP_NET_ADMIN, _CAP_NET_RAW = 12, 13
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE = 47, 2
_VERSION_3 = 0x20080522
_LONGEST_S = 120

_failures: dict[str, str] = {}  # by node id; empty for a test that has passed
_skipped: dict[str, str] = {}


def in_private_network(test: Callable[..., None]) -> Callable[..., None]:
    """A test that must run in a private network."""

    @functools.wraps(test)
    def outside_or_inside(**fixtures: Any) -> None:
        if _INSIDE in os.environ:
            return test(**fixtures)
        name = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        if name in _skipped:
            pytest.skip(_skipped[name])
        assert not _failures[name], _failures[name]
        return None

    return outside_or_inside


def run_inside(request: pytest.FixtureRequest, where: Path) -> None:
    """Run this module's chosen tests in a private network; skips them where none can be made."""
    if _INSIDE in os.environ:
        return
    if reason := refusal():
        pytest.skip(f"no private network here: {reason}")
    names = [item.nodeid for item in request.session.items if item.path == request.path]
    ended = where / "ended.json"
    inside = subprocess.run(
        [sys.executable, "-c", _ENTER, json.dumps(sys.path), str(ended), *names],
        cwd=PROJECT,
        env={**os.environ, _INSIDE: "1"},
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    assert ended.exists(), inside.stdout + inside.stderr
    reports = json.loads(ended.read_text())
    _failures.update(reports["failures"])
    _skipped.update(reports["skipped"])


def run_here(ended: str, names: list[str]) -> None:
    """Run the tests in this process and write down how each ended."""
    _hand_down_rights()
    reports = _Reports()
    pytest.main(["-p", "no:cacheprovider", *names], plugins=[reports])
    Path(ended).write_text(json.dumps({"failures": reports.failures, "skipped": reports.skipped}))


class _Reports:
    """A plugin of pytest that keeps what failed."""

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}
        self.skipped: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        text = report.longreprtext if report.failed else ""
        self.failures[report.nodeid] = self.failures.get(report.nodeid, "") + text
        if report.skipped:
            self.skipped[report.nodeid] = report.longreprtext


def _hand_down_rights() -> None:
    """Let programs that this process executes have its rights over the network, as root's have: capabilities(7)."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, low halves first
    assert libc.capget(header, sets) == 0
    sets[2] |= 1 << _CAP_NET_ADMIN | 1 << _CAP_NET_RAW
    assert libc.capset(header, sets) == 0
    for right in (_CAP_NET_ADMIN, _CAP_NET_RAW):
        assert libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, right, 0, 0) == 0
