"""Frames written to a capture file, pcap or pcapng by its ending, complete after every batch."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from struct import pack
from typing import NamedTuple

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
_FRAMES_FOR_A_LENGTH = 8  # from so many frames of one length on it pays to copy them at once


class CaptureWriter:
    """Appends frames to a file. Each ``write`` hands its records to the kernel, so a killed program loses none."""

    def __init__(self, path: str, descriptor: int, *, pcapng: bool) -> None:
        self.written = 0  # frames
        self._path = path
        self._descriptor = descriptor
        self._framing = _packet_blocks if pcapng else _pcap_records
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
        if not len(offset):
            return
        framing = self._framing(captured, batch.wire_bytes[chosen], batch.time_ns[chosen])
        few_lengths = len(np.unique(captured)) * _FRAMES_FOR_A_LENGTH <= len(offset)
        put_together = _by_length if few_lengths else _one_by_one
        self._append(put_together(batch.buffer, offset, captured.astype(np.int64), framing))
        self.written += len(offset)

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _append(self, data: bytes | memoryview) -> None:
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


class _Framing(NamedTuple):
    """What stands around the frames of a batch, a row of bytes each: of ``ends`` the last ``tail_bytes``."""

    headers: npt.NDArray[np.uint8]
    ends: npt.NDArray[np.uint8]
    tail_bytes: I64


def _pcap_records(captured: U32, wire: U32, time_ns: I64) -> _Framing:
    records = np.empty(len(captured), _PCAP_RECORD)
    records["seconds"], records["fraction"] = np.divmod(time_ns.clip(0, _LATEST_PCAP_NS), _NS)
    records["captured"] = captured
    records["wire"] = wire
    return _Framing(_bytes_of(records), np.empty((len(captured), 0), np.uint8), np.zeros(len(captured), np.int64))


def _packet_blocks(captured: U32, wire: U32, time_ns: I64) -> _Framing:
    """Enhanced packet blocks."""
    padding = (-captured.astype(np.int64)) % 4
    blocks, ends = np.empty(len(captured), _PACKET_BLOCK), np.zeros(len(captured), _BLOCK_END)
    blocks["kind"], blocks["interface"] = 6, 0
    blocks["length"] = ends["length"] = 32 + captured + padding
    blocks["high"], blocks["low"] = np.divmod(time_ns.clip(0), 2**32)
    blocks["captured"] = captured
    blocks["wire"] = wire
    return _Framing(_bytes_of(blocks), _bytes_of(ends), 4 + padding)


def _bytes_of(records: npt.NDArray[np.void]) -> npt.NDArray[np.uint8]:
    return records.view(np.uint8).reshape(len(records), records.itemsize)


def _one_by_one(buffer: bytes | bytearray | memoryview, offset: I64, captured: I64, framing: _Framing) -> bytes:
    """The records in their order."""
    view = memoryview(buffer)
    parts: list[bytes | memoryview] = [b""] * (3 * len(offset))
    parts[0::3] = map(bytes, framing.headers)
    parts[1::3] = [view[start:end] for start, end in zip(offset.tolist(), (offset + captured).tolist(), strict=True)]
    ends = map(bytes, framing.ends)
    parts[2::3] = [end[len(end) - tail :] for end, tail in zip(ends, framing.tail_bytes.tolist(), strict=True)]
    return b"".join(parts)


def _by_length(buffer: bytes | bytearray | memoryview, offset: I64, captured: I64, framing: _Framing) -> memoryview:
    """The same; frames of one length are copied at once."""
    lengths = np.unique(captured).tolist()
    if len(lengths) == 1:
        return _records(buffer, offset, lengths[0], framing).view(np.uint8).data
    header_bytes = framing.headers.shape[1]
    sizes = header_bytes + captured + framing.tail_bytes
    starts = np.cumsum(sizes) - sizes
    records = np.empty(int(sizes.sum()), np.uint8)
    for length in lengths:
        group = np.flatnonzero(captured == length)
        of_group = _Framing(framing.headers[group], framing.ends[group], framing.tail_bytes[group])
        block = _records(buffer, offset[group], length, of_group)
        np.ndarray(len(records) - block.itemsize + 1, block.dtype, records, strides=(1,))[starts[group]] = block
    return records.data


def _records(
    buffer: bytes | bytearray | memoryview, offset: I64, length: int, framing: _Framing
) -> npt.NDArray[np.void]:
    """Frames of one length with what stands around them. Numpy moves a field of any size in one step, and bytes of a
    row one by one."""
    header_bytes, tail_bytes = framing.headers.shape[1], int(framing.tail_bytes[0])
    parts = {"header": header_bytes, "frame": length, "tail": tail_bytes}
    fields = [(name, f"V{size}") for name, size in parts.items() if size]
    records = np.empty(len(offset), fields)
    records["header"] = framing.headers.view(f"V{header_bytes}")[:, 0]
    if length:
        frames = np.ndarray(len(buffer) - length + 1, f"V{length}", buffer, strides=(1,))
        records["frame"] = frames[offset]
    if tail_bytes:
        ends = np.ascontiguousarray(framing.ends[:, framing.ends.shape[1] - tail_bytes :])
        records["tail"] = ends.view(f"V{tail_bytes}")[:, 0]
    return records
