"""Pictures as they are drawn, in ``golden/``: every scenario of TCP, and the bundled captures at several widths.

A change of a picture is reviewed in the diff after ``INSPECTOR_GOLDEN=write pytest tests/test_views_golden.py``.
"""

import os
from pathlib import Path
from typing import Any

import pytest
from ladder_scenarios import drawn, scenario_part
from test_tcp_scenarios import FILES, SCENARIOS

from inspector.calls import journal
from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.trace.calls import conversation_calls
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderPart

GOLDEN = Path(__file__).parent / "golden"
# Rows of two connections, which reach a ladder as two conversations.
NEVER_DRAWN = {"tcp_closing.time_wait_cut_short"}
STYLES: dict[str, dict[str, Any]] = {
    "80": {"width": 80},
    "100": {"width": 100},
    "140": {"width": 140},
    "80_ascii": {"width": 80, "ascii": True},
    "80_rfc": {"width": 80, "style": "rfc"},
    "100_raw": {"width": 100, "raw_numbers": True},
}


def check(name: str, picture: str) -> None:
    """Compare with the golden picture of that name, or write it."""
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("INSPECTOR_GOLDEN") == "write":
        path.write_text(picture, encoding="utf-8")
    assert picture == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
@pytest.mark.parametrize("style", ["80", "100"])
def test_ladders_of_the_scenarios(file: Path, style: str) -> None:
    """One file of pictures for each file of scenarios."""
    pictures = [
        f"== {name.partition('.')[2]}: {scenario['about']}\n{drawn(scenario_part(scenario), **STYLES[style])}"
        for name, scenario in SCENARIOS
        if name.startswith(f"{file.stem}.") and name not in NEVER_DRAWN
    ]
    check(f"{file.stem}_{style}", "\n".join(pictures))


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", ["hello", "udp"])
def test_ladders_of_the_bundled_captures(name: str, style: str) -> None:
    with Trace.read(str(bundled.find(name))) as trace:
        rows, end = trace.rows(1)
        check(f"{name}_{style}", drawn(LadderPart(trace.conversation(1), end, rows), **STYLES[style]))


@pytest.mark.parametrize(("width", "ascii_only"), [(80, False), (120, False), (140, False), (120, True)])
@pytest.mark.parametrize("name", ["hello", "udp"])
def test_ladders_with_the_calls_of_the_programs(name: str, width: int, ascii_only: bool) -> None:
    path = bundled.find(name)
    with Trace.read(str(path)) as trace:
        rows, end = trace.rows(1)
        conversation = trace.conversation(1)
    calls, _ = journal.load(journal.path_beside(str(path)))
    part = LadderPart(conversation, end, rows, conversation_calls(CallIndex(calls), conversation, rows))
    check(f"{name}_calls_{width}{'_ascii' if ascii_only else ''}", drawn(part, width=width, ascii=ascii_only))
