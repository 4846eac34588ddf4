"""Which packets belong together: conversations by their two endpoints, TCP connections by their instance too.

A pair of endpoints is a key of two 64-bit numbers, the lower one first, so that both directions meet. A batch is
grouped by a salted hash of its keys, the groups are checked against the keys themselves (a collision takes a new
salt), and only the rows that can change anything are looked at one by one: the first of each group and direction,
SYNs, and ICMP errors.
"""

import random
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from inspector.capture.batch import U64
from inspector.decode.columns import Mark, Network, PacketColumns
from inspector.decode.exceptional import QuotedDatagram
from inspector.decode.tunnels import Tunnel
from inspector.tcp.segment import Flag
from inspector.tcp.states import Known

TCP = 6
UDP = 17
PROTOCOLS_WITH_PORTS = (TCP, UDP)
_SEQUENCE_SPACE = 1 << 32
_SYN, _ACK = int(Flag.SYN), int(Flag.ACK)

Key = tuple[int, int]


class Instance:
    """One conversation as the grouping knows it; ``high`` and ``low`` are its endpoints' numbers (see ``unpack``)."""

    __slots__ = ("base_seq", "client_is_high", "client_known", "high", "low", "number", "reused", "tunnel")

    def __init__(self, number: int, key: Key, client_is_high: bool, client_known: Known, reused: bool) -> None:
        self.number = number
        self.low, self.high = key
        self.client_is_high = client_is_high
        self.client_known = client_known
        self.reused = reused  # a SYN opened it on endpoints that another connection had used before
        self.tunnel: Tunnel | None = None  # that its first packet came through
        self.base_seq: list[int | None] = [None, None]  # by direction: from the low endpoint, from the high one

    @property
    def protocol(self) -> int:
        """IP protocol number."""
        return (self.low >> 48) & 0xFF

    @property
    def network(self) -> int:
        """decode.columns.Network."""
        return self.low >> 56

    @property
    def client_and_server(self) -> tuple[int, int]:
        """The two endpoints' numbers."""
        return (self.high, self.low) if self.client_is_high else (self.low, self.high)


class PackedEndpoint(NamedTuple):
    """What an endpoint's number holds."""

    address: int
    port: int


def unpack(endpoint: int) -> PackedEndpoint:
    """Address (as in the columns) and port of an endpoint's number."""
    return PackedEndpoint(endpoint >> 16 & 0xFFFFFFFF, endpoint & 0xFFFF)


def _pack(network: int, protocol: int, address: int, port: int) -> int:
    return network << 56 | protocol << 48 | address << 16 | port


def is_segment(columns: PacketColumns, rows: npt.NDArray[np.intp] | slice = slice(None)) -> npt.NDArray[np.bool_]:
    """Which of the rows are whole TCP segments: no fragment, not malformed."""
    segments: npt.NDArray[np.bool_] = columns.protocol[rows] == TCP
    segments &= columns.mark[rows] & int(Mark.FRAGMENT | Mark.MALFORMED) == 0
    return segments


def in_order(conversation: npt.NDArray[np.uint32]) -> npt.NDArray[np.intp]:
    """The indices of rows sorted by their conversations, those of each as they were."""
    first, last = conversation.min(initial=_SEQUENCE_SPACE - 1), conversation.max(initial=0)
    small = len(conversation) and last - first < 1 << 16  # numpy sorts 16 bits several times as fast
    return np.argsort((conversation - first).astype(np.uint16) if small else conversation, kind="stable")


def _belongs(columns: PacketColumns) -> npt.NDArray[np.bool_]:
    """Rows whose own headers name a conversation."""
    belongs: npt.NDArray[np.bool_] = (columns.network == Network.IPV4) | (columns.network == Network.IPV6)
    belongs &= (columns.protocol > 0) & (columns.mark & int(Mark.QUOTING) == 0)
    without_ports = (columns.protocol != TCP) & (columns.protocol != UDP)
    belongs &= without_ports | (columns.transport_offset > 0) | (columns.source_port > 0)
    return belongs


def _sent_by_server(protocol: int, source_port: int, destination_port: int) -> bool:
    """Whether the ports alone suggest that a packet without SYN comes from the server.

    A port below 1024 belongs to a service (RFC 6335 section 6); the ephemeral ports of Linux begin at 32768 (ip(7)).
    """
    if source_port < 1024 <= destination_port:
        return True
    return protocol == TCP and source_port < 32768 <= destination_port


class Grouping:
    """Gives every packet its conversation, numbered from 1 in the order of first packets; keeps who is the client."""

    def __init__(self) -> None:
        self.instances: dict[int, Instance] = {}
        self._open: dict[Key, Instance] = {}
        self._next_number = 1
        self._salts = _new_salts()
        self._tunnels: Mapping[int, Tunnel] = {}  # of the rows that are being grouped

    def assign(
        self,
        columns: PacketColumns,
        first_packet: int,
        quoted: Mapping[int, QuotedDatagram],
        tunnels: Mapping[int, Tunnel] | None = None,
    ) -> None:
        """Fill in ``conversation`` and the mark TO_CLIENT of the rows of packets ``first_packet`` and on.

        ``quoted`` has what ICMP errors quote, by packet number; ``tunnels`` those that packets came through, by row.
        """
        self._tunnels = tunnels or {}
        rows = np.flatnonzero(_belongs(columns))
        quoting = np.flatnonzero(columns.mark & int(Mark.QUOTING))
        if len(rows) + len(quoting) == 0:
            return
        low, high, from_high = _keys(columns, rows)
        group, first_of_group = self._group(low, high)
        batch = _Batch(columns, rows, group, from_high, low[first_of_group].tolist(), high[first_of_group].tolist())
        splits = self._walk(batch, quoting, first_packet, quoted)
        number = np.array([instance.number for instance in batch.first_instance], np.uint32)[group]
        client_is_high = np.array([instance.client_is_high for instance in batch.first_instance], np.bool_)[group]
        for index, instance in splits:
            later = group[index:] == group[index]
            number[index:][later] = instance.number
            client_is_high[index:][later] = instance.client_is_high
        columns.conversation[rows] = number
        columns.mark[rows[from_high != client_is_high]] |= int(Mark.TO_CLIENT)

    def is_latest(self, instance: Instance) -> bool:
        """Whether a packet of its endpoints belongs to it, unless it opens a new connection."""
        return self._open.get((instance.low, instance.high)) is instance

    def forget(self, instance: Instance) -> None:
        """Drop a conversation that is over; a later packet of its endpoints opens a new one."""
        self.instances.pop(instance.number, None)
        key = (instance.low, instance.high)
        if self._open.get(key) is instance:
            del self._open[key]

    def _group(self, low: U64, high: U64) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
        while True:
            salt_low, salt_high = self._salts
            _, first, group = np.unique(low * salt_low + high * salt_high, return_index=True, return_inverse=True)
            if bool(np.all((low[first][group] == low) & (high[first][group] == high))):
                return group, first
            self._salts = _new_salts()

    def _walk(
        self,
        batch: "_Batch",
        quoting: npt.NDArray[np.intp],
        first_packet: int,
        quoted: Mapping[int, QuotedDatagram],
    ) -> list[tuple[int, Instance]]:
        """Look at the rows that can change something, in order; returns (index into the batch's rows, new instance)."""
        columns, splits = batch.columns, []
        events = [(row, index) for index, row in batch.events()]
        events += [(row, -1) for row in quoting.tolist()]
        for row, index in sorted(events):
            if index < 0:
                self._tie_error(columns, row, quoted.get(first_packet + row))
                continue
            group, direction = int(batch.group[index]), int(batch.from_high[index])
            key = batch.low[group], batch.high[group]
            instance = self._open.get(key)
            flags, seq = int(batch.flags[index]), int(columns.seq[row])
            opens = flags & (_SYN | _ACK) == _SYN
            if instance is None:
                instance = self._create(columns, row, key, direction, reused=False)
            elif opens and instance.base_seq[direction] not in (None, seq):
                instance = self._create(columns, row, key, direction, reused=True)
                splits.append((index, instance))
            if batch.opens_late[group]:
                batch.note_row(index, direction, instance.base_seq)
            else:
                batch.note_all(group, instance.base_seq)
            if batch.first_instance[group] is None:
                batch.first_instance[group] = instance
        return splits

    def _create(self, columns: PacketColumns, row: int, key: Key, direction: int, *, reused: bool) -> Instance:
        flags, protocol = int(columns.flags[row]), int(columns.protocol[row])
        source_port, destination_port = int(columns.source_port[row]), int(columns.destination_port[row])
        if flags & _SYN:
            from_client, known = not flags & _ACK, Known.SEEN
        else:
            from_client, known = not _sent_by_server(protocol, source_port, destination_port), Known.INFERRED
        instance = Instance(self._next_number, key, bool(direction) == from_client, known, reused)
        instance.tunnel = self._tunnels.get(row)
        self._next_number += 1
        self.instances[instance.number] = self._open[key] = instance
        return instance

    def _tie_error(self, columns: PacketColumns, row: int, quoted: QuotedDatagram | None) -> None:
        """An ICMP error belongs to the conversation it quotes; unknown that, to one of the two hosts' own."""
        instance = None
        if quoted is not None:
            pair = (
                _pack(quoted.network, quoted.protocol, quoted.source, quoted.source_port),
                _pack(quoted.network, quoted.protocol, quoted.destination, quoted.destination_port),
            )
            instance = self._open.get((min(pair), max(pair)))
        if instance is not None:
            columns.conversation[row] = instance.number
            if instance.client_and_server[0] == pair[0]:  # the client's datagram came back from the server's side
                columns.mark[row] |= int(Mark.TO_CLIENT)
            return
        network, protocol = int(columns.network[row]), int(columns.protocol[row])
        source = _pack(network, protocol, int(columns.source[row]), 0)
        destination = _pack(network, protocol, int(columns.destination[row]), 0)
        key = min(source, destination), max(source, destination)
        direction = int(source > destination)
        instance = self._open.get(key) or self._create(columns, row, key, direction, reused=False)
        columns.conversation[row] = instance.number
        if instance.client_and_server[1] == source:
            columns.mark[row] |= int(Mark.TO_CLIENT)


class _Batch:
    """The rows of one batch that have endpoints, grouped by them."""

    def __init__(
        self,
        columns: PacketColumns,
        rows: npt.NDArray[np.intp],
        group: npt.NDArray[np.intp],
        from_high: npt.NDArray[np.bool_],
        low: list[int],
        high: list[int],
    ) -> None:
        self.columns = columns
        self.rows = rows
        self.segments = is_segment(columns, rows)
        self.flags = np.where(self.segments, columns.flags[rows], 0)
        self.group = group
        self.from_high = from_high
        self.low = low
        self.high = high
        self.first_instance: list[Instance] = [None] * len(low)  # type: ignore[list-item]  # filled by the walk
        self._first = _first_of(group, len(low))
        late = self.flags & (_SYN | _ACK) == _SYN
        late[self._first] = False
        self.opens_late = np.bincount(group[late], minlength=len(low)) > 0  # a SYN comes after something else
        self._syn_seq, self._seq_before = self._base_seqs()

    def events(self) -> list[tuple[int, int]]:
        """(index, row) of what can open a conversation: the first row of each group, all where a SYN comes late."""
        chosen = self.opens_late[self.group]
        chosen[self._first] = True
        indices = np.flatnonzero(chosen)
        return list(zip(indices.tolist(), self.rows[indices].tolist(), strict=True))

    def note_row(self, index: int, direction: int, base_seq: list[int | None]) -> None:
        """Learn the base sequence numbers that a row tells."""
        row, flags = self.rows[index], int(self.flags[index])
        if flags & _SYN:
            base_seq[direction] = int(self.columns.seq[row])
        elif self.segments[index] and base_seq[direction] is None:
            base_seq[direction] = (int(self.columns.seq[row]) - 1) % _SEQUENCE_SPACE
        if flags & _ACK and base_seq[1 - direction] is None:
            base_seq[1 - direction] = (int(self.columns.ack[row]) - 1) % _SEQUENCE_SPACE

    def note_all(self, group: int, base_seq: list[int | None]) -> None:
        """Learn those that all rows of a group tell, one after the other."""
        for direction in (0, 1):
            place = 2 * group + direction
            if self._syn_seq[place] >= 0:
                base_seq[direction] = self._syn_seq[place]
            elif base_seq[direction] is None and self._seq_before[place] >= 0:
                base_seq[direction] = self._seq_before[place]

    def _base_seqs(self) -> tuple[list[int], list[int]]:
        """By group and direction, the number of the last SYN, and the one before what the first row with any tells of
        that direction: a segment its own, an ACK the other one's; -1 for none."""
        count, places = len(self.rows), 2 * len(self.low)
        place = 2 * self.group + self.from_high
        seq, ack = self.columns.seq[self.rows], self.columns.ack[self.rows]
        syn_seq = np.full(places, -1)
        syns = np.flatnonzero(self.flags & _SYN)
        syn_seq[place[syns]] = seq[syns]  # of equal places the last assignment stays
        first = np.full((2, places), count)
        for which, rows in enumerate((np.flatnonzero(self.segments)[::-1], np.flatnonzero(self.flags & _ACK)[::-1])):
            first[which, place[rows] ^ which] = rows
        own, others = first
        before = np.where(own < others, np.append(seq, 0)[own], np.append(ack, 0)[others]).astype(np.int64) - 1
        before = np.where(np.minimum(own, others) < count, before % _SEQUENCE_SPACE, -1)
        return syn_seq.tolist(), before.tolist()


def _first_of(places: npt.NDArray[np.intp], size: int) -> npt.NDArray[np.intp]:
    """The index of the first element of each place below ``size`` that occurs."""
    first = np.full(size, -1)
    first[places[::-1]] = np.arange(len(places))[::-1]  # of equal places the last assignment stays
    return first[first >= 0]


def _keys(columns: PacketColumns, rows: npt.NDArray[np.intp]) -> tuple[U64, U64, npt.NDArray[np.bool_]]:
    kind = columns.network[rows].astype(np.uint64) << np.uint64(56) | columns.protocol[rows].astype(np.uint64) << (
        np.uint64(48)
    )
    source = kind | columns.source[rows].astype(np.uint64) << np.uint64(16) | columns.source_port[rows]
    destination = kind | columns.destination[rows].astype(np.uint64) << np.uint64(16) | columns.destination_port[rows]
    return np.minimum(source, destination), np.maximum(source, destination), source > destination


def _new_salts() -> tuple[np.uint64, np.uint64]:
    return np.uint64(random.getrandbits(64) | 1), np.uint64(random.getrandbits(64) | 1)
