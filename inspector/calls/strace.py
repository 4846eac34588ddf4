"""Socket calls of any program, read from what strace(1) writes about it.

strace names each descriptor's socket with its endpoints (``-yy``), so nothing must be remembered but which socket a
descriptor was before it had any. All processes and threads of one program share that memory.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import count

from inspector.calls.call import RECEIVING, SENDING, WAITING, Address, ReadySocket, SocketCall, plain_host
from inspector.calls.injected.inspector_recorder import WIRE_OPTIONS
from inspector.text.problems import LiveProblem

_NS_PER_S = 1_000_000_000
_TRACED = (
    *("socket", "setsockopt", "bind", "listen", "accept", "accept4", "connect", "shutdown", "close"),
    *("select", "pselect6", "poll", "ppoll", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2"),
    *("sendto", "sendmsg", "sendfile", "write", "writev", "recvfrom", "recvmsg", "read", "readv"),
)
_DATA_BYTES = 128
_SAME_AS = {
    "accept4": "accept",
    "pselect6": "select",
    "ppoll": "poll",
    **dict.fromkeys(("epoll_wait", "epoll_pwait", "epoll_pwait2"), "epoll"),
}
_LINE = re.compile(r"(\d+) +(\d+)\.(\d{9}) (.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(.*)")
_UNFINISHED = " <unfinished ...>"
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+|\?)(<[^ ]*>)?(?: (E\w+) \([^)]*\))?(?: (\(.*\)))?(?: <(\d+)\.(\d+)>)?$")
_EPOLL_CTL = re.compile(r"(\d+)<[^,]*, EPOLL_CTL_(\w+), (\d+)[<,](?:.*u64=(\d+))?")
_POLLED = re.compile(r"fd=(\d+)[^,}]*, revents=([A-Z|]+)")
_WOKEN = re.compile(r"events=([A-Z|]+), data=.*?u64=(\d+)")
_SELECTED = {"in": "POLLIN", "out": "POLLOUT", "exc": "POLLERR"}
_SET = re.compile(r"(in|out|exc) \[([\d ]*)\]")
_TIME = re.compile(r"tv_sec=(\d+), tv_([nu])sec=(\d+)")
_TIMEOUT = re.compile(r"\], \d+, (\d+)")  # of poll and epoll_wait
_BITS = {"IN": 0x1, "OUT": 0x4, "ERR": 0x8, "HUP": 0x10, "RDHUP": 0x2000}
_SOCKET = re.compile(r"(?:(\d+))?<(TCP|UDP)(?:v6)?:\[(.*?)\](?:,[^>]*)?>")
_ENDS = re.compile(r"(.+):(\d+)->(.+):(\d+)")
_LOCAL = re.compile(r"(.+):(\d+)")
_TARGET = re.compile(r'htons\((\d+)\).*?"([^"]*)"')
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_SIZE = re.compile(r"(?:\"(?:\.\.\.)?|NULL|0x[0-9a-f]+|\]), (\d+)")
_LINGER = re.compile(r"SO_LINGER, \{l?_?onoff=(\d+), l?_?linger=(\d+)\}")
_FLAG = re.compile(r"MSG_[A-Z_]+")
_HOW = {"SHUT_RD": 0, "SHUT_WR": 1, "SHUT_RDWR": 2}


def traced(argv: list[str], strace: str | None, output: str) -> list[str]:
    """The command that runs ``argv`` under strace, its calls written to ``output``; raises LiveProblem without it."""
    # -D: the program is the child that is waited for, so that its end is seen although children of it live on.
    return [*_strace(strace, output), "-D", "--", *argv]


def attached(process: int, strace: str | None, output: str) -> list[str]:
    """The command that records a process that runs already."""
    return [*_strace(strace, output), "-q", "-p", str(process)]


def _strace(strace: str | None, output: str) -> list[str]:
    if strace is None:
        raise LiveProblem("calls.no_strace")
    options = ["-f", "-yy", "-xx", "-s", str(_DATA_BYTES), "--absolute-timestamps=format:unix,precision:ns"]
    return [strace, *options, "--syscall-times=ns", "-e", f"trace={','.join(_TRACED)}", "-o", output]


class StraceReader:
    """Feed it the lines for one program as they are written; what is no socket call is passed over."""

    def __init__(self, first_socket: int = 1) -> None:
        """``first_socket`` numbers sockets from there, so that those of several programs are told apart."""
        self._numbers = count(first_socket)
        self._sockets: dict[int, int] = {}  # number by descriptor
        self._last: dict[int, SocketCall] = {}  # by thread
        self._seen: dict[int, ReadySocket] = {}  # network sockets as they were last told, by descriptor
        self._polled: dict[int, dict[int, int]] = {}  # by epoll descriptor: its sockets, by what it calls them
        self._unfinished: dict[int, tuple[int, str]] = {}  # by thread: when it was entered, its text
        self._rest = b""  # of a line that is not complete

    def feed_bytes(self, data: bytes) -> Iterator[SocketCall]:
        """As ``feed``, for what was written since the last time, wherever it ends."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        return self.feed(line.decode("ascii", "replace") for line in lines)

    def feed(self, lines: Iterable[str]) -> Iterator[SocketCall]:
        """The calls that have returned, each when its thread's next line is there."""
        for line in lines:
            match = _LINE.fullmatch(line.rstrip("\n"))
            if match is None:
                continue
            thread, enter_ns, text = int(match[1]), int(match[2]) * _NS_PER_S + int(match[3]), match[4]
            if (last := self._last.pop(thread, None)) is not None:
                yield last._replace(slack_ns=max(0, enter_ns - (last.exit_ns or enter_ns)))
            if text.endswith(_UNFINISHED):
                self._unfinished[thread] = enter_ns, text.removesuffix(_UNFINISHED)
                continue
            if (resumed := _RESUMED.fullmatch(text)) is not None:
                enter_ns, beginning = self._unfinished.pop(thread, (enter_ns, ""))
                text = beginning + resumed[1]
            if (call := self._call(thread, enter_ns, text)) is not None:
                self._last[thread] = call

    def finish(self) -> Iterator[SocketCall]:
        """The last calls of all threads, and those that never returned."""
        yield from self._last.values()
        for thread, (enter_ns, text) in self._unfinished.items():
            if (call := self._call(thread, enter_ns, f"{text}) = ?")) is not None:
                yield call

    def _call(self, thread: int, enter_ns: int, text: str) -> SocketCall | None:
        match = _CALL.fullmatch(text)
        if match is None:
            return None
        name, arguments, result, made, error, told, seconds, fraction = match.groups()
        name = _SAME_AS.get(name, name)
        for fd, protocol, ends in _SOCKET.findall(arguments):
            if fd:
                self._seen[int(fd)] = ReadySocket(int(fd), 0, protocol, *_ends(ends))
        duration_ns = int(seconds or 0) * _NS_PER_S + int((fraction or "0").ljust(9, "0")[:9])
        exit_ns = None if result == "?" else enter_ns + duration_ns
        if name == "epoll_ctl":
            self._register(arguments)
            return None
        if name in WAITING:
            return self._wait(thread, (enter_ns, exit_ns), name, arguments, told or "", result, error or "")
        given = _SOCKET.match(arguments) if name != "socket" else None
        new = _SOCKET.fullmatch(made) if made and name in ("socket", "accept") else None
        if given is None and new is None:
            return None
        fd = int(result) if name == "socket" else int(given[1]) if given and given[1] else -1
        socket = self._socket(name, fd, int(result) if new and name == "accept" else None)
        if name == "setsockopt" and _detail(name, arguments, None).partition("=")[0] not in WIRE_OPTIONS:
            return None
        named = new or given
        assert named is not None
        local, remote = _ends(named[3])
        target = _target(arguments) if name in ("connect", "bind", "sendto", "recvfrom") else None
        if name == "bind":
            local = target or local
        elif remote is None:
            remote = target
        string, size = _STRING.search(arguments), _SIZE.search(arguments)
        moves_data = name in SENDING or name in RECEIVING
        returned = None if result == "?" or error else int(result)
        if name == "close":
            self._sockets.pop(fd, None)
        return SocketCall(
            process=thread,
            thread=thread,
            name=name,
            fd=fd,
            socket=socket,
            enter_ns=enter_ns,
            exit_ns=exit_ns,
            asked=int(size[1]) if moves_data and size else _asked(name, arguments),
            returned=returned,
            error=error or "",
            protocol=named[2],
            local=local,
            remote=remote,
            detail=_detail(name, arguments, target),
            data=bytes.fromhex(string[1].replace("\\x", "")) if moves_data and string and (returned or 0) > 0 else b"",
        )

    def _register(self, arguments: str) -> None:
        """Remember which socket an epoll descriptor calls by which number."""
        match = _EPOLL_CTL.match(arguments)
        if match is not None:
            epoll, action, fd, data = match.groups()
            known = self._polled.setdefault(int(epoll), {})
            for called in [called for called, socket in known.items() if socket == int(fd)]:
                del known[called]
            if action != "DEL" and data:
                known[int(data)] = int(fd)

    def _wait(
        self,
        thread: int,
        times_ns: tuple[int, int | None],
        name: str,
        arguments: str,
        told: str,
        result: str,
        error: str,
    ) -> SocketCall | None:
        """A wait for several sockets; None when none of them is one of the network."""
        registered = self._polled.get(int(arguments.partition("<")[0]), {}) if name == "epoll" else {}
        found = [(registered.get(int(data), -1), events) for events, data in _WOKEN.findall(arguments)]
        found += [(int(fd), events) for fd, events in _POLLED.findall(told)]
        found += [(int(fd), _SELECTED[kind]) for kind, fds in _SET.findall(told) for fd in fds.split()]
        asked = registered.values() if name == "epoll" else [int(fd) for fd, _, _ in _SOCKET.findall(arguments) if fd]
        ready = [(fd, _bits(events)) for fd, events in found] or [(fd, 0) for fd in asked]
        sockets = tuple(self._seen[fd]._replace(bits=bits) for fd, bits in ready if fd in self._seen)
        if not sockets:
            return None
        returned = None if result == "?" or error else int(result)
        return SocketCall(
            thread, thread, name, -1, 0, *times_ns, _milliseconds(arguments), returned, error, ready=sockets
        )

    def _socket(self, name: str, fd: int, accepted: int | None) -> int:
        if accepted is not None:
            self._sockets[accepted] = next(self._numbers)
            return self._sockets[accepted]
        if name == "socket" or fd not in self._sockets:
            self._sockets[fd] = next(self._numbers)
        return self._sockets[fd]


def _bits(events: str) -> int:
    return sum({_BITS.get(event.removeprefix("E").removeprefix("POLL"), 0) for event in events.split("|")})


def _milliseconds(arguments: str) -> int | None:
    """The longest a wait may last; None without limit."""
    if (time := _TIME.search(arguments)) is not None:
        seconds, unit, fraction = time.groups()
        return int(seconds) * 1000 + int(fraction) // (1_000_000 if unit == "n" else 1000)
    last = _TIMEOUT.search(arguments)
    return int(last[1]) if last is not None else None


def _ends(text: str) -> tuple[Address | None, Address | None]:
    """What strace writes in the brackets: both ends, the local one, or an inode."""
    if (both := _ENDS.fullmatch(text)) is not None:
        return _address(both[1], both[2]), _address(both[3], both[4])
    if (one := _LOCAL.fullmatch(text)) is not None:
        return _address(one[1], one[2]), None
    return None, None


def _address(host: str, port: str) -> Address:
    return plain_host(host.strip("[]")), int(port)


def _target(arguments: str) -> Address | None:
    match = _TARGET.search(arguments)
    if match is None:
        return None
    host = bytes.fromhex(match[2].replace("\\x", "")).decode("ascii", "replace")
    return _address(host, match[1])


def _asked(name: str, arguments: str) -> int | None:
    last = arguments.rpartition(", ")[2]
    if name == "shutdown":
        return _HOW.get(last)
    return int(last) if name == "listen" and last.isdecimal() else None


def _detail(name: str, arguments: str, target: Address | None) -> str:
    if name in RECEIVING:
        return "|".join(flag for flag in _FLAG.findall(arguments) if flag not in ("MSG_NOSIGNAL", "MSG_CMSG_CLOEXEC"))
    if target is not None:
        return f"{target[0]}|{target[1]}"
    if name == "setsockopt":
        if (linger := _LINGER.search(arguments)) is not None:
            return f"SO_LINGER={f'{linger[2]} s' if linger[1] != '0' else 'off'}"
        words = arguments.split(", ")
        return f"{words[2]}={words[3].strip('[]')}" if len(words) > 3 else ""
    return ""
