"""The pcapng format: draft-ietf-opsawg-pcapng. Sections, interfaces, the three kinds of packet block, comments."""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple, Never

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import I64, U8, U16, U32, U64, FrameBatch, FrameStatus, Interface
from inspector.capture.pcap import Walk, link_type_of
from inspector.text.problems import DamageProblem

MAGIC = b"\x0a\x0d\x0d\x0a"  # the type of a section header block, the same in both byte orders
SECTION_START_BYTES = 12  # of it that tell its length: type, length, byte order

_SECTION_HEADER = 0x0A0D0D0A
_INTERFACE_DESCRIPTION = 1
_PACKET = 2  # obsolete
_SIMPLE_PACKET = 3
_ENHANCED_PACKET = 6
_DESCRIPTIONS = frozenset((_SECTION_HEADER, _INTERFACE_DESCRIPTION))
_LEAST_BYTES = {_PACKET: 32, _SIMPLE_PACKET: 16, _ENHANCED_PACKET: 32}  # header, fixed fields, trailing length
_BLOCK_BYTES = 12  # type, length, trailing length: the smallest block
_SECTION_BYTES = 28
_INTERFACE_BYTES = 20
_LARGEST_BLOCK = 16 << 20  # as Wireshark and libpcap
_MOST_INTERFACES = 1 << 16  # FrameBatch.interface is 16 bits

_BYTE_ORDERS = {b"\x4d\x3c\x2b\x1a": "<", b"\x1a\x2b\x3c\x4d": ">"}

_COMMENT, _IF_NAME, _IF_TSRESOL, _IF_TSOFFSET, _PACKET_FLAGS = 1, 2, 9, 14, 2
_FLAGS_HEADERS = {"<": 4 << 16 | _PACKET_FLAGS, ">": _PACKET_FLAGS << 16 | 4}  # code and length read as one number
_DIRECTION_BITS, _OUTBOUND = 3, 2

_NS = 1_000_000_000
_LATEST_S = 2**63 // _NS - 1  # seconds that int64 nanoseconds can hold, to either side of the epoch
_EXACT_UNITS = 1 << 34  # up to here a remainder times 10^9 fits in 64 bits


class Clock(NamedTuple):
    """What an interface's timestamps count: units since the epoch, plus an offset."""

    units_per_second: int
    offset_s: int

    def time_ns(self, units: U64) -> I64:
        """Nanoseconds since the Unix epoch, rounded down; what int64 cannot hold becomes its nearest whole second."""
        if self.units_per_second > _EXACT_UNITS or abs(self.offset_s) > _LATEST_S:
            return self._wide_time_ns(units)
        seconds, fraction = np.divmod(units, np.uint64(self.units_per_second))
        shifted_s = np.minimum(seconds, np.uint64(3 * _LATEST_S)).astype(np.int64) + self.offset_s
        fraction_ns = (fraction * np.uint64(_NS) // np.uint64(self.units_per_second)).astype(np.int64)
        return np.where(
            abs(shifted_s) > _LATEST_S, shifted_s.clip(-_LATEST_S, _LATEST_S) * _NS, shifted_s * _NS + fraction_ns
        )

    def _wide_time_ns(self, units: U64) -> I64:
        """The same in Python's integers, for what 64 bits do not hold."""
        exact = (count * _NS // self.units_per_second + self.offset_s * _NS for count in units.tolist())
        bounded = (ns if abs(ns // _NS) <= _LATEST_S else (_LATEST_S if ns > 0 else -_LATEST_S) * _NS for ns in exact)
        return np.fromiter(bounded, np.int64, len(units))


class _Description(NamedTuple):
    """An interface as its section describes it."""

    link_type: int
    snaplen: int
    clock: Clock


@dataclass(slots=True)
class _Section:
    """What holds until the next section header."""

    order: str
    first_interface: int  # its interface 0 in the reader's list
    interfaces: list[_Description]


class _Fields:
    """32-bit fields of blocks at any offsets of a buffer."""

    def __init__(self, buffer: bytes, order: str) -> None:
        self._last = len(buffer) - 4
        self._every_byte = np.ndarray((len(buffer) - 3,), f"{order}u4", buffer, strides=(1,))

    def at(self, offset: I64) -> U32:
        """The numbers there; of a short block at the buffer's end the fields that it lacks hold something arbitrary."""
        return self._every_byte[np.minimum(offset, self._last)].astype(np.uint32)


class _PacketBlocks(NamedTuple):
    """Where packet blocks begin, and what is known of each: one entry a packet."""

    at: I64
    lengths: I64
    captured: I64
    interface: I64  # in its section
    simple: npt.NDArray[np.bool_]


class PcapngReader:
    """Walks a pcapng file's blocks. ``header`` is the whole first section header block; raises DamageProblem."""

    smallest_record = _BLOCK_BYTES

    def __init__(self, name: str, header: bytes) -> None:
        self._name = name
        self.packets = 0
        self.interfaces: list[Interface] = []
        self.comments: dict[int, str] = {}
        self.section_comments: list[str] = []
        self.start = len(header)
        self._last_time_ns = 0
        self._begin_section(header, 0, len(header), 0)

    def walk(self, buffer: bytes, position: int) -> Walk:
        """The whole blocks in ``buffer``, which lies at ``position`` in the file; raises DamageProblem after them."""
        at = 0
        while True:
            starts, at = self._packet_blocks(buffer, at)
            if starts:
                yield from self._frames(buffer, position, np.array(starts, np.int64))
            if len(buffer) - at < _BLOCK_BYTES:
                return at, _BLOCK_BYTES
            kind, length = self._block_header(buffer, at, position)
            if len(buffer) - at < length:
                return at, length
            if kind == _SECTION_HEADER:
                self._begin_section(buffer, at, length, position)
            else:
                self._add_interface(buffer, at, length, position)
            at += length

    def _packet_blocks(self, buffer: bytes, at: int) -> tuple[list[int], int]:
        """Where whole blocks begin, up to one that describes what follows, that is cut off or has no possible length.

        The only loop over all blocks of a file: what they hold is judged afterwards, all at once.
        """
        block_header = Struct(f"{self._section.order}II").unpack_from
        size = len(buffer)
        last_start = size - _BLOCK_BYTES
        starts: list[int] = []
        append = starts.append
        while at <= last_start:
            kind, length = block_header(buffer, at)
            end = at + length
            if kind in _DESCRIPTIONS or end > size or not _BLOCK_BYTES <= length <= _LARGEST_BLOCK:
                break
            append(at)
            at = end
        return starts, at

    def _frames(self, buffer: bytes, position: int, at: I64) -> Iterator[FrameBatch]:
        """The packets of these blocks as a batch; raises DamageProblem after the last good one."""
        fields = _Fields(buffer, self._section.order)
        kinds, lengths = fields.at(at), fields.at(at + 4).astype(np.int64)
        simple = kinds == _SIMPLE_PACKET
        packets = simple | (kinds == _ENHANCED_PACKET) | (kinds == _PACKET)
        captured = np.where(simple, self._simple_captured(fields, at, lengths), fields.at(at + 20)).astype(np.int64)
        interface = fields.at(at + 8).astype(np.int64)
        if (kinds == _PACKET).any():  # its interface is a 16-bit field, then comes a count of drops
            interface = np.where(kinds == _PACKET, _halves(buffer, self._section.order, at + 8), interface)
        interface[simple] = 0
        overhead = np.where(simple, _LEAST_BYTES[_SIMPLE_PACKET], _LEAST_BYTES[_ENHANCED_PACKET])
        bad = packets & ((captured + overhead > lengths) | (interface >= len(self._section.interfaces)))
        bad |= fields.at(at + lengths - 4) != lengths
        good = int(bad.argmax()) if bad.any() else len(at)
        keep = np.flatnonzero(packets[:good])
        if len(keep):
            blocks = _PacketBlocks(at[keep], lengths[keep], captured[keep], interface[keep], simple[keep])
            yield self._batch(buffer, position, fields, blocks)
        if good < len(at):
            self._damage("file.bad_block", position + int(at[good]))

    def _simple_captured(self, fields: _Fields, at: I64, lengths: I64) -> I64:
        """A simple packet block has no captured length: it follows from the snap length and the block's own."""
        snaplen = self._section.interfaces[0].snaplen if self._section.interfaces else 0
        room = np.maximum(lengths - _LEAST_BYTES[_SIMPLE_PACKET], 0)
        captured = np.minimum(fields.at(at + 8), room)
        return np.minimum(captured, snaplen) if snaplen else captured

    def _batch(self, buffer: bytes, position: int, fields: _Fields, blocks: _PacketBlocks) -> FrameBatch:
        offset = blocks.at + np.where(blocks.simple, 12, 28)
        status = self._statuses(buffer, fields, blocks, offset + blocks.captured + (-blocks.captured % 4))
        link_type, time_ns = self._described(fields, blocks)
        self.packets += len(offset)
        return FrameBatch(
            buffer=buffer,
            offset=offset,
            captured_bytes=blocks.captured.astype(np.uint32),
            wire_bytes=fields.at(blocks.at + np.where(blocks.simple, 8, 24)),
            time_ns=time_ns,
            link_type=link_type,
            interface=(blocks.interface + self._section.first_interface).astype(np.uint16),
            status=status,
            position=offset + position,
        )

    def _described(self, fields: _Fields, blocks: _PacketBlocks) -> tuple[U16, I64]:
        """Link types and times, as each packet's interface is described.

        A simple packet block has no time: it gets that of the packet before it, so that no duration is absurd.
        """
        units = fields.at(blocks.at + 12).astype(np.uint64) << np.uint64(32) | fields.at(blocks.at + 16)
        numbers, which = np.unique(blocks.interface, return_inverse=True)
        described = [self._section.interfaces[number] for number in numbers.tolist()]
        clocks = {interface.clock: number for number, interface in enumerate(described)}
        clock_of = np.array([clocks[interface.clock] for interface in described])[which]
        time_ns = np.empty(len(units), np.int64)
        for clock, number in clocks.items():
            rows = clock_of == number
            time_ns[rows] = clock.time_ns(units[rows])
        if blocks.simple.any():
            latest = np.maximum.accumulate(np.where(blocks.simple, -1, np.arange(len(units))))
            time_ns = np.where(latest < 0, self._last_time_ns, time_ns[latest])
        self._last_time_ns = int(time_ns[-1])
        return np.array([interface.link_type for interface in described], np.uint16)[which], time_ns

    def _statuses(self, buffer: bytes, fields: _Fields, blocks: _PacketBlocks, options: I64) -> U8:
        """What the packets' flags say; keeps their comments. Flags that come first, as most do, are read together."""
        ends = blocks.at + blocks.lengths - 4
        room = np.where(blocks.simple, 0, ends - options)
        flags_first = (room >= 8) & (fields.at(options) == _FLAGS_HEADERS[self._section.order])
        outbound = flags_first & (fields.at(options + 4) & _DIRECTION_BITS == _OUTBOUND)
        status = np.where(outbound, np.uint8(FrameStatus.OUTGOING), np.uint8(0))
        options = options + np.where(flags_first, 8, 0)
        more = ~blocks.simple & (ends - options >= 4) & (fields.at(options) != 0)
        for row in np.flatnonzero(more).tolist():
            comments = []
            for code, value in self._options(buffer, int(options[row]), int(ends[row])):
                if code == _COMMENT:
                    comments.append(value.decode(errors="replace"))
                elif code == _PACKET_FLAGS and len(value) == 4:
                    flags = Struct(f"{self._section.order}I").unpack(value)[0]
                    status[row] = FrameStatus.OUTGOING if flags & _DIRECTION_BITS == _OUTBOUND else 0
            if comments:
                self.comments[self.packets + row + 1] = "\n".join(comments)
        return status

    def _options(self, buffer: bytes, at: int, end: int) -> Iterator[tuple[int, bytes]]:
        """Code and value of each option, up to the end of them or one that does not fit."""
        option_header = Struct(f"{self._section.order}HH").unpack_from
        while at + 4 <= end:
            code, length = option_header(buffer, at)
            if code == 0 or at + 4 + length > end:
                return
            yield code, buffer[at + 4 : at + 4 + length]
            at += 4 + length + -length % 4

    def _block_header(self, buffer: bytes, at: int, position: int) -> tuple[int, int]:
        if buffer[at : at + 4] == MAGIC:
            kind, length = _SECTION_HEADER, section_bytes(buffer[at : at + SECTION_START_BYTES])
        else:
            kind, length = Struct(f"{self._section.order}II").unpack_from(buffer, at)
        if not _BLOCK_BYTES <= length <= _LARGEST_BLOCK:
            self._damage("file.bad_block", position + at)
        return kind, length

    def _begin_section(self, buffer: bytes, at: int, length: int, position: int) -> None:
        order = _BYTE_ORDERS[buffer[at + 8 : at + 12]]
        self._section = _Section(order, len(self.interfaces), [])
        self._check_block(buffer, at, length, _SECTION_BYTES, position)
        major, minor = Struct(f"{order}HH").unpack_from(buffer, at + 12)
        if major != 1:
            raise DamageProblem("file.version", path=self._name, format="pcapng", version=f"{major}.{minor}")
        for code, value in self._options(buffer, at + 24, at + length - 4):
            if code == _COMMENT:
                self.section_comments.append(value.decode(errors="replace"))

    def _add_interface(self, buffer: bytes, at: int, length: int, position: int) -> None:
        self._check_block(buffer, at, length, _INTERFACE_BYTES, position)
        if len(self.interfaces) == _MOST_INTERFACES:
            self._damage("file.too_many_interfaces", position + at, limit=_MOST_INTERFACES)
        order = self._section.order
        link_type, snaplen = Struct(f"{order}H2xI").unpack_from(buffer, at + 8)
        name, units_per_second, offset_s = "", 1_000_000, 0
        for code, value in self._options(buffer, at + 16, at + length - 4):
            if code == _IF_NAME:
                name = value.decode(errors="replace").rstrip("\0")
            elif code == _IF_TSRESOL and len(value) == 1:
                units_per_second = 2 ** (value[0] & 0x7F) if value[0] & 0x80 else 10 ** value[0]
            elif code == _IF_TSOFFSET and len(value) == 8:
                (offset_s,) = Struct(f"{order}q").unpack(value)
        self.interfaces.append(Interface(name, link_type_of(link_type)))
        self._section.interfaces.append(
            _Description(link_type_of(link_type), snaplen, Clock(units_per_second, offset_s))
        )

    def _check_block(self, buffer: bytes, at: int, length: int, least: int, position: int) -> None:
        trailing_length = Struct(f"{self._section.order}I").unpack_from(buffer, at + length - 4)[0]
        if length < least or trailing_length != length:
            self._damage("file.bad_block", position + at)

    def _damage(self, key: str, offset: int, **parameters: object) -> Never:
        raise DamageProblem(key, path=self._name, packet=self.packets + 1, offset=offset, **parameters)


def section_bytes(start: bytes) -> int:
    """Length of the section header block that begins with these SECTION_START_BYTES; 0 when it cannot be one."""
    order = _BYTE_ORDERS.get(start[8:12])
    length = Struct(f"{order}I").unpack_from(start, 4)[0] if order else 0
    return length if _SECTION_BYTES <= length <= _LARGEST_BLOCK else 0


def _halves(buffer: bytes, order: str, at: I64) -> npt.NDArray[np.uint16]:
    """16-bit fields at any offsets of a buffer."""
    return np.ndarray((len(buffer) - 1,), f"{order}u2", buffer, strides=(1,))[np.minimum(at, len(buffer) - 2)]
