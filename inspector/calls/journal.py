"""Calls kept beside a saved capture: ``NAME.calls.jsonl``, one call a line, as docs/json.md documents."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from inspector.calls.call import Address, ReadySocket, SocketCall
from inspector.text.problems import DamageProblem, FileProblem

_PRIVATE = 0o600  # it holds what the programs said to each other
_ENDINGS = (".gz", ".pcapng", ".pcap")


def path_beside(capture: str) -> Path:
    """Where the calls of a capture file are."""
    path = Path(capture)
    while path.suffix in _ENDINGS:
        path = path.with_suffix("")
    return path.with_name(f"{path.name}.calls.jsonl")


def save(path: Path, calls: Iterable[SocketCall]) -> None:
    """Write all calls, for their owner only, and never through a symbolic link; raises FileProblem."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, _PRIVATE)
        with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - it is open already
            file.writelines(f"{json.dumps(fields(call))}\n" for call in calls)
    except OSError as error:
        raise FileProblem("calls.cannot_save", path=path, reason=error.strerror) from None


def load(path: Path) -> tuple[list[SocketCall], DamageProblem | None]:
    """The calls, as far as the file makes sense, and where it stops to; raises FileProblem when it cannot be read."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise FileProblem("file.cannot_open", path=path, reason=error.strerror) from None
    calls = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            calls.append(_call(json.loads(line)))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            return calls, DamageProblem("calls.torn", path=path, line=number)
    return calls, None


def fields(call: SocketCall) -> dict[str, object]:
    """A call as docs/json.md documents it."""
    named: dict[str, object] = call._asdict()
    named["data"] = call.data.hex()
    for end in ("local", "remote"):
        address: Address | None = getattr(call, end)
        named[end] = None if address is None else list(address)
    return named


def _call(fields: dict[str, Any]) -> SocketCall:
    return SocketCall(
        process=int(fields["process"]),
        thread=int(fields["thread"]),
        name=str(fields["name"]),
        fd=int(fields["fd"]),
        socket=int(fields["socket"]),
        enter_ns=int(fields["enter_ns"]),
        exit_ns=_perhaps(fields["exit_ns"]),
        asked=_perhaps(fields["asked"]),
        returned=_perhaps(fields["returned"]),
        error=str(fields["error"]),
        protocol=str(fields["protocol"]),
        local=_address(fields["local"]),
        remote=_address(fields["remote"]),
        detail=str(fields["detail"]),
        slack_ns=int(fields["slack_ns"]),
        ready=tuple(
            ReadySocket(int(fd), int(bits), str(protocol), _address(local), _address(remote))
            for fd, bits, protocol, local, remote in fields["ready"]
        ),
        data=bytes.fromhex(fields["data"]),
    )


def _perhaps(value: Any) -> int | None:
    return None if value is None else int(value)


def _address(value: Any) -> Address | None:
    if value is None:
        return None
    host, port = value
    return str(host), int(port)
