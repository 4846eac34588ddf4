"""Puts what the program prints now into docs/zh/quickstart.md: python docs/make_quickstart.py.

A block that begins with ``$ command`` is that command and its output. A test runs this and compares.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[1]
QUICKSTART = PROJECT / "docs" / "zh" / "quickstart.md"
_BLOCK = re.compile(r"(```console\n\$ )(.+)\n[^`]*?(```)")
_OURS = 'inspector() { "$PYTHON" -m inspector "$@"; }'


def output_of(command: str, folder: Path = PROJECT) -> str:
    """What a command prints on a terminal of 80 columns; raises when it fails."""
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "COLUMNS": "80", "PYTHON": sys.executable}
    environment["PYTHONPATH"] = str(PROJECT)
    script = f"{_OURS}\n{command.replace('.venv/bin/inspector', 'inspector')}"
    return subprocess.run(
        ["sh", "-c", script], stdout=subprocess.PIPE, encoding="utf-8", env=environment, cwd=folder, check=True
    ).stdout


def renewed(text: str) -> str:
    """The text with the output of today."""
    return _BLOCK.sub(lambda block: f"{block[1]}{block[2]}\n{output_of(block[2])}{block[3]}", text)


if __name__ == "__main__":
    QUICKSTART.write_text(renewed(QUICKSTART.read_text(encoding="utf-8")), encoding="utf-8")
