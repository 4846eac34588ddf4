"""The socket call of a program, whoever recorded it."""

from typing import NamedTuple

_MAPPED = "::ffff:"

Address = tuple[str, int]  # host as text, port


def plain_host(host: str) -> str:
    """A host as it is on the wire: IPv4 behind an IPv6 socket is IPv4 (ipv6(7))."""
    return host.removeprefix(_MAPPED) if host.startswith(_MAPPED) and "." in host else host


class ReadySocket(NamedTuple):
    """A socket that a wait was about: ``bits`` are poll(2)'s, 0 when it was not ready; a listener has no ``remote``."""

    fd: int
    bits: int
    protocol: str
    local: Address | None
    remote: Address | None


class SocketCall(NamedTuple):
    """One call: when it entered and returned, what was asked, what came back.

    ``asked`` is bytes offered or the size of a buffer, a backlog, a timeout in milliseconds; ``returned`` what the
    call gave back as a number (bytes, a descriptor, how many are ready); both None where there is no such number.
    ``data`` is the beginning of what was sent or received. ``error`` is errno's name, "" when it succeeded;
    ``detail`` an option, an address, flags of a receive, the descriptors asked about, or a kind of socket; ``ready``
    the sockets that a wait found ready, or when it found none, those that it asked about. ``slack_ns`` is how much
    later than told it may have returned: strace takes the time before it looks up what it writes, and only then lets
    the call begin.
    """

    process: int
    thread: int
    name: str
    fd: int
    socket: int  # tells sockets apart that had the same descriptor one after the other; 0 for none
    enter_ns: int
    exit_ns: int | None  # None: it never returned
    asked: int | None = None
    returned: int | None = None
    error: str = ""
    protocol: str = ""  # TCP, UDP; "" when it is not known
    local: Address | None = None
    remote: Address | None = None
    detail: str = ""
    slack_ns: int = 0
    ready: tuple[ReadySocket, ...] = ()
    data: bytes = b""


NOT_TAKING = frozenset(("MSG_PEEK", "MSG_OOB", "MSG_ERRQUEUE"))
"""Flags of a receive that leaves the stream as it is."""
SENDING = frozenset(("send", "sendall", "sendto", "sendmsg", "sendfile", "write", "writev"))
RECEIVING = frozenset(("recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg", "read", "readv"))
WAITING = frozenset(("select", "poll", "epoll"))
