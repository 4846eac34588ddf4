"""Fuzz the readers of foreign bytes, guided by what they execute.

    python tests/fuzz/fuzz.py [SECONDS] [TARGET ...]

Each target runs in a process of its own for that long (20 s unless told). What fails is written to ``tests/fuzz/found``
under the target's name; keep it there once it is mended, ``test_fuzz_found.py`` runs it from then on. Needs atheris.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

FOUND = Path(__file__).parent / "found"
LONGEST_BYTES = 16_384


def drive(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which ends with it."""
    import atheris

    with atheris.instrument_imports(include=["inspector"]):
        from targets import TARGETS

    target, seeds = TARGETS[name]
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds()):
            (Path(corpus) / f"{number}").write_bytes(seed)
        limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST_BYTES}", "-timeout=10", "-rss_limit_mb=2048"]
        atheris.Setup([sys.argv[0], corpus, *limits, f"-artifact_prefix={FOUND}/{name}-", "-verbosity=0"], target)
        atheris.Fuzz()


def main() -> int:
    """Fuzz the targets, two at a time; the exit status is 1 when one failed."""
    if sys.argv[1:2] == ["--target"]:
        drive(sys.argv[2], int(sys.argv[3]))
        return 0
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    waiting = sys.argv[2:] or ["files", "frames", "framings", "calls"]
    failed = []
    while waiting:
        running, waiting = waiting[:2], waiting[2:]
        command = [sys.executable, __file__, "--target"]
        processes = [subprocess.Popen([*command, name, str(seconds)]) for name in running]
        failed += [name for name, process in zip(running, processes, strict=True) if process.wait()]
    for name in failed:
        print(f"{name}: failed, see {FOUND}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
