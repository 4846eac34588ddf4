"""The benchmarks' own parts: the generated capture is a capture, and the tables say what was measured."""

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from inspector.tcp.report import Closing, Opening
from inspector.trace.trace import Trace

sys.path.append(str(Path(__file__).parent / "benchmarks"))

import files
import startup
from generate import generate
from measuring import Comparison, Run, cost_lines, installed, run_once, verdict_lines

PACKETS = 2_000
RUNS = {
    "ours": [Run(1.0, 30_000_000), Run(2.0, 50_000_000), Run(1.2, 40_000_000)],
    "theirs": [Run(9.0, 90_000_000), Run(4.0, 100_000_000), Run(5.0, 80_000_000)],
}


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("benchmarks") / "generated.pcap"
    generate(path, PACKETS)
    return path


def test_the_generated_capture_is_whole_and_the_same_each_time(capture: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.pcap"
    generate(again, PACKETS)
    assert again.read_bytes() == capture.read_bytes()
    with Trace.read(str(capture)) as trace:
        assert trace.damage is None
        assert len(trace) == PACKETS
        assert sum(conversation.packets for conversation in trace.conversations()) == PACKETS
        assert all(record.report for record in trace.records())


def test_its_connections_go_in_many_ways(tmp_path: Path) -> None:
    generate(tmp_path / "more.pcap", 20_000)
    with Trace.read(str(tmp_path / "more.pcap")) as trace:
        outcomes = [end.outcome for end in trace.ends().values()]
        names = Counter(name for record in trace.records() if record.report for name in record.report.analysis)
        assert {":" in conversation.client.address for conversation in trace.conversations()} == {True, False}
    assert {outcome.opening for outcome in outcomes} >= {Opening.HANDSHAKE, Opening.REFUSED, Opening.UNANSWERED}
    assert {outcome.closing for outcome in outcomes} >= {Closing.THREE_SEGMENTS, Closing.RESET, Closing.OPEN}
    assert names.keys() >= {"retransmission", "fast_retransmission", "lost_segment", "duplicate_ack"}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_every_packet_of_it_and_finds_none_malformed(capture: Path) -> None:
    lines = subprocess.run(
        ["tshark", "-n", "-r", str(capture), "-T", "fields", "-e", "tcp.stream", "-e", "_ws.malformed"],
        capture_output=True,
        check=True,
    ).stdout.splitlines()
    assert len(lines) == PACKETS
    assert all(line.strip().isdigit() for line in lines)


def test_a_ratio_is_of_the_fastest_runs_and_of_the_largest_memory() -> None:
    assert Comparison("ours", "theirs", 1).ratio(RUNS) == 0.25
    assert Comparison("ours", "theirs", 1, memory=True).ratio(RUNS) == 0.5


def test_the_table_of_costs_has_fastest_median_and_memory() -> None:
    assert list(cost_lines(RUNS)) == [
        "         fastest    median      memory",
        "ours     1.000 s   1.200 s     50.0 MB",
        "theirs   4.000 s   5.000 s    100.0 MB",
    ]


def test_a_verdict_says_whether_a_ratio_is_what_is_required() -> None:
    comparisons = [
        Comparison("ours", "theirs", 0.25),
        Comparison("ours", "theirs", 0.2),
        Comparison("ours", "theirs", 0.5, memory=True),
        Comparison("ours", "a program that did not run", 1),
    ]
    assert [line.split(" to theirs")[1].split() for line in verdict_lines(RUNS, comparisons)] == [
        ["0.25,", "at", "most", "0.25:", "holds"],
        ["0.25,", "at", "most", "0.20:", "falls", "short"],
        ["0.50,", "at", "most", "0.50:", "holds"],
    ]


def test_a_program_that_is_missing_is_told_and_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    there = {"python": [sys.executable, "-c", "pass"]}
    assert installed({**there, "none": ["no-such-program", "-x"]}) == there
    assert "no-such-program is not installed" in capsys.readouterr().out


def test_a_run_is_timed_and_a_failing_one_ends_the_benchmark() -> None:
    run = run_once([sys.executable, "-c", "bytearray(100_000_000)"])
    assert run.seconds > 0
    assert run.peak_bytes > 100_000_000
    with pytest.raises(SystemExit, match="exit status 3"):
        run_once([sys.executable, "-c", "raise SystemExit(3)"])


def test_every_comparison_is_of_programs_that_are_run(capture: Path) -> None:
    for programs, required in ((files.programs(str(capture)), files.REQUIRED), (startup.PROGRAMS, startup.REQUIRED)):
        assert {name for each in required for name in (each.ours, each.theirs)} <= programs.keys()


@pytest.mark.parametrize("name", files.programs(""))
def test_every_program_can_read_the_generated_capture(name: str, capture: Path) -> None:
    command = files.programs(str(capture), packet=5)[name]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    assert run_once(command).peak_bytes > 0
