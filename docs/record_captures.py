"""Records every demo in every variant, with its socket calls, as bundled captures: docs/record_captures.py [DEMO]...

They are shown where a demo cannot run, and held to the same grammar as the demos themselves. What loopback cannot
show is recorded by record_wire.py.
"""

import subprocess
import sys
from pathlib import Path

from inspector import demos

FOLDER = Path(__file__).parents[1] / "captures"


def main(names: list[str]) -> None:
    """Record the demos named, or all."""
    for name in names or demos.names():
        demo = demos.find(name)
        assert demo is not None, name
        for variant in demo.variants:
            file = FOLDER / f"{demo.capture(variant)}.pcapng"
            command = ["inspector", "demo", name, "--variant", variant, "--write", str(file), "--overwrite"]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main(sys.argv[1:])
