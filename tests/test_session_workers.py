"""Work shared among processes: nobody sees from outside that it was."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.render.json_lines import packet_line
from inspector.session.workers import lines_of, worthwhile
from inspector.trace.trace import Trace

sys.path.append(str(Path(__file__).parent / "benchmarks"))

from generate import generate

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="work is shared on Linux only")
PACKETS = 30_000


@pytest.fixture(scope="module")
def capture(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("workers") / "generated.pcap"
    generate(path, PACKETS)
    return str(path)


def inspector(*words: str) -> list[str]:
    return [sys.executable, "-m", "inspector", *words]


def test_lines_come_in_the_order_asked_for_whoever_writes_them() -> None:
    def lines(which: int) -> Iterator[str]:
        return (f"{which} {number}\n" for number in range(50_000))

    shares = [0, 1, 1, 2, 0] * 10_000
    result = list(lines_of(shares, lines, 3))
    counts = [0, 0, 0]
    for share, line in zip(shares, result, strict=True):
        assert line == b"%d %d\n" % (share, counts[share])
        counts[share] += 1


def test_a_worker_that_fails_is_not_taken_for_one_that_is_done() -> None:
    def lines(which: int) -> Iterator[str]:
        yield "first\n"
        if which:
            os._exit(9)
        yield "second\n"

    with pytest.raises(RuntimeError, match="worker 1"):
        list(lines_of([0, 1, 0, 1], lines, 2))


def test_few_packets_are_not_worth_a_process() -> None:
    assert worthwhile(100) == 1
    assert worthwhile(PACKETS) == min(len(os.sched_getaffinity(0)), 4)


def test_the_packets_of_a_large_capture_are_those_read_in_one_process(capture: str) -> None:
    printed = subprocess.run(inspector("packets", capture, "--json"), capture_output=True, check=True).stdout
    with Trace.read(capture) as trace:
        assert printed.decode().splitlines() == [packet_line(record) for record in trace.records()]


def test_nobody_is_left_when_the_reader_goes(capture: str) -> None:
    with subprocess.Popen(
        inspector("packets", capture, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""  # its end: all who could write to it are gone
        assert process.wait() == 0
