"""The files that recorded Python programs leave: read while they are written, removed once they are used up."""

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from inspector.calls.injected.inspector_recorder import (
    ANSWER_AT,
    DATA_AT,
    ENTERED,
    ENTRY,
    EXIT,
    EXIT_AT,
    FILE_BYTES,
    NAMES,
    RETURNED,
    SLOT_BYTES,
    TEXT_AT,
    TIMED_OUT,
    VOID,
)

INJECTED = Path(__file__).with_name("injected")
_READ_SLOTS = 64
FOLDER_VARIABLE = "INSPECTOR_CALLS"


class RecordedCall(NamedTuple):
    """A call as it stands in a slot; ``returned_ns`` is None while, or because, it has not returned."""

    process: int
    thread: int
    name: str
    fd: int
    entered_ns: int
    returned_ns: int | None
    asked: int
    result: int
    error: str
    text: str  # what was asked: an address, an option
    answer: str  # what came back: both ends of a connection, an address, ready descriptors
    data: bytes


@dataclass
class _File:
    process: int
    descriptor: int
    path: Path
    at: int = 0  # offset of the first slot not yet seen
    under_way: list[int] = field(default_factory=list)  # offsets of calls that had not returned


class CallSpool:
    """All calls that programs started with ``environment`` record into ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, _File] = {}

    def environment(self, inherited: dict[str, str]) -> dict[str, str]:
        """The environment of a program to be recorded, made from the one it would have."""
        paths = [str(INJECTED), *filter(None, [inherited.get("PYTHONPATH")])]
        return {**inherited, "PYTHONPATH": os.pathsep.join(paths), FOLDER_VARIABLE: str(self._folder)}

    def poll(self) -> list[RecordedCall]:
        """Calls that have been entered or have returned since the last time; those under way come twice."""
        calls: list[RecordedCall] = []
        for name in sorted(os.listdir(self._folder)):  # noqa: PTH208 - many times a second
            if name not in self._files and name.endswith(".calls"):
                path = self._folder / name
                self._files[name] = _File(int(path.stem), os.open(path, os.O_RDONLY), path)
        for file in self._files.values():
            calls += self._new(file)
        return calls

    def close(self) -> None:
        """Remove all files; programs still running record into the void."""
        for file in self._files.values():
            os.close(file.descriptor)
            file.path.unlink(missing_ok=True)
        self._files.clear()

    def _new(self, file: _File) -> Iterator[RecordedCall]:
        still = []
        for offset in file.under_way:
            slot = os.pread(file.descriptor, SLOT_BYTES, offset)
            if slot[0] == RETURNED:
                yield _read(file.process, slot)
            else:
                still.append(offset)
        file.under_way = still
        while file.at < FILE_BYTES:
            chunk = os.pread(file.descriptor, _READ_SLOTS * SLOT_BYTES, file.at)
            for start in range(0, len(chunk), SLOT_BYTES):
                slot = chunk[start : start + SLOT_BYTES]
                if slot[0] not in (ENTERED, RETURNED, VOID):
                    return
                if slot[0] == ENTERED:
                    file.under_way.append(file.at)
                file.at += SLOT_BYTES
                if slot[0] != VOID:
                    yield _read(file.process, slot)
            if not chunk:  # made, and not yet given its size
                return


def _error_name(number: int) -> str:
    if number == TIMED_OUT:
        return "timeout"
    return errno.errorcode.get(number, str(number)) if number else ""


def _read(process: int, slot: bytes) -> RecordedCall:
    state, name, error, fd, thread, entered_ns, asked, text_bytes, data_bytes = ENTRY.unpack_from(slot)
    returned_ns, result, answer_bytes = EXIT.unpack_from(slot, EXIT_AT) if state == RETURNED else (None, -1, 0)
    return RecordedCall(
        process,
        thread,
        NAMES[name] if name < len(NAMES) else "",
        fd,
        entered_ns,
        returned_ns,
        asked,
        result,
        _error_name(error),
        slot[TEXT_AT : TEXT_AT + text_bytes].decode("utf-8", "replace"),
        slot[ANSWER_AT : ANSWER_AT + answer_bytes].decode("utf-8", "replace"),
        slot[DATA_AT : DATA_AT + data_bytes],
    )
