"""Run programs in turn, keep what they cost, and say how one stands to another."""

import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

INSPECTOR = str(Path(sys.executable).with_name("inspector"))

Programs = Mapping[str, list[str]]
"""Commands by the name they have in the tables."""


class Run(NamedTuple):
    """What one run of a program cost."""

    seconds: float  # on the clock
    peak_bytes: int  # of memory, resident; never below what this program has itself, which it began as a copy of


Runs = Mapping[str, list[Run]]


class Comparison(NamedTuple):
    """A requirement: ``ours`` costs at most ``most`` times what ``theirs`` costs."""

    ours: str
    theirs: str
    most: float
    memory: bool = False

    def ratio(self, runs: Runs) -> float:
        """Ours to theirs; of the fastest runs, which other work on the machine has disturbed least."""
        ours, theirs = (runs[name] for name in (self.ours, self.theirs))
        if self.memory:
            return max(run.peak_bytes for run in ours) / max(run.peak_bytes for run in theirs)
        return min(run.seconds for run in ours) / min(run.seconds for run in theirs)


def installed(programs: Programs) -> dict[str, list[str]]:
    """Those programs that are there; tells of each that is not."""
    found = {name: command for name, command in programs.items() if shutil.which(command[0])}
    for name in programs.keys() - found.keys():
        print(f"{name}: {programs[name][0]} is not installed, skipped")
    return found


def measure(programs: Programs, runs: int) -> Runs:
    """Run all programs one after the other, and that ``runs`` times, so that noise meets all of them."""
    measured: dict[str, list[Run]] = {name: [] for name in programs}
    for _ in range(runs):
        for name, command in programs.items():
            measured[name].append(run_once(command))
    return measured


def run_once(command: list[str]) -> Run:
    """Run a command, its output thrown away; ends this program when it fails."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)}: exit status {process.returncode}")
    return Run(seconds, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024))


def cost_lines(runs: Runs) -> Iterator[str]:
    """The table of what each program cost."""
    wide = max(map(len, runs))
    yield f"{'':{wide}}   fastest    median      memory"
    for name, each in runs.items():
        seconds = [run.seconds for run in each]
        peak = max(run.peak_bytes for run in each) / 1e6
        yield f"{name:{wide}}  {min(seconds):6.3f} s  {statistics.median(seconds):6.3f} s  {peak:7.1f} MB"


def verdict_lines(runs: Runs, comparisons: Iterable[Comparison]) -> Iterator[str]:
    """The table of the requirements whose programs ran, each with its ratio."""
    held = [each for each in comparisons if each.ours in runs and each.theirs in runs]
    sentences = {each: f"{'memory' if each.memory else 'time'} of {each.ours} to {each.theirs}" for each in held}
    wide = max(map(len, sentences.values()), default=0)
    for comparison, sentence in sentences.items():
        ratio = comparison.ratio(runs)
        verdict = "holds" if ratio <= comparison.most else "falls short"
        yield f"{sentence:{wide}}  {ratio:6.2f}, at most {comparison.most:.2f}: {verdict}"


def report(programs: Programs, comparisons: Iterable[Comparison], runs: int) -> None:
    """Measure what is installed and print both tables."""
    measured = measure(installed(programs), runs)
    load = " ".join(f"{each:.1f}" for each in os.getloadavg())
    print(*cost_lines(measured), "", *verdict_lines(measured, comparisons), "", f"load: {load}", sep="\n")
