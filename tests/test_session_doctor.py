"""The doctor tells what is true of this machine, and a remedy for whatever is missing."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from inspector.capture.privileges import can_capture
from inspector.session.doctor import Check, Screen, checks

TERMINAL = Screen(columns=100, rows=40, colored=True, ascii=False, encoding="utf-8")


def examined(screen: Screen = TERMINAL) -> dict[str, Check]:
    """All findings by name."""
    return {check.name: check for check in checks(sys.executable, screen)}


@pytest.mark.live
def test_findings_are_those_of_this_machine() -> None:
    found = examined()
    remedy = found["capture"].remedy
    assert (remedy is None) == can_capture()
    assert remedy is None or f"{sys.executable} watch" in remedy
    assert sys.version.split()[0] in found["platform"].found
    for _, name in socket.if_nameindex():
        assert name in found["interfaces"].found
    strace = shutil.which("strace")
    assert found["strace"].found == f"yes: {strace}" if strace else found["strace"].remedy


def test_a_missing_tool_has_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check = examined()["strace"]
    assert check.found.startswith("no")
    assert check.remedy is not None
    assert "install strace" in check.remedy


@pytest.mark.parametrize(
    ("screen", "remedy"),
    [
        (TERMINAL, None),
        (TERMINAL._replace(ascii=True, encoding="ascii"), "LC_ALL=C.UTF-8"),
        (TERMINAL._replace(columns=79), "80 columns"),
        (TERMINAL._replace(columns=80), None),
    ],
)
def test_what_spoils_the_pictures_is_remedied(screen: Screen, remedy: str | None) -> None:
    check = examined(screen)["terminal"]
    assert (check.remedy is None) if remedy is None else (check.remedy and remedy in check.remedy)


def test_the_command_prints_a_line_for_each_check_and_its_remedy_unbroken(tmp_path: Path) -> None:
    environment = {"PATH": str(tmp_path), "COLUMNS": "60", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    ended = subprocess.run(
        [sys.executable, "-m", "inspector", "doctor"], capture_output=True, text=True, env=environment, check=True
    )
    titles = [line[:17].strip() for line in ended.stdout.splitlines() if line[0] != " "]
    assert titles == [
        *("platform", "capture right", "user namespaces", "libpcap", "strace", "interfaces", "terminal"),
    ]
    assert "  remedy: sudo apt install strace" in ended.stdout
