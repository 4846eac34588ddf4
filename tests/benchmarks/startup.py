"""How long the program takes to begin, beside the interpreter alone and tshark.

python tests/benchmarks/startup.py [--runs N]
"""

import argparse
import sys
from pathlib import Path

from measuring import INSPECTOR, Comparison, Programs, report

HELLO = str(Path(__file__).parents[2] / "captures" / "hello.pcapng")
VERSION, HELP, REPLAY = "inspector --version", "inspector --help", "inspector replay hello"
NOTHING, RICH, TSHARK = "python -c pass", "python -c 'import rich.console'", "tshark -r hello.pcapng"

PROGRAMS: Programs = {
    VERSION: [INSPECTOR, "--version"],
    NOTHING: [sys.executable, "-c", "pass"],
    HELP: [INSPECTOR, "--help"],
    RICH: [sys.executable, "-c", "import rich.console"],
    REPLAY: [INSPECTOR, "replay", "hello"],
    TSHARK: ["tshark", "-r", HELLO],
}
REQUIRED = (Comparison(VERSION, NOTHING, 3), Comparison(HELP, RICH, 2), Comparison(REPLAY, TSHARK, 1.2))


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20, metavar="N")
    report(PROGRAMS, REQUIRED, parser.parse_args().runs)


if __name__ == "__main__":
    main()
