"""Small clients and servers to watch: each demo is one file that can be read as a tutorial and run as all its programs.

``python -m inspector.demos.NAME ROLE [VARIANT]`` is one program of a demo; ``inspector demo NAME`` runs them
together.
"""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

TUTORIAL, FIXED = "tutorial", "fixed"
_SHARED = ("stage", "sockets")  # used by demos


class Demo(NamedTuple):
    """Programs by role, in the order they are started; the texts about them are ``demo.<name>`` and more.

    ``variants``: the first one is run unless another is asked for. ``mtu_of`` variants that pretend a network card with
    that MTU; ``net_admin`` when the programs need rights over the private network.
    """

    name: str
    roles: tuple[str, ...] = ("server", "client")
    variants: tuple[str, ...] = (FIXED,)
    mtu_of: Mapping[str, int] = {}
    net_admin: bool = False

    @property
    def module(self) -> str:
        """Where its programs are."""
        return f"{__name__}.{self.name.replace('-', '_')}"

    def capture(self, variant: str) -> str:
        """The name of its bundled capture."""
        return self.name if variant == self.variants[0] else f"{self.name}-{variant}"

    def command(self, role: str, variant: str) -> list[str]:
        """How one of its programs is started."""
        return [sys.executable, "-m", self.module, role, *([variant] if len(self.variants) > 1 else [])]


def names() -> list[str]:
    """All demos: every file of this folder that is not shared by them."""
    files = Path(__file__).parent.glob("[a-z]*.py")
    return sorted(file.stem.replace("_", "-") for file in files if file.stem not in _SHARED)


def find(name: str) -> Demo | None:
    """The demo of that name; None when there is none."""
    if name not in names():
        return None
    demo: Demo = import_module(f"{__name__}.{name.replace('-', '_')}").DEMO
    return demo


def play(roles: Mapping[str, Callable[..., None]]) -> None:
    """Be the program that the command line names: a role, and a variant for the roles of demos that have several."""
    roles[sys.argv[1]](*sys.argv[2:])
