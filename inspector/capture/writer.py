"""Frames written to a capture file, pcap or pcapng by its ending, complete after every batch."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from struct import pack

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import I64, U32, FrameBatch
from inspector.text.problems import FileProblem

_SNAPLEN = 262144
_NS = 1_000_000_000
_LATEST_PCAP_NS = 2**32 * _NS - 1  # seconds are 32 bits, without a sign
_PRIVATE = 0o600  # it holds what any program on this machine sent

_PROBLEMS = {
    errno.EEXIST: "file.exists",
    errno.ELOOP: "file.symbolic_link",
    errno.EISDIR: "file.write_directory",
    errno.ENOENT: "file.no_directory",
    errno.ENOTDIR: "file.no_directory",
    errno.EACCES: "file.no_write_permission",
    errno.EPERM: "file.no_write_permission",
    errno.EROFS: "file.no_write_permission",
    errno.ENOSPC: "file.disk_full",
    errno.EDQUOT: "file.disk_full",
    errno.EFBIG: "file.disk_full",
}

_PCAP_RECORD = np.dtype([("seconds", "<u4"), ("fraction", "<u4"), ("captured", "<u4"), ("wire", "<u4")])
_PACKET_BLOCK = np.dtype([(name, "<u4") for name in ("kind", "length", "interface", "high", "low", "captured", "wire")])
_BLOCK_END = np.dtype([("padding", "<u4"), ("length", "<u4")])


class CaptureWriter:
    """Appends frames to a file. Each ``write`` hands its records to the kernel, so a killed program loses none."""

    def __init__(self, path: str, descriptor: int, *, pcapng: bool) -> None:
        self.written = 0  # frames
        self._path = path
        self._descriptor = descriptor
        self._assemble = _packet_blocks if pcapng else _pcap_records
        self._complete_bytes = 0

    @classmethod
    def create(cls, path: str, *, link_type: int, overwrite: bool = False, interface_name: str = "") -> "CaptureWriter":
        """Make the file: pcapng when its name ends so, else pcap with nanoseconds; only its owner may read it.

        All frames written must have that link type. Raises FileProblem: an existing file is replaced only when told,
        a symbolic link is never followed.
        """
        pcapng = path.lower().endswith(".pcapng")
        header = _pcapng_header(link_type, interface_name) if pcapng else _pcap_header(link_type)
        writer = cls(path, _create(path, overwrite=overwrite), pcapng=pcapng)
        try:
            writer._append(header)
        except FileProblem:
            writer.close()
            raise
        return writer

    def write(self, batch: FrameBatch, rows: npt.NDArray[np.intp] | None = None) -> None:
        """Append the chosen frames of a batch, or all; raises FileProblem, after which the file ends before them."""
        chosen: slice | npt.NDArray[np.intp] = slice(None) if rows is None else rows
        offset, captured = batch.offset[chosen], batch.captured_bytes[chosen]
        view = memoryview(batch.buffer)
        frames = [view[start:end] for start, end in zip(offset.tolist(), (offset + captured).tolist(), strict=True)]
        self._append(self._assemble(frames, captured, batch.wire_bytes[chosen], batch.time_ns[chosen]))
        self.written += len(frames)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            with suppress(OSError):  # a pipe cannot be cut back
                os.ftruncate(self._descriptor, self._complete_bytes)
                os.lseek(self._descriptor, self._complete_bytes, os.SEEK_SET)
            raise self._problem(error) from None
        self._complete_bytes += len(data)

    def _problem(self, error: OSError) -> FileProblem:
        return _file_problem(error, self._path, self.written)


def _create(path: str, *, overwrite: bool) -> int:
    try:
        if not overwrite and Path(path).is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | (os.O_TRUNC if overwrite else os.O_EXCL)
        return os.open(path, flags, _PRIVATE)
    except OSError as error:
        raise _file_problem(error, path, 0) from None


def _file_problem(error: OSError, path: str, written: int) -> FileProblem:
    key = _PROBLEMS.get(error.errno or 0, "file.cannot_write")
    return FileProblem(key, path=path, reason=error.strerror, written=written)


def _pcap_header(link_type: int) -> bytes:
    return pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, _SNAPLEN, link_type)


def _pcapng_header(link_type: int, interface_name: str) -> bytes:
    """A section header block and an interface description block: nanoseconds, the interface's name."""
    section = pack("<IIIHHqI", 0x0A0D0D0A, 28, 0x1A2B3C4D, 1, 0, -1, 28)
    name = interface_name.encode(errors="replace")
    options = pack("<HH", 2, len(name)) + name + bytes(-len(name) % 4) if name else b""
    options += pack("<HHB3xHH", 9, 1, 9, 0, 0)
    length = 20 + len(options)
    return section + pack("<IIHHI", 1, length, link_type, 0, _SNAPLEN) + options + pack("<I", length)


def _pcap_records(frames: list[memoryview], captured: U32, wire: U32, time_ns: I64) -> bytes:
    records = np.empty(len(frames), _PCAP_RECORD)
    records["seconds"], records["fraction"] = np.divmod(time_ns.clip(0, _LATEST_PCAP_NS), _NS)
    records["captured"] = captured
    records["wire"] = wire
    parts: list[bytes | memoryview] = [b""] * (2 * len(frames))
    parts[0::2] = _each(records)
    parts[1::2] = frames
    return b"".join(parts)


def _packet_blocks(frames: list[memoryview], captured: U32, wire: U32, time_ns: I64) -> bytes:
    """Enhanced packet blocks."""
    padding = (-captured.astype(np.int64)) % 4
    blocks, ends = np.empty(len(frames), _PACKET_BLOCK), np.zeros(len(frames), _BLOCK_END)
    blocks["kind"], blocks["interface"] = 6, 0
    blocks["length"] = ends["length"] = 32 + captured + padding
    blocks["high"], blocks["low"] = np.divmod(time_ns.clip(0), 2**32)
    blocks["captured"] = captured
    blocks["wire"] = wire
    parts: list[bytes | memoryview] = [b""] * (3 * len(frames))
    parts[0::3] = _each(blocks)
    parts[1::3] = frames
    parts[2::3] = [end[4 - pad :] for end, pad in zip(_each(ends), padding.tolist(), strict=True)]
    return b"".join(parts)


def _each(records: npt.NDArray[np.void]) -> list[bytes]:
    """The bytes of every record."""
    data, size = records.tobytes(), records.itemsize
    return [data[start : start + size] for start in range(0, len(data), size)]
