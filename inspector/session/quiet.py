"""When a watch shows nothing: what the machine itself can tell of the reason. Linux; elsewhere it knows nothing."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_CLOSE, _LISTEN = "07", "0A"  # include/net/tcp_states.h; CLOSE is bound and no more
_TABLES = ("tcp", "tcp6", "udp", "udp6")


class KernelSocket(NamedTuple):
    """A socket as proc(5) lists it; ``reachable`` when it listens or takes datagrams."""

    port: int
    inode: str
    reachable: bool


@dataclass(frozen=True, slots=True)
class Quiet:
    """Why nothing is shown: a text key and its parameters."""

    key: str
    port: int | None
    interface: str


def listening_ports() -> frozenset[int] | None:
    """Ports on which a program listens, or has a datagram socket; None where it cannot be known."""
    return local_ports(Path("/proc/net"), listening=True)


def local_ports(network: Path, *, listening: bool = False) -> frozenset[int] | None:
    """Ports of all sockets, or of those that can be reached; None where it cannot be known."""
    sockets = kernel_sockets(network)
    if sockets is None:
        return None
    return frozenset(each.port for each in sockets if each.reachable or not listening)


def kernel_sockets(network: Path) -> list[KernelSocket] | None:
    """The sockets that are more than bound; None where it cannot be known.

    ``network`` is the folder of proc(5) that shows the network meant: this machine's, or a private one.
    """
    found = []
    for name in _TABLES:
        try:
            lines = (network / name).read_text(encoding="ascii").split("\n")[1:]
        except OSError:
            return None
        for fields in filter(None, map(str.split, lines)):
            datagrams, state = name.startswith("udp"), fields[3]
            if datagrams or state != _CLOSE:
                port = int(fields[1].rpartition(":")[2], 16)
                found.append(KernelSocket(port, fields[9], datagrams or state == _LISTEN))
    return found


def reason(interface: str, ports: frozenset[int], captured: int) -> Quiet:
    """What is known of a watch that has shown nothing although ``captured`` packets came by."""
    listening = listening_ports()
    if ports and listening is not None and not ports & listening and interface == "lo":
        return Quiet("watch.nobody_listens", min(ports), interface)
    if captured and ports:
        return Quiet("watch.other_traffic", min(ports), interface)
    if captured:
        return Quiet("watch.none_matches", None, interface)
    return Quiet("watch.no_traffic", min(ports, default=None), interface)
