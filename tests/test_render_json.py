"""JSON lines: what docs/json.md promises is what is printed, and every line is JSON."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.render.json_lines import SCHEMA, packet_line
from inspector.tcp.findings import Cause, Kind
from inspector.tcp.report import Closing, Opening
from inspector.tcp.segment import Flag
from inspector.tcp.states import TcpState
from inspector.trace.conversation import PacketRecord

PAGE = (Path(__file__).parents[1] / "docs" / "json.md").read_text(encoding="utf-8")
TYPES: dict[str, tuple[type, ...]] = {
    "integer": (int,),
    "integer or null": (int, type(None)),
    "string": (str,),
    "string or null": (str, type(None)),
    "array of strings": (list,),
    "array of objects": (list,),
}


def promised(heading: str) -> list[dict[str, str]]:
    """The two tables of keys and types under a heading: of every protocol, and of TCP besides."""
    section = PAGE.split(f"## {heading}\n")[1].split("\n## ")[0]
    tables: list[dict[str, str]] = []
    for line in section.splitlines():
        if line.startswith("| key"):
            tables.append({})
        elif row := re.match(r"\| `(\w+)` \| ([\w ]+) \|", line):
            tables[-1][row[1]] = row[2]
    return tables


def printed(command: str, name: str) -> list[dict[str, Any]]:
    ended = subprocess.run(
        [sys.executable, "-m", "inspector", command, name, "--json"], capture_output=True, check=True, encoding="utf-8"
    )
    return [json.loads(line) for line in ended.stdout.split("\n")[:-1]]


@pytest.mark.parametrize(("heading", "command"), [("A packet", "packets"), ("A conversation", "conversations")])
def test_the_documented_keys_are_those_printed(heading: str, command: str) -> None:
    everywhere, tcp = promised(heading)
    for record in printed(command, "udp"):
        assert {key: types for key, types in everywhere.items() if isinstance(record[key], TYPES[types])} == everywhere
        assert record.keys() == everywhere.keys()
    for record in printed(command, "hello"):
        both = everywhere | tcp
        assert {key: types for key, types in both.items() if isinstance(record[key], TYPES[types])} == both
        assert record.keys() == both.keys()
        assert record["schema"] == SCHEMA


def test_every_word_is_documented() -> None:
    for vocabulary in (Opening, Closing, Kind, Cause):
        for word in vocabulary:
            assert f"`{word}`" in PAGE
    assert " ".join(str(flag.name) for flag in Flag) in PAGE
    states = set(TcpState)
    for record in printed("packets", "hello"):
        assert {record["client_state"], record["server_state"]} <= states
        for move in record["transitions"]:
            assert move.keys() == {"side", "before", "after", "known", "rule"}


@given(st.text(), st.text(), st.one_of(st.none(), st.integers(1)))
def test_a_line_is_one_json_object_whatever_the_texts(source: str, protocol: str, conversation: int | None) -> None:
    line = packet_line(PacketRecord(1, 2, conversation, protocol, source, source, 60, 0, None, None))
    assert line.isascii()
    assert "\n" not in line
    record = json.loads(line)
    assert (record["src"], record["protocol"], record["conversation"]) == (source, protocol, conversation)
