"""Records the socket calls of the Python process it is loaded into, without changing what they do.

Each call has a slot of fixed size in a mapped file ``<pid>.calls``: written when it is entered, completed when it has
returned. What is written belongs to the kernel's page cache at once, so a program that is killed loses nothing, and its
last call stands there as entered. A slot's number comes from one counter, so threads and signal handlers need no lock.
``inspector.calls.spool`` reads the files.

Imports the standard library only: it runs in programs that have no ``inspector``.
"""

import functools
import mmap
import os
import select
import selectors
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable
from itertools import count
from time import time_ns
from typing import Any

NAMES = (
    *("program", "socket", "setsockopt", "bind", "listen", "accept", "connect", "connect_ex"),
    *("send", "sendall", "sendto", "sendmsg", "sendfile", "recv", "recv_into", "recvfrom", "recvfrom_into", "recvmsg"),
    *("shutdown", "close", "detach", "setblocking", "settimeout", "select", "poll", "epoll"),
)
WIRE_OPTIONS = (
    *("SO_KEEPALIVE", "SO_LINGER", "SO_RCVBUF", "SO_SNDBUF", "SO_REUSEADDR", "SO_REUSEPORT"),
    *("TCP_NODELAY", "TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_QUICKACK", "TCP_CORK"),
)  # the socket options that change what is on the wire
ENTERED, RETURNED, VOID = 1, 2, 3
SLOT_BYTES = 256
FILE_BYTES = 1 << 30  # four million calls

# state, name, errno, descriptor, thread, entered (ns), asked, length of text asked, length of data
ENTRY = struct.Struct("<BBHiqqqHH")
# returned (ns), result, length of text returned
EXIT = struct.Struct("<qqH")
EXIT_AT = ENTRY.size
TEXT_AT = EXIT_AT + EXIT.size
TEXT_BYTES = 40
ANSWER_AT = TEXT_AT + TEXT_BYTES
ANSWER_BYTES = 64
DATA_AT = ANSWER_AT + ANSWER_BYTES
DATA_BYTES = SLOT_BYTES - DATA_AT
_ERROR_AT = 2
_LEAST_DESCRIPTOR = 60

_CODE = {name: index for index, name in enumerate(NAMES)}
TIMED_OUT = 0xFFFF  # Python's own timeout, which has no errno
_RECEIVE_FLAGS = {
    name: int(getattr(socket, name))
    for name in ("MSG_PEEK", "MSG_WAITALL", "MSG_DONTWAIT", "MSG_OOB", "MSG_TRUNC", "MSG_ERRQUEUE")
    if hasattr(socket, name)
}
_WIRE_OPTIONS = {
    (getattr(socket, level), getattr(socket, name)): name
    for name in WIRE_OPTIONS
    for level in ("SOL_SOCKET" if name.startswith("SO_") else "IPPROTO_TCP",)
    if hasattr(socket, level) and hasattr(socket, name)
}


class Journal:
    """The slots of one process."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self.begin()

    def begin(self) -> None:
        """Start anew, for a process just begun or forked."""
        self._slots = count()
        self._file = _mapped(os.path.join(self._folder, f"{os.getpid()}.calls"))  # noqa: PTH118
        script = next((word for word in sys.orig_argv[1:] if not word.startswith("-")), sys.executable)
        self.leave(self.enter("program", -1, os.getppid(), text=os.path.basename(script)), 0)  # noqa: PTH119

    def enter(self, name: str, fd: int, asked: int = -1, *, text: str = "", data: Any = b"") -> int:
        """A call begins; ``leave`` takes what this returns."""
        at = next(self._slots) * SLOT_BYTES
        if at >= FILE_BYTES:
            return -1
        file = self._file
        state = VOID
        try:
            words = text.encode("utf-8", "replace")[:TEXT_BYTES] if text else b""
            head = bytes(data[:DATA_BYTES]) if data else b""
            ENTRY.pack_into(
                file, at, 0, _CODE[name], 0, fd, threading.get_native_id(), time_ns(), asked, len(words), len(head)
            )
            if words:
                file[at + TEXT_AT : at + TEXT_AT + len(words)] = words
            if head:
                file[at + DATA_AT : at + DATA_AT + len(head)] = head
            state = ENTERED
        finally:  # arguments that are no numbers: the call itself will refuse them
            file[at] = state
        return at

    def leave(self, at: int, result: int, *, error: int = 0, text: str = "", data: Any = b"") -> None:
        """The call that ``enter`` put down has returned."""
        if at < 0:
            return
        returned_ns = time_ns()
        file = self._file
        words = text.encode("utf-8", "replace")[:ANSWER_BYTES] if text else b""
        EXIT.pack_into(file, at + EXIT_AT, returned_ns, result, len(words))
        if words:
            file[at + ANSWER_AT : at + ANSWER_AT + len(words)] = words
        if error:
            struct.pack_into("<H", file, at + _ERROR_AT, error)
        if data:
            head = bytes(data[:DATA_BYTES])
            file[at + DATA_AT : at + DATA_AT + len(head)] = head
            struct.pack_into("<H", file, at + EXIT_AT - 2, len(head))
        file[at] = RETURNED


def _mapped(path: str) -> mmap.mmap:
    """A new file, mapped whole; it is sparse, so only what is written takes room.

    The mapping keeps a descriptor of its own. It gets a high number, so that the program's own are what they would be.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    low = [fd]
    try:
        os.ftruncate(fd, FILE_BYTES)
        while low[-1] < _LEAST_DESCRIPTOR:
            low.append(os.dup(fd))
        return mmap.mmap(fd, FILE_BYTES)
    finally:
        for descriptor in low:
            os.close(descriptor)


def begin(folder: str) -> None:
    """Record this process and its forks into files in ``folder`` from now on."""
    journal = Journal(folder)
    os.register_at_fork(after_in_child=journal.begin)
    _wrap_sockets(journal)
    _wrap_waits(journal)


def _error_number(error: BaseException) -> int:
    if isinstance(error, TimeoutError):
        return error.errno or TIMED_OUT
    return (error.errno or 0) if isinstance(error, OSError) else 0


def address_text(address: Any) -> str:
    """``host|port`` of an address; a path or nothing is empty."""
    return f"{address[0]}|{address[1]}" if isinstance(address, tuple) and len(address) >= 2 else ""


def _ends(sock: Any) -> str:
    """Both ends of a connection, as far as there are any: ``host|port|host|port``."""
    try:
        local = address_text(sock.getsockname())
    except OSError:
        return ""
    try:
        return f"{local}|{address_text(sock.getpeername())}"
    except OSError:
        return local


_Before = Callable[..., tuple[int, str, Any]]  # (sock, *args) -> bytes asked, text, data
_After = Callable[..., tuple[int, str, Any]]  # (sock, result, *args) -> result as a number, text, data


def _wrap(journal: Journal, name: str, before: _Before, after: _After, method: str = "") -> None:
    original = getattr(socket.socket, method or name)

    @functools.wraps(original)
    def recorded(self: Any, *args: Any, **keywords: Any) -> Any:
        try:
            asked, text, data = before(self, *args, **keywords)
            where = journal.enter(name, self.fileno(), asked, text=text, data=data)
        except Exception:  # arguments that the call itself will refuse
            return original(self, *args, **keywords)
        try:
            result = original(self, *args, **keywords)
        except BaseException as error:
            text = _ends(self) if name == "connect" else ""
            journal.leave(where, -1, error=_error_number(error), text=text)
            raise
        number, text, data = after(self, result, *args, **keywords)
        journal.leave(where, number, text=text, data=data)
        return result

    setattr(socket.socket, method or name, recorded)


def _nothing_before(*_: Any, **__: Any) -> tuple[int, str, Any]:
    return -1, "", b""


def _nothing_after(*_: Any, **__: Any) -> tuple[int, str, Any]:
    return 0, "", b""


def _number_after(_sock: Any, result: Any, *_: Any, **__: Any) -> tuple[int, str, Any]:
    return result, "", b""


def _received(_sock: Any, result: bytes, *_: Any, **__: Any) -> tuple[int, str, Any]:
    return len(result), "", result


def _option(_sock: Any, level: int, option: int, value: Any = None, *_: Any) -> tuple[int, str, Any]:
    name = _WIRE_OPTIONS.get((level, option))
    if name is None:
        raise ValueError  # it does not change the wire: not recorded
    if isinstance(value, int):
        return value, f"{name}={value}", b""
    if name == "SO_LINGER":
        on, seconds = struct.unpack("ii", bytes(value))
        return seconds, f"{name}={f'{seconds} s' if on else 'off'}", b""
    return -1, f"{name}={bytes(value).hex()}", b""


def _wrap_sockets(journal: Journal) -> None:
    original_init = socket.socket.__init__

    def recorded_init(
        self: Any,
        family: int = -1,
        type: int = -1,
        proto: int = -1,
        fileno: "int | None" = None,
    ) -> None:
        original_init(self, family, type, proto, fileno)
        if fileno is None:
            where = journal.enter("socket", self.fileno(), text=f"{self.family.name}|{self.type.name}")
            journal.leave(where, self.fileno())

    functools.update_wrapper(recorded_init, original_init)
    socket.socket.__init__ = recorded_init  # type: ignore[method-assign]
    table: list[tuple[str, _Before, _After, str]] = [
        ("setsockopt", _option, _nothing_after, ""),
        ("bind", lambda _, address: (-1, address_text(address), b""), lambda sock, *_: (0, _ends(sock), b""), ""),
        ("listen", lambda _, backlog=-1: (backlog, "", b""), _nothing_after, ""),
        ("accept", _nothing_before, lambda _, result: (result[0].fileno(), _ends(result[0]), b""), ""),
        ("connect", lambda _, to: (-1, address_text(to), b""), lambda sock, *_: (0, _ends(sock), b""), ""),
        (
            "connect_ex",
            lambda _, to: (-1, address_text(to), b""),
            lambda sock, result, *_: (result, _ends(sock), b""),
            "",
        ),
        ("send", lambda _, data, *__: (len(data), "", data), _number_after, ""),
        ("sendall", lambda _, data, *__: (len(data), "", data), lambda _, __, data, *___: (len(data), "", b""), ""),
        ("sendto", lambda _, data, *to: (len(data), address_text(to[-1]), data), _sent_to, ""),
        ("sendmsg", lambda _, parts, *__: (sum(map(len, parts)), "", b"".join(parts)), _number_after, ""),
        ("sendfile", lambda _, file, offset=0, number=None: (number or -1, "", b""), _number_after, ""),
        ("recv", lambda _, size, flags=0: (size, _flags(flags), b""), _received, ""),
        (
            "recv_into",
            lambda _, buffer, size=0, flags=0: (size or len(buffer), _flags(flags), b""),
            _received_into,
            "",
        ),
        ("recvfrom", lambda _, size, flags=0: (size, _flags(flags), b""), _received_from, ""),
        (
            "recvfrom_into",
            lambda _, buffer, size=0, flags=0: (size or len(buffer), _flags(flags), b""),
            lambda _, result, buffer, *__: (result[0], address_text(result[1]), memoryview(buffer)[: result[0]]),
            "",
        ),
        (
            "recvmsg",
            lambda _, size, space=0, flags=0: (size, _flags(flags), b""),
            lambda _, result, *__: (len(result[0]), address_text(result[3]), result[0]),
            "",
        ),
        ("shutdown", lambda _, how: (int(how), "", b""), _nothing_after, ""),
        ("close", _nothing_before, _nothing_after, "_real_close"),
        ("detach", _nothing_before, _number_after, ""),
        ("setblocking", lambda _, flag: (int(flag), "", b""), _nothing_after, ""),
        ("settimeout", lambda _, seconds: (-1, "" if seconds is None else str(seconds), b""), _nothing_after, ""),
    ]
    for name, before, after, method in table:
        _wrap(journal, name, before, after, method)


def _flags(flags: int) -> str:
    """The flags of a receive by name; "" without any."""
    return "|".join(name for name, bit in _RECEIVE_FLAGS.items() if flags & bit) if flags else ""


def _sent_to(sock: Any, result: int, *_: Any) -> tuple[int, str, Any]:
    return result, address_text(sock.getsockname()), b""


def _received_into(_sock: Any, result: int, buffer: Any, *_: Any, **__: Any) -> tuple[int, str, Any]:
    return result, "", memoryview(buffer)[:result] if result else b""


def _received_from(_sock: Any, result: Any, *_: Any, **__: Any) -> tuple[int, str, Any]:
    return len(result[0]), address_text(result[1]), result[0]


def _descriptor(thing: Any) -> int:
    return thing if isinstance(thing, int) else thing.fileno()


def _set_text(letter: str, things: Iterable[Any]) -> str:
    return letter + ",".join(str(_descriptor(thing)) for thing in things)


def _events_text(events: Iterable[tuple[int, int]]) -> str:
    """Ready descriptors with poll(2)'s bits, as far as they fit."""
    return " ".join(f"{fd}:{bits:x}" for fd, bits in events)


def _wrap_waits(journal: Journal) -> None:
    original_select, original_poll = select.select, select.poll
    original_epoll: Any = getattr(select, "epoll", None)
    module: Any = select

    @functools.wraps(original_select)
    def recorded_select(rlist: Any, wlist: Any, xlist: Any, timeout: Any = None) -> Any:
        try:
            asked = f"{_set_text('r', rlist)} {_set_text('w', wlist)}"
            where = journal.enter("select", -1, _milliseconds(timeout, 1000), text=asked)
        except Exception:  # arguments that the call itself will refuse
            return original_select(rlist, wlist, xlist, timeout)
        try:
            result = original_select(rlist, wlist, xlist, timeout)
        except BaseException as error:
            journal.leave(where, -1, error=_error_number(error))
            raise
        ready = sum(map(len, result))
        journal.leave(where, ready, text=f"{_set_text('r', result[0])} {_set_text('w', result[1])}")
        return result

    class RecordedPoll:
        """A poll or epoll object; all but the wait is its own."""

        def __init__(self, inner: Any, name: str) -> None:
            self._inner = inner
            self._name = name
            self._to_ms = 1000 if name == "epoll" else 1
            self._asked: set[int] = set()  # descriptors

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def __enter__(self) -> "RecordedPoll":
            self._inner.__enter__()
            return self

        def __exit__(self, *args: Any) -> None:
            self._inner.__exit__(*args)

        def register(self, fd: Any, *more: Any) -> None:
            """As the inner object does."""
            self._inner.register(fd, *more)
            self._asked.add(_descriptor(fd))

        def unregister(self, fd: Any) -> None:
            """As the inner object does."""
            self._inner.unregister(fd)
            self._asked.discard(_descriptor(fd))

        def poll(self, timeout: Any = None, *more: Any) -> Any:
            """Wait, as the inner object does."""
            try:
                asked = _set_text("r", self._asked)
                where = journal.enter(self._name, -1, _milliseconds(timeout, self._to_ms), text=asked)
            except Exception:  # arguments that the call itself will refuse
                return self._inner.poll(timeout, *more)
            try:
                result = self._inner.poll(timeout, *more)
            except BaseException as error:
                journal.leave(where, -1, error=_error_number(error))
                raise
            journal.leave(where, len(result), text=_events_text(result))
            return result

    def recorded_poll() -> Any:
        return RecordedPoll(original_poll(), "poll")

    module.select, module.poll = recorded_select, recorded_poll
    if hasattr(selectors, "SelectSelector"):
        selectors.SelectSelector._select = staticmethod(recorded_select)  # type: ignore[attr-defined]
    if hasattr(selectors, "PollSelector"):
        selectors.PollSelector._selector_cls = staticmethod(recorded_poll)  # type: ignore[attr-defined]
    if original_epoll is not None:

        class RecordedEpoll(RecordedPoll):
            """select.epoll, recorded."""

            def __init__(self, *args: Any, **keywords: Any) -> None:
                super().__init__(original_epoll(*args, **keywords), "epoll")

            @staticmethod
            def fromfd(fd: int) -> Any:
                """As select.epoll.fromfd."""
                return RecordedPoll(original_epoll.fromfd(fd), "epoll")

        module.epoll = RecordedEpoll
        selectors.EpollSelector._selector_cls = RecordedEpoll  # type: ignore[attr-defined]


def _milliseconds(timeout: Any, factor: int) -> int:
    """-1 for no limit."""
    return -1 if timeout is None or timeout < 0 else int(timeout * factor)
