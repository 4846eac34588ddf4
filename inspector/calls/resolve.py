"""Which connection a recorded call belongs to: descriptors of processes become sockets with endpoints."""

import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from inspector.calls.call import WAITING, Address, ReadySocket, SocketCall, plain_host
from inspector.calls.injected.inspector_recorder import ANSWER_BYTES, TEXT_BYTES
from inspector.calls.spool import RecordedCall

_PROTOCOLS = {"SOCK_STREAM": "TCP", "SOCK_DGRAM": "UDP"}
_FAMILIES = ("AF_INET", "AF_INET6")


@dataclass
class _Socket:
    number: int
    protocol: str = ""
    local: Address | None = None
    remote: Address | None = None


class CallResolver:
    """Feed it the calls of all processes as they were recorded; it knows what their descriptors stand for."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._sockets: dict[int, dict[int, _Socket]] = {}  # by process, by descriptor

    def feed(self, calls: Iterable[RecordedCall]) -> list[SocketCall]:
        """The calls with their endpoints, as far as these are known by then, in the order they were entered.

        A call that has not returned changes nothing.
        """
        return [
            resolved
            for call in sorted(calls, key=lambda call: call.entered_ns)
            if (resolved := self._resolve(call)) is not None
        ]

    def _resolve(self, call: RecordedCall) -> SocketCall | None:
        sockets = self._sockets.setdefault(call.process, {})
        if call.name == "program":
            sockets.update(self._sockets.get(call.asked, {}))  # a fork has what its parent had
            return None
        if call.name in WAITING:
            return _socket_call(call, _Socket(0))._replace(ready=tuple(_ready(call, sockets)))
        if call.name == "socket":
            family, _, kind = call.text.partition("|")
            known = family in _FAMILIES
            sockets[call.fd] = _Socket(next(self._numbers), _PROTOCOLS.get(kind, "") if known else "")
        socket = sockets.get(call.fd)
        if socket is None:
            socket = sockets[call.fd] = _Socket(next(self._numbers))
        if call.returned_ns is not None:
            socket = self._changed(call, socket, sockets)
        remote = _address(call.answer if call.name.startswith("recvfrom") else call.text)
        datagram = call.name in ("sendto", "recvfrom", "recvfrom_into", "recvmsg")
        return _socket_call(call, socket, remote if datagram else None)

    def _changed(self, call: RecordedCall, socket: _Socket, sockets: dict[int, _Socket]) -> _Socket:
        """What the call has made of its socket; accept's is the new one."""
        words = call.answer.split("|")
        if call.name == "accept" and not call.error:
            ends = _address("|".join(words[:2])), _address("|".join(words[2:]))
            accepted = sockets[call.result] = _Socket(next(self._numbers), socket.protocol, *ends)
            return accepted
        if call.name == "bind" and not call.error:
            socket.local = _address(call.answer)
        elif call.name in ("connect", "connect_ex"):
            socket.local = _address("|".join(words[:2])) or socket.local
            socket.remote = _address("|".join(words[2:])) or _address(call.text)
        elif call.name == "sendto" and call.answer:
            socket.local = _address(call.answer)
        elif call.name in ("close", "detach"):
            sockets.pop(call.fd, None)
        return socket


def completed(calls: Iterable[SocketCall]) -> list[SocketCall]:
    """The calls with the endpoints that their sockets got later: ``socket()`` belongs to what it became.

    A datagram socket that met several peers belongs to none of them in particular. A wait is there once for each of
    its sockets; a listener that was ready means the connection that was accepted next.
    """
    all_calls = list(_each_socket(calls))
    pairs: dict[int, set[tuple[Address, Address]]] = {}
    bound: dict[int, Address] = {}
    for call in all_calls:
        if call.socket and call.local is not None:
            bound.setdefault(call.socket, call.local)
            if call.remote is not None:
                pairs.setdefault(call.socket, set()).add((call.local, call.remote))
    return [_completed(call, pairs.get(call.socket, set()), bound.get(call.socket)) for call in all_calls]


def _each_socket(calls: Iterable[SocketCall]) -> Iterator[SocketCall]:
    accepted: dict[tuple[int, int], SocketCall] = {}
    result = []
    for call in reversed(list(calls)):
        if call.name not in WAITING:
            result.append(call)
            if call.name == "accept" and call.remote is not None:
                accepted[call.process, call.fd] = call
            continue
        for socket in call.ready:
            local, remote = socket.local, socket.remote
            following = accepted.get((call.process, socket.fd)) if remote is None else None
            if following is not None:
                local, remote = following.local, following.remote
            result.append(call._replace(fd=socket.fd, protocol=socket.protocol, local=local, remote=remote))
    return reversed(result)


def _completed(call: SocketCall, pairs: set[tuple[Address, Address]], bound: Address | None) -> SocketCall:
    if call.local is not None and call.remote is not None:
        return call
    if len(pairs) == 1:
        [(local, remote)] = pairs
        return call._replace(local=local, remote=call.remote or remote)
    return call._replace(local=call.local or bound)


def _error(call: RecordedCall) -> str:
    failed = call.name == "connect_ex" and call.result > 0  # it returns the number instead of raising
    return errno.errorcode.get(call.result, str(call.result)) if failed else call.error


def _socket_call(call: RecordedCall, socket: _Socket, remote: Address | None = None) -> SocketCall:
    error = _error(call)
    return SocketCall(
        process=call.process,
        thread=call.thread,
        name=call.name,
        fd=call.fd,
        socket=socket.number,
        enter_ns=call.entered_ns,
        exit_ns=call.returned_ns,
        asked=None if call.asked < 0 else call.asked,
        returned=None if call.returned_ns is None or error else call.result,
        error=error,
        protocol=socket.protocol,
        local=socket.local or (_address(call.text) if call.name == "bind" else None),
        remote=remote or socket.remote,
        detail=call.text,
        data=call.data,
    )


def _address(text: str) -> Address | None:
    host, _, port = text.partition("|")
    return (plain_host(host), int(port)) if host and port.isdecimal() else None


def _ready(call: RecordedCall, sockets: Mapping[int, _Socket]) -> Iterator[ReadySocket]:
    """The network sockets that were ready; when none was, those asked about."""
    found = list(_descriptors(call.answer, ANSWER_BYTES))
    for fd, bits in found or [(fd, 0) for fd, _ in _descriptors(call.text, TEXT_BYTES)]:
        socket = sockets.get(fd)
        if socket is not None and socket.protocol:
            yield ReadySocket(fd, bits, socket.protocol, socket.local, socket.remote)


def _descriptors(text: str, room: int) -> Iterator[tuple[int, int]]:
    """``fd:bits`` of poll and epoll; ``r3,4 w5`` of select, as poll(2)'s bits POLLIN and POLLOUT.

    A text that fills its room may have been cut within its last number.
    """
    if len(text) == room:
        text = text[: max(text.rfind(" "), text.rfind(","), 0)]
    for word in text.split(" "):
        if word[:1] in ("r", "w"):
            bits = 1 if word[0] == "r" else 4
            yield from ((int(fd), bits) for fd in word[1:].split(",") if fd.isdecimal())
        elif ":" in word:
            fd, _, bits_text = word.partition(":")
            if fd.isdecimal() and bits_text:
                yield int(fd), int(bits_text, 16)
