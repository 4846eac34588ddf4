"""From a batch to rows with conversations: decode, select, number, group. The same for a file and live."""

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import FrameBatch
from inspector.decode.columns import Mark, PacketColumns
from inspector.decode.exceptional import QuotedDatagram
from inspector.decode.fast import Decoder
from inspector.trace.grouping import Grouping
from inspector.trace.selection import Selection

Rows = npt.NDArray[np.intp]


class Intake:
    """Feed batches; packets are numbered from 1 among those that the selection takes."""

    def __init__(self, selection: Selection | None = None) -> None:
        self.grouping = Grouping()
        self.decoder = Decoder()
        self.quoted: dict[int, QuotedDatagram] = {}  # what ICMP errors quote, by packet number
        self.seen = 0
        self.taken = 0
        self._selection = selection or Selection()

    def select(self, batch: FrameBatch) -> tuple[PacketColumns, Rows]:
        """Decode a batch; its columns, and the rows that the selection takes. ``take`` must follow."""
        first_packet = self.seen + 1
        columns = self.decoder.decode(batch)
        self.seen += len(columns)
        if self._selection.everything:
            return columns, np.arange(len(columns))
        chosen = self._selection.rows(columns, self.decoder.addresses, self.decoder.quoted, first_packet)
        return columns, np.flatnonzero(chosen)

    def take(self, columns: PacketColumns, rows: Rows) -> PacketColumns:
        """Number and group the chosen rows of the batch that was decoded last."""
        first_packet = self.taken + 1
        taken = columns if len(rows) == len(columns) else columns.take(rows)
        for index in np.flatnonzero(taken.mark & int(Mark.QUOTING)).tolist():
            datagram = self.decoder.quoted.get(self.seen - len(columns) + 1 + int(rows[index]))
            if datagram is not None:
                self.quoted[first_packet + index] = datagram
        self.decoder.forget(self.seen + 1)
        self.taken += len(taken)
        of_row = {int(row): index for index, row in enumerate(rows)} if self.decoder.tunnels else {}
        tunnels = {of_row[row]: tunnel for row, tunnel in self.decoder.tunnels.items() if row in of_row}
        self.grouping.assign(taken, first_packet, self.quoted, tunnels)
        return taken
