"""Records every demo in every variant, with its socket calls, as bundled captures: docs/record_captures.py [DEMO]...

They are shown where a demo cannot run, and held to the same grammar as the demos themselves.

Two others are of no demo. ``gso`` is the demo ``mtu`` on a loopback with an MTU of 1500 where segmentation offload was
left on (``unshare -Urn``, ``ip link set lo mtu 1500 up``, ``inspector run --host-network``). ``ethernet`` is a request
and its answer between two network namespaces, 80 ms apart, without offloads (close_immediate_answer, client side, of
the kernel_lab captures, CC0). What else loopback cannot show is recorded by record_wire.py.
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
