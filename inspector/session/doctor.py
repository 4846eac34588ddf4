"""What this machine allows: the right to capture, private networks, tools. What is missing comes with its remedy."""

import os
import platform
import shutil
import socket
from collections.abc import Iterator
from ctypes.util import find_library
from pathlib import Path
from typing import NamedTuple

from inspector import __version__, sandbox
from inspector.capture.privileges import can_capture, command_as_root
from inspector.text import listed, say

_IFF_UP = 0x1  # linux/if.h
_LEAST_COLUMNS = 80


class Check(NamedTuple):
    """One thing that was looked at: ``doctor.<name>`` is its title; ``remedy`` is None where nothing is missing."""

    name: str
    found: str
    remedy: str | None = None


class Screen(NamedTuple):
    """Standard output as it will be drawn on; ``rows`` is None where it is no terminal."""

    columns: int
    rows: int | None
    colored: bool
    ascii: bool
    encoding: str


def checks(program: str, screen: Screen) -> Iterator[Check]:
    """Everything that commands depend on; ``program`` is sys.argv[0]."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    versions = {"version": __version__, "python": platform.python_version(), "system": system}
    yield Check("platform", say("doctor.platform_found", **versions))
    yield _checked("capture", can_capture(), command=command_as_root([program, "watch"]))
    refusal = sandbox.refusal()
    yield _checked("private", refusal is None, reason=refusal)
    yield _checked("libpcap", (library := find_library("pcap")) is not None, path=library)
    yield _checked("strace", (strace := shutil.which("strace")) is not None, path=strace)
    yield Check("interfaces", listed(map(_interface, socket.if_nameindex())))
    yield _terminal(screen)


def _checked(name: str, present: bool, **parameters: object) -> Check:
    found = say(f"doctor.{name}_{'yes' if present else 'no'}", **parameters)
    return Check(name, found, None if present else say(f"doctor.{name}_remedy", **parameters))


def _interface(indexed: tuple[int, str]) -> str:
    _, name = indexed
    try:
        flags = int(Path("/sys/class/net", name, "flags").read_text(encoding="ascii"), 16)
    except OSError:  # not Linux, or gone in this moment
        return name
    return say("doctor.interface_up" if flags & _IFF_UP else "doctor.interface_down", name=name)


def _terminal(screen: Screen) -> Check:
    """Size, colour and encoding; the first of them that spoils the pictures is remedied."""
    size = "pipe" if screen.rows is None else "size"
    color = say("doctor.colored" if screen.colored else "doctor.plain")
    found = say(f"doctor.terminal_{size}", **screen._asdict() | {"color": color})
    if screen.ascii:
        return Check("terminal", found, say("doctor.encoding_remedy"))
    if screen.columns < _LEAST_COLUMNS:
        return Check("terminal", found, say("doctor.columns_remedy", least=_LEAST_COLUMNS))
    if not screen.colored and os.environ.get("NO_COLOR"):
        return Check("terminal", found, say("doctor.no_color_remedy"))
    return Check("terminal", found)
