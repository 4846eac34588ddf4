"""A socket call in words: what was asked, and what came back."""

from inspector.calls.buffers import Fill
from inspector.calls.call import RECEIVING, SENDING, WAITING, Address, ReadySocket, SocketCall
from inspector.calls.matching import EXIT
from inspector.text import clauses, listed, say
from inspector.views.quantities import count, duration
from inspector.views.safe_text import cells, is_text, safe_line, safe_text

_EXPLAINED = frozenset(
    (
        *("EAGAIN", "EINPROGRESS", "ECONNREFUSED", "ECONNRESET", "EPIPE", "ETIMEDOUT", "EADDRINUSE", "ENOTCONN"),
        *("EISCONN", "EMSGSIZE", "EHOSTUNREACH", "ENETUNREACH", "EINTR", "EBADF", "EADDRNOTAVAIL", "timeout"),
    )
)
_NOT_YET = ("EAGAIN", "EINPROGRESS")  # errors that are none: a socket that does not block says so
_LONG_NS = 10_000_000
_POLL_BITS = {0x1: "readable", 0x4: "writable", 0x8: "failed", 0x10: "hung_up", 0x2000: "peer_closed"}
_WITH_ADDRESS = ("connect", "connect_ex", "bind")
_HOW = ("SHUT_RD", "SHUT_WR", "SHUT_RDWR")


def asked(call: SocketCall, room: int) -> str:
    """The call as it would be written in a program, short: ``sendall(5 B)``; without the host where room is scarce."""
    if call.name == EXIT:
        return say("calls.exit")
    words = f"{safe_text(call.name, ascii_only=True)}({_argument(call)})"
    if cells(words) <= room:
        return words
    if call.name in _WITH_ADDRESS:
        return f"{call.name}(:{_argument(call).rpartition(':')[2]})"
    return _argument(call) if call.name == "setsockopt" else words


def came_back(call: SocketCall, quote_cells: int, *, ascii_only: bool = False) -> str:
    """What it returned, "" when that says nothing; data quoted in at most so many cells."""
    if call.exit_ns is None:
        return say("calls.never_returned")
    if call.error:
        return safe_text(call.error, ascii_only=True)
    if call.name in RECEIVING:
        return _data(call, quote_cells, ascii_only=ascii_only)
    if call.name in WAITING:
        return _found_ready(call)
    if call.name == "accept":
        return "" if call.remote is None else _port(call.remote)
    if call.name in SENDING:
        return str(call.returned)
    return ""


def explained(call: SocketCall) -> str:
    """An error, or the end of the stream, in a few words; "" where there is neither."""
    if call.name in RECEIVING and call.protocol == "TCP" and call.returned == 0 and call.asked:
        return say("calls.end_of_stream")
    if call.error == "EAGAIN" and call.name in SENDING:
        return say("calls.no_room")
    if call.error == "ECONNREFUSED" and call.protocol == "UDP":
        return say("calls.unreachable")
    return say(f"calls.{call.error}") if call.error in _EXPLAINED else ""


def fill_words(fill: Fill) -> str:
    """Where bytes are: ``to send 10 B, in flight 5 B, unread 3 B``; what is not known is left out."""
    parts = [("to_send", fill.to_send), ("in_flight", fill.in_flight), ("unread", fill.unread)]
    return listed(say(f"calls.{place}", bytes=count(amount)) for place, amount in parts if amount is not None)


def style_of(call: SocketCall) -> str:
    """An error looks like one, unless it only says "not yet"."""
    return "call.error" if call.error and call.error not in _NOT_YET else "call"


def lasted(call: SocketCall) -> str:
    """How long a call took that took long, else ""."""
    lasted_ns = 0 if call.exit_ns is None else call.exit_ns - call.enter_ns
    return duration(lasted_ns) if lasted_ns >= _LONG_NS else ""


def _argument(call: SocketCall) -> str:
    if call.name == "close" and call.protocol == "TCP" and call.local is not None and call.remote is None:
        return say("calls.listener")
    return safe_text(_raw_argument(call), ascii_only=True)


def _raw_argument(call: SocketCall) -> str:
    if call.name in SENDING and call.asked is not None:
        return f"{count(call.asked)} B"
    if call.name in RECEIVING and call.asked is not None:
        return f"{call.asked}, {call.detail}" if call.detail else str(call.asked)
    if call.name in _WITH_ADDRESS:
        host, _, port = call.detail.partition("|")
        return "" if not port else f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if call.name == "setsockopt":
        return call.detail
    if call.name == "socket":
        return call.protocol
    if call.name == "shutdown" and call.asked is not None:
        return _HOW[call.asked] if call.asked < len(_HOW) else str(call.asked)
    if call.name == "listen" and call.asked is not None:
        return str(call.asked)
    if call.name == "setblocking":
        return str(bool(call.asked))
    if call.name in WAITING and call.asked is not None:
        return f"{count(call.asked)} ms"
    if call.name == "settimeout":
        return call.detail or "None"
    return ""


def _data(call: SocketCall, quote_cells: int, *, ascii_only: bool) -> str:
    if not call.returned:
        return "b''"
    size = f"{count(call.returned)} B"
    room = quote_cells - len(size) - 3
    if room < 6 or not is_text(call.data):
        return size
    return f'{size} "{safe_line(call.data, room, ascii_only=ascii_only, cut=len(call.data) < call.returned)}"'


def _port(address: Address) -> str:
    return f":{address[1]}"


def _found_ready(call: SocketCall) -> str:
    """What a wait found: ``readable: listener, :50000``; a connection is called by the port that tells it apart."""
    found = [
        say(f"calls.{name}", sockets=listed(names))
        for bit, name in _POLL_BITS.items()
        if (names := [_socket_name(socket) for socket in call.ready if socket.bits & bit])
    ]
    return clauses(found) or say("calls.none_ready")


def _socket_name(socket: ReadySocket) -> str:
    if socket.remote is None:
        return say("calls.listener") if socket.protocol == "TCP" else _port(socket.local or ("", 0))
    ports = [address[1] for address in (socket.local, socket.remote) if address is not None]
    return f":{max(ports)}"  # ephemeral ports are the high ones
