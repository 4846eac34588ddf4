"""Capture files built by hand, for the tests of their reader: what a file holds, and the bytes that say so."""

from struct import pack
from typing import NamedTuple

from inspector.capture.files import CHUNK_BYTES, open_capture
from inspector.text.problems import DamageProblem

PCAP_MAGICS = {"microseconds": 0xA1B2C3D4, "nanoseconds": 0xA1B23C4D, "modified": 0xA1B2CD34}


class Frame(NamedTuple):
    """What a reader must find of one frame."""

    time_ns: int
    data: bytes
    wire_bytes: int
    link_type: int = 1
    interface: int = 0
    status: int = 0


def pcap_header(order: str = "<", kind: str = "microseconds", *, snaplen: int = 65535, link_type: int = 1) -> bytes:
    return pack(f"{order}IHHiIII", PCAP_MAGICS[kind], 2, 4, 0, 0, snaplen, link_type)


def pcap_record(frame: Frame, order: str = "<", kind: str = "microseconds") -> bytes:
    seconds, nanoseconds = divmod(frame.time_ns, 10**9)
    fraction = nanoseconds if kind == "nanoseconds" else nanoseconds // 1000
    header = pack(f"{order}IIII", seconds, fraction, len(frame.data), frame.wire_bytes)
    return header + (bytes(8) if kind == "modified" else b"") + frame.data


def pcap(frames: list[Frame], order: str = "<", kind: str = "microseconds") -> bytes:
    return pcap_header(order, kind) + b"".join(pcap_record(frame, order, kind) for frame in frames)


def option(order: str, code: int, value: bytes) -> bytes:
    return pack(f"{order}HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    return pack(f"{order}II", kind, 12 + len(body)) + body + pack(f"{order}I", 12 + len(body))


def section(order: str = "<", options: bytes = b"", *, version: int = 1) -> bytes:
    return block(order, 0x0A0D0D0A, pack(f"{order}IHHq", 0x1A2B3C4D, version, 0, -1) + options)


def interface(order: str = "<", link_type: int = 1, options: bytes = b"", *, snaplen: int = 0) -> bytes:
    return block(order, 1, pack(f"{order}HHI", link_type, 0, snaplen) + options)


def enhanced(order: str, number: int, units: int, data: bytes, wire_bytes: int, options: bytes = b"") -> bytes:
    fields = pack(f"{order}IIIII", number, units >> 32, units & 0xFFFFFFFF, len(data), wire_bytes)
    return block(order, 6, fields + data + bytes(-len(data) % 4) + options)


def obsolete(order: str, number: int, units: int, data: bytes, wire_bytes: int, options: bytes = b"") -> bytes:
    drops = 7
    fields = pack(f"{order}HHIIII", number, drops, units >> 32, units & 0xFFFFFFFF, len(data), wire_bytes)
    return block(order, 2, fields + data + bytes(-len(data) % 4) + options)


def simple(order: str, data: bytes, wire_bytes: int) -> bytes:
    return block(order, 3, pack(f"{order}I", wire_bytes) + data)


def frames_of(path: str, *, chunk_bytes: int = CHUNK_BYTES) -> tuple[list[Frame], DamageProblem | None]:
    """All frames of a file and its damage; what is fetched again must be what the batch held."""
    frames = []
    with open_capture(path, chunk_bytes=chunk_bytes) as capture:
        for batch in capture.batches():
            assert len(batch)
            columns = (batch.time_ns, batch.offset, batch.captured_bytes, batch.position, batch.wire_bytes)
            labels = (batch.link_type, batch.interface, batch.status)
            for time_ns, offset, captured, position, *rest in zip(*(c.tolist() for c in columns + labels), strict=True):
                data = bytes(batch.buffer[offset : offset + captured])
                assert len(data) == captured
                assert capture.fetch(position, captured) == data
                frames.append(Frame(time_ns, data, *rest))
    return frames, capture.damage
