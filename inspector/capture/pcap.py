"""The pcap format: draft-ietf-opsawg-pcap, with the nanosecond and the "modified" (Kuznetsov) magic."""

from collections.abc import Generator
from struct import Struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import I64, FrameBatch, Interface
from inspector.text.problems import DamageProblem, FileProblem

HEADER_BYTES = 24
LARGEST_FRAME = 262144  # what tcpdump and Wireshark take by default
LARGEST_SNAPLEN = 16 << 20  # a file may ask for more than LARGEST_FRAME, yet not for all memory
_LINK_TYPE_BITS = 0xFFFF  # above them: FCS length and reserved bits
_RAW_IP = 101
_LINK_TYPE_ALIASES = {12: _RAW_IP, 14: _RAW_IP}  # DLT_RAW as some systems wrote it (libpcap pcap-common.c)


class _Layout(NamedTuple):
    """How to read a file with some magic number."""

    order: str  # struct's and numpy's sign of the byte order
    fraction_ns: int  # what one unit of a timestamp's second field is worth
    record_header_bytes: int


_MAGIC_NUMBERS = {0xA1B2C3D4: (1000, 16), 0xA1B23C4D: (1, 16), 0xA1B2CD34: (1000, 24)}
_LAYOUTS = {
    number.to_bytes(4, "little" if order == "<" else "big"): _Layout(order, *rest)
    for number, rest in _MAGIC_NUMBERS.items()
    for order in "<>"
}
MAGICS = frozenset(_LAYOUTS)

Walk = Generator[FrameBatch, None, tuple[int, int]]  # yields batches; returns bytes used, bytes needed to go on


def link_type_of(number: int) -> int:
    """The LINKTYPE_ number for the number in a file."""
    number &= _LINK_TYPE_BITS
    return _LINK_TYPE_ALIASES.get(number, number)


class PcapReader:
    """Walks a pcap file's records. ``header`` is its first HEADER_BYTES bytes; raises FileProblem.

    Versions before 2.3 have the two lengths of a record in the other order (libpcap sf-pcap.c).
    """

    start = HEADER_BYTES
    smallest_record = 16

    def __init__(self, name: str, header: bytes) -> None:
        self._layout = _LAYOUTS[header[:4]]
        major, minor, snaplen, network = Struct(f"{self._layout.order}4xHH8xII").unpack(header)
        if major != 2:
            raise FileProblem("file.version", path=name, format="pcap", version=f"{major}.{minor}")
        lengths = ("captured", "wire") if minor >= 3 else ("wire", "captured")
        fields = ["seconds", "fraction", *lengths]
        self._record = np.dtype([(field, f"{self._layout.order}u4") for field in fields])
        self._captured_length = Struct(f"{self._layout.order}{8 if minor >= 3 else 12}xI")
        self._limit = min(max(snaplen, LARGEST_FRAME), LARGEST_SNAPLEN)
        self._name = name
        self.packets = 0
        self.interfaces = [Interface("", link_type_of(network))]
        self.comments: dict[int, str] = {}
        self.section_comments: list[str] = []

    def walk(self, buffer: bytes, position: int) -> Walk:
        """The whole records in ``buffer``, which lies at ``position`` in the file; raises DamageProblem after them."""
        starts, used, needed = self._starts(buffer)
        at = np.array(starts, np.int64)
        # a view of the buffer with a record at every byte, of which only the true ones are taken
        every_byte = np.ndarray((max(len(buffer) - 15, 0),), self._record, buffer, strides=(1,))
        records = every_byte[at]
        absurd = np.flatnonzero(records["captured"] > self._limit)
        if absurd.size:
            used, needed = starts[absurd[0]], int(records["captured"][absurd[0]]) + self._layout.record_header_bytes
            at, records = at[: absurd[0]], records[: absurd[0]]
        self.packets += len(at)
        if len(at):
            yield self._batch(buffer, position, at + self._layout.record_header_bytes, records)
        captured_bytes = needed - self._layout.record_header_bytes
        if captured_bytes > self._limit:
            raise DamageProblem(
                "file.absurd_length",
                path=self._name,
                packet=self.packets + 1,
                offset=position + used,
                captured_bytes=captured_bytes,
                limit=self._limit,
            )
        return used, needed

    def _starts(self, buffer: bytes) -> tuple[list[int], int, int]:
        """Where the whole records begin, where they end, and how many bytes the next one needs.

        The only loop over all packets of a file: lengths are believed here and judged afterwards, all at once.
        """
        length_at = self._captured_length.unpack_from
        header_bytes = self._layout.record_header_bytes
        size = len(buffer)
        last_start = size - header_bytes
        starts: list[int] = []
        append = starts.append
        at, needed = 0, header_bytes
        while at <= last_start:
            end = at + header_bytes + length_at(buffer, at)[0]
            if end > size:
                needed = end - at
                break
            append(at)
            at = end
        return starts, at, needed

    def _batch(self, buffer: bytes, position: int, offset: I64, records: npt.NDArray[np.void]) -> FrameBatch:
        fraction_ns = records["fraction"].astype(np.int64) * self._layout.fraction_ns
        count = len(offset)
        return FrameBatch(
            buffer=buffer,
            offset=offset,
            captured_bytes=records["captured"].astype(np.uint32),
            wire_bytes=records["wire"].astype(np.uint32),
            time_ns=records["seconds"].astype(np.int64) * 1_000_000_000 + fraction_ns,
            link_type=np.full(count, self.interfaces[0].link_type, np.uint16),
            interface=np.zeros(count, np.uint16),
            status=np.zeros(count, np.uint8),
            position=offset + position,
        )
