"""The list of calls: each with the packets that belong to it, and how that is known."""

import json
from pathlib import Path

import pytest

from inspector.capture import bundled
from inspector.cli import main


def test_calls_name_their_packets(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "sticky", "--width", "100"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    sent = [line for line in lines if "sendall(5 B) = 5" in line]
    received = next(line for line in lines if "recv(1024) = 10 B" in line)
    packets = [line.split("#")[1].split()[0] for line in sent]
    assert all(line.endswith(" seen") for line in sent)
    assert received.endswith(f"#{packets[0]} #{packets[1]} seen")
    assert next(line for line in lines if "connect(" in line).endswith("#1 inferred")
    assert not next(line for line in lines if "listen()" in line).endswith("inferred")


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calls", "sticky", "--json"]) == 0
    calls = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    first = next(call for call in calls if call["name"] == "sendall")
    assert (first["side"], first["offsets"], first["packets_known"]) == ("client", [0, 5], "seen")
    assert bytes.fromhex(first["data"]) == b"hello"


def test_a_capture_without_calls_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = bundled.find("hello")
    assert path is not None
    alone = tmp_path / "alone.pcapng"
    alone.write_bytes(path.read_bytes())
    assert main(["calls", str(alone)]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "no socket calls are kept beside" in told.err
