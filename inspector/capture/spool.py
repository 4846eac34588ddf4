"""The bytes of a capture by position: a regular file as it is; what arrives (a pipe, gzip) through a temporary file."""

import os
import select
import stat
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import chain

from inspector.text.problems import DamageProblem, FileProblem

Progress = Callable[[int, int], None]  # (bytes read, bytes in all or 0 when nobody knows)

_GZIP_MAGIC = b"\x1f\x8b"  # RFC 1952 section 2.3.1
_GZIP_WINDOW = 31  # zlib's wbits for a gzip header and the largest window
_GZIP_STEP = 4096  # fed at a time: deflate makes at most 1032 times as much of it, so a bomb gives 4 MiB
_PIECE_BYTES = 4 << 20
_GATHER_S = 0.05  # how long a pipe's small writes are gathered into one piece


class ByteStore:
    """The bytes of a regular file. Read in chunks, never mapped: a file cut short while mapped kills the process."""

    def __init__(self, name: str, descriptor: int, progress: Progress) -> None:
        self._name = name
        self._descriptor = descriptor
        self.progress = progress
        self.size = os.fstat(descriptor).st_size

    def read(self, position: int, size: int, least: int) -> bytes:
        """Up to ``size`` bytes from there, fewer than ``least`` only at the end; raises DamageProblem."""
        try:
            data = os.pread(self._descriptor, size, position)
        except OSError as error:
            raise DamageProblem("file.unreadable", path=self._name, reason=error.strerror) from None
        self.progress(position + len(data), self.size)
        return data

    def fetch(self, position: int, size: int) -> bytes:
        """The bytes there; fewer or none when they can no longer be read."""
        try:
            return os.pread(self._descriptor, size, position)
        except OSError:
            return b""

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class SpooledStore:
    """Bytes that arrive in order, kept in a temporary file without a name, which goes when the process does."""

    def __init__(self, name: str, descriptor: int, pieces: Iterator[bytes]) -> None:
        import tempfile

        self._name = name
        self._source = descriptor
        self._pieces = pieces
        self._end = 0
        try:
            self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - it lives as long as the store
        except OSError as error:
            raise FileProblem("file.no_spool", path=name, reason=error.strerror) from None

    def read(self, position: int, size: int, least: int) -> bytes:
        """Up to ``size`` bytes of what has arrived; waits for ``least`` of them; raises DamageProblem."""
        while self._end < position + least:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._keep(piece)
        return os.pread(self._file.fileno(), size, position)

    def fetch(self, position: int, size: int) -> bytes:
        """The bytes there; none after the store is closed."""
        return b"" if self._file.closed else os.pread(self._file.fileno(), size, position)

    def close(self) -> None:
        """Close the source, give back the temporary file; a second time does nothing."""
        if not self._file.closed:
            self._file.close()
            os.close(self._source)

    def _keep(self, piece: bytes) -> None:
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise DamageProblem("file.spool_full", path=self._name, reason=error.strerror) from None
        self._end += len(piece)


def open_store(name: str, descriptor: int, progress: Progress) -> ByteStore | SpooledStore:
    """The store for an open file, pipe or device, which it closes in the end; unpacks gzip.

    Raises FileProblem when there is no room for a temporary file, DamageProblem when the very first bytes are bad.
    """
    status = os.fstat(descriptor)
    regular = stat.S_ISREG(status.st_mode) and os.lseek(descriptor, 0, os.SEEK_CUR) == 0
    if regular and os.pread(descriptor, len(_GZIP_MAGIC), 0) != _GZIP_MAGIC:
        return ByteStore(name, descriptor, progress)
    pieces = _arriving(name, descriptor, progress, status.st_size if regular else 0)
    first = b""
    while len(first) < len(_GZIP_MAGIC) and (piece := next(pieces, b"")):
        first += piece
    pieces = chain([first], pieces)
    return SpooledStore(name, descriptor, _unpacked(name, pieces) if first.startswith(_GZIP_MAGIC) else pieces)


def _arriving(name: str, descriptor: int, progress: Progress, total_bytes: int) -> Iterator[bytes]:
    """What comes within a moment, a piece at a time: a quiet pipe is shown soon, a busy one read fast."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    done = 0
    while True:
        piece = bytearray()
        deadline = time.monotonic() + _GATHER_S
        try:
            while data := os.read(descriptor, _PIECE_BYTES - len(piece)):
                piece += data
                left_s = deadline - time.monotonic()
                if len(piece) == _PIECE_BYTES or left_s <= 0 or not poll.poll(left_s * 1000):
                    break
        except OSError as error:
            raise DamageProblem("file.unreadable", path=name, reason=error.strerror) from None
        if not piece:
            return
        done += len(piece)
        progress(done, total_bytes)
        yield bytes(piece)


def _unpacked(name: str, pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The content of gzip members that follow each other (RFC 1952 section 2.2); raises DamageProblem after the last
    byte that could be unpacked."""
    member = zlib.decompressobj(_GZIP_WINDOW)
    content = bytearray()
    for piece in pieces:
        for start in range(0, len(piece), _GZIP_STEP):
            rest = piece[start : start + _GZIP_STEP]
            while rest := rest.lstrip(b"\0") if member.eof else rest:  # members may be padded with zeros
                if member.eof:
                    member = zlib.decompressobj(_GZIP_WINDOW)
                before = member.copy()
                try:
                    content += member.decompress(rest)
                except zlib.error as error:
                    yield bytes(content + _salvaged(before, rest))
                    raise DamageProblem("file.gzip_damaged", path=name, reason=error) from None
                rest = member.unused_data
            if len(content) >= _PIECE_BYTES:
                yield bytes(content)
                content.clear()
        if content:
            yield bytes(content)
            content.clear()
    if not member.eof:
        raise DamageProblem("file.gzip_cut_off", path=name)


def _salvaged(member: "zlib._Decompress", data: bytes) -> bytes:
    """What damaged data gives before the damage."""
    content = bytearray()
    with suppress(zlib.error):
        for byte in data:
            content += member.decompress(bytes((byte,)))
    return bytes(content)
