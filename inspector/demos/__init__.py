"""Small clients and servers to watch: each demo is one file that can be read as a tutorial and run as both programs.

``python -m inspector.demos.NAME server`` waits for ``python -m inspector.demos.NAME client``.
"""

import sys
from typing import NamedTuple

ROLES = ("server", "client")


class Demo(NamedTuple):
    """A client and a server; the texts about it are ``demo.<name>`` and ``demo.<name>_lesson``."""

    name: str
    port: int

    def command(self, role: str) -> list[str]:
        """How its ``server`` or ``client`` is started."""
        return [sys.executable, "-m", f"{__name__}.{self.name}", role]


DEMOS = {demo.name: demo for demo in (Demo("hello", 8001), Demo("udp", 8002))}
