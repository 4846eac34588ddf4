"""From a batch to rows with conversations: decode, select, number, group. The same for a file and live."""

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import FrameBatch
from inspector.decode.columns import Mark, Network, PacketColumns
from inspector.decode.exceptional import QuotedDatagram
from inspector.decode.fast import Decoded, Decoder
from inspector.trace.grouping import Grouping, Instance, unpack
from inspector.trace.selection import Selection

Rows = npt.NDArray[np.intp]
_REASSEMBLED_BYTES_KEPT = 64 << 20


class Intake:
    """Feed batches; packets are numbered from 1 among those that the selection takes."""

    def __init__(self, selection: Selection | None = None) -> None:
        self.grouping = Grouping()
        self.decoder = Decoder()
        self.quoted: dict[int, QuotedDatagram] = {}  # what ICMP errors quote, by packet number
        self.reassembled: dict[int, bytes] = {}  # datagrams of several fragments, by the packet that completed each
        self._reassembled_bytes = 0
        self.seen = 0
        self.taken = 0
        self._selection = selection or Selection()

    def select(self, batch: FrameBatch) -> tuple[PacketColumns, Rows]:
        """Decode a batch; its columns, and the rows that the selection takes. ``take`` must follow."""
        return self._select(self.decoder.decode(batch))

    def select_decoded(self, decoded: Decoded) -> tuple[PacketColumns, Rows]:
        """The same for a batch that another decoder decoded."""
        return self._select(self.decoder.take_over(decoded))

    def take(self, columns: PacketColumns, rows: Rows) -> PacketColumns:
        """Number and group the chosen rows of the batch that was decoded last."""
        first_packet = self.taken + 1
        taken = columns if len(rows) == len(columns) else columns.take(rows)
        first_decoded = self.seen - len(columns) + 1
        for index in np.flatnonzero(taken.mark & int(Mark.QUOTING)).tolist():
            datagram = self.decoder.quoted.get(first_decoded + int(rows[index]))
            if datagram is not None:
                self.quoted[first_packet + index] = datagram
        of_row = {}
        if self.decoder.tunnels or self.decoder.reassembled:
            of_row = {int(row): index for index, row in enumerate(rows)}
        for packet, whole in self.decoder.reassembled.items():
            if packet - first_decoded in of_row:
                self._keep(first_packet + of_row[packet - first_decoded], whole)
        self.decoder.forget(self.seen + 1)
        self.taken += len(taken)
        tunnels = {of_row[row]: tunnel for row, tunnel in self.decoder.tunnels.items() if row in of_row}
        self.grouping.assign(taken, first_packet, self.quoted, tunnels)
        return taken

    def skip(self, seen: int, taken: int) -> None:
        """Number packets that need not be decoded, and those of them that the selection takes."""
        self.decoder.packets += seen
        self.seen += seen
        self.taken += taken

    def forget(self) -> None:
        """Let go what was kept of packets that have been read."""
        self.quoted.clear()
        self.reassembled.clear()
        self._reassembled_bytes = 0

    def forget_addresses(self) -> None:
        """Let go the IPv6 addresses that no conversation has any more, and datagrams that are unfinished."""
        instances = self.grouping.instances.values()
        self.decoder.forget_addresses({number for instance in instances for number in _addresses(instance)})

    def _select(self, columns: PacketColumns) -> tuple[PacketColumns, Rows]:
        first_packet = self.seen + 1
        self.seen += len(columns)
        if self._selection.everything:
            return columns, np.arange(len(columns))
        chosen = self._selection.rows(columns, self.decoder.addresses, self.decoder.quoted, first_packet)
        return columns, np.flatnonzero(chosen)

    def _keep(self, packet: int, whole: bytes) -> None:
        """Keep a datagram's bytes, and let the oldest go when they are too many."""
        self.reassembled[packet] = whole
        self._reassembled_bytes += len(whole)
        while self._reassembled_bytes > _REASSEMBLED_BYTES_KEPT:
            self._reassembled_bytes -= len(self.reassembled.pop(next(iter(self.reassembled))))


def _addresses(instance: Instance) -> list[int]:
    """The numbers of its IPv6 addresses."""
    return [unpack(end).address for end in (instance.low, instance.high)] if instance.network == Network.IPV6 else []
