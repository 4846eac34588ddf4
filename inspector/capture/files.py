"""Capture files: pcap, pcapng, gzip of either, or standard input. The edge between bytes and batches of frames."""

import errno
import os
import shlex
import stat
from collections.abc import Iterator
from types import TracebackType
from typing import NamedTuple

from inspector.capture import pcap, pcapng
from inspector.capture.batch import FrameBatch, Interface
from inspector.capture.pcap import PcapReader
from inspector.capture.pcapng import PcapngReader
from inspector.capture.spool import ByteStore, Progress, SpooledStore, open_store
from inspector.text import say
from inspector.text.problems import DamageProblem, FileProblem

CHUNK_BYTES = 4 << 20
_MAGIC_BYTES = 4
_LOOK_BYTES = 512  # to see what a file is that is no capture

_OPEN_PROBLEMS = {
    errno.ENOENT: "file.not_found",
    errno.ENOTDIR: "file.not_found",
    errno.EACCES: "file.no_permission",
    errno.EPERM: "file.no_permission",
}
_UNPACKERS = {  # first bytes -> tool, and how it unpacks to standard output
    b"\x28\xb5\x2f\xfd": ("zstd", "zstd -dc"),
    b"\xfd7zXZ": ("xz", "xz -dc"),
    b"BZh": ("bzip2", "bzip2 -dc"),
    b"\x04\x22\x4d\x18": ("lz4", "lz4 -dc"),
    b"PK\x03\x04": ("zip", "unzip -p"),
}
_OTHER_FORMATS = {
    b"snoop\0\0\0": "Solaris snoop",
    b"GMBU": "Microsoft Network Monitor",
    b"RTSS": "Microsoft Network Monitor",
    b"XCP\0": "NetXRay",
    b"TRSNIFF data": "Sniffer",
}


class Told(NamedTuple):
    """What a capture file tells of itself while its batches are read; see CaptureFile."""

    damage: DamageProblem | None
    interfaces: list[Interface]
    comments: dict[int, str]
    section_comments: list[str]


class CaptureFile:
    """An open capture file: a Source and a FrameStore.

    ``batches`` never raises for what is in the file: where it stops making sense, ``damage`` says so and the batches
    end. ``interfaces``, ``comments`` (by packet number, from 1) and ``section_comments`` fill as the batches are read.
    """

    def __init__(self, name: str, store: ByteStore | SpooledStore, chunk_bytes: int = CHUNK_BYTES) -> None:
        self.name = name
        self.damage: DamageProblem | None = None
        self._store = store
        self._chunk_bytes = chunk_bytes
        self._reader = _reader(name, store)
        self.interfaces: list[Interface] = self._reader.interfaces
        self.comments: dict[int, str] = self._reader.comments
        self.section_comments: list[str] = self._reader.section_comments

    def __enter__(self) -> "CaptureFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def batches(self) -> Iterator[FrameBatch]:
        """All frames in the order of the file, once; those of a pipe as they arrive."""
        try:
            yield from self._undamaged()
        except DamageProblem as problem:
            self.damage = problem

    def fetch(self, position: int, captured_bytes: int) -> bytes:
        """The captured bytes of the frame at that position; empty when the file is closed."""
        return self._store.fetch(position, captured_bytes)

    @property
    def size(self) -> int:
        """The bytes of a file that is read as it is; 0 for what arrives, or has to be unpacked."""
        return self._store.size if isinstance(self._store, ByteStore) else 0

    def report_to(self, progress: Progress) -> None:
        """Whom to tell of progress from now on, for a file that is read as it is."""
        if isinstance(self._store, ByteStore):
            self._store.progress = progress

    def told(self) -> Told:
        """What was told so far."""
        return Told(self.damage, self.interfaces, self.comments, self.section_comments)

    def take_over(self, told: Told) -> None:
        """Tell what another process was told by the batches of this file."""
        self.damage, self.interfaces[:], comments, self.section_comments[:] = told
        self.comments.update(comments)

    def close(self) -> None:
        """Close the file; frames can no longer be fetched."""
        self._store.close()

    def _undamaged(self) -> Iterator[FrameBatch]:
        position, needed = self._reader.start, self._reader.smallest_record
        while True:
            buffer = self._store.read(position, max(self._chunk_bytes, needed), needed)
            if not buffer:
                return
            if len(buffer) < needed:
                raise DamageProblem("file.cut_off", path=self.name, packet=self._reader.packets + 1, offset=position)
            used, needed = yield from self._reader.walk(buffer, position)
            position += used


def open_capture(path: str, *, progress: Progress | None = None, chunk_bytes: int = CHUNK_BYTES) -> CaptureFile:
    """Open a capture file, ``-`` for standard input. ``progress`` is told (bytes read, bytes in all or 0).

    Raises FileProblem when it cannot be read, is no capture, or ends inside its header.
    """
    name = say("file.standard_input") if path == "-" else path
    descriptor = _open(path, name)
    store: ByteStore | SpooledStore | None = None
    try:
        store = open_store(name, descriptor, progress or (lambda _done, _total: None))
        return CaptureFile(name, store, chunk_bytes)
    except BaseException as error:
        if store is None:
            os.close(descriptor)
        else:
            store.close()
        if isinstance(error, DamageProblem):
            raise FileProblem(error.key, **error.parameters) from None
        raise


def _open(path: str, name: str) -> int:
    try:
        descriptor = os.dup(0) if path == "-" else os.open(path, os.O_RDONLY | os.O_NOCTTY)
    except OSError as error:
        key = _OPEN_PROBLEMS.get(error.errno or 0, "file.cannot_open")
        raise FileProblem(key, path=name, reason=error.strerror) from None
    except ValueError:  # a zero byte in the name
        raise FileProblem("file.not_found", path=name) from None
    directory = stat.S_ISDIR(os.fstat(descriptor).st_mode)
    if directory or os.isatty(descriptor):
        os.close(descriptor)
        raise FileProblem("file.directory" if directory else "file.terminal", path=name)
    return descriptor


def _reader(name: str, store: ByteStore | SpooledStore) -> PcapReader | PcapngReader:
    """The reader for the format that the first bytes tell, its file header read."""
    magic = store.read(0, _MAGIC_BYTES, _MAGIC_BYTES)
    if magic in pcap.MAGICS:
        return PcapReader(name, _header(name, store, pcap.HEADER_BYTES))
    if magic == pcapng.MAGIC:
        length = pcapng.section_bytes(_header(name, store, pcapng.SECTION_START_BYTES))
        if not length:
            raise FileProblem("file.no_capture", path=name)
        return PcapngReader(name, _header(name, store, length))
    raise _refusal(name, magic + store.read(len(magic), _LOOK_BYTES, 1))


def _header(name: str, store: ByteStore | SpooledStore, size: int) -> bytes:
    header = store.read(0, size, size)
    if len(header) < size:
        raise FileProblem("file.torn_header", path=name)
    return header


def _refusal(name: str, start: bytes) -> FileProblem:
    """What it looks like instead of a capture."""
    if not start:
        return FileProblem("file.empty", path=name)
    for magic, (tool, command) in _UNPACKERS.items():
        if start.startswith(magic):
            return FileProblem("file.compressed", path=name, tool=tool, command=f"{command} {shlex.quote(name)}")
    for magic, format_name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            return FileProblem("file.other_format", path=name, format=format_name)
    if all(0x20 <= byte < 0x7F or byte in b"\t\n\r" for byte in start):
        return FileProblem("file.text", path=name)
    return FileProblem("file.no_capture", path=name)
