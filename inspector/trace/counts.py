"""What the columns alone tell of conversations: packets and bytes each way, first and last time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from inspector.capture.batch import I64
from inspector.decode.addresses import AddressTable
from inspector.decode.columns import Mark, PacketColumns
from inspector.decode.protocols import protocol_name
from inspector.trace.conversation import Conversation, Endpoint
from inspector.trace.grouping import PROTOCOLS_WITH_PORTS, Instance, unpack

if TYPE_CHECKING:
    from inspector.trace.trace import Trace

_AT_ONCE = 100_000  # rows: what is worked out for each takes as much room as the columns


def describe(
    instance: Instance,
    addresses: AddressTable,
    packets: tuple[int, int],
    payload: tuple[int, int],
    times_ns: tuple[int, int],
    trace: "Trace | None" = None,
) -> Conversation:
    """A conversation from its grouping and its counts: (to the server, to the client) and (first, last)."""
    network, protocol = instance.network, instance.protocol
    has_ports = protocol in PROTOCOLS_WITH_PORTS
    client, server = [
        Endpoint(addresses.text(network, address), port if has_ports else None)
        for address, port in map(unpack, instance.client_and_server)
    ]
    return Conversation(
        number=instance.number,
        protocol=protocol_name(network, protocol),
        client=client,
        server=server,
        client_known=instance.client_known,
        packets_to_server=packets[0],
        packets_to_client=packets[1],
        payload_to_server=payload[0],
        payload_to_client=payload[1],
        start_ns=times_ns[0],
        end_ns=times_ns[1],
        tunnel=_tunnel_text(instance, addresses),
        trace=trace,
    )


def _tunnel_text(instance: Instance, addresses: AddressTable) -> str:
    if instance.tunnel is None:
        return ""
    name, network, *ends = instance.tunnel
    source, destination = (addresses.text(network, end) for end in ends)
    return f"{name} {source} → {destination}"


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of all conversations of a trace: [conversation number, direction], 0 to the server, 1 to the client."""

    packets: I64
    payload_bytes: I64
    start_ns: I64
    end_ns: I64

    @classmethod
    def of(cls, columns: PacketColumns, instances: Mapping[int, Instance]) -> "Counts":
        """Count; an ICMP error is nobody's traffic unless two hosts exchanged nothing else."""
        size = len(instances) + 1
        protocol = np.zeros(size, np.uint8)
        protocol[list(instances)] = [instance.protocol for instance in instances.values()]
        packets, payload_bytes = np.zeros((2, 2 * size), np.int64)
        start_ns = np.full(size, np.iinfo(np.int64).max)
        end_ns = np.full(size, np.iinfo(np.int64).min)
        for start in range(0, len(columns), _AT_ONCE):
            rows = slice(start, start + _AT_ONCE)
            number, mark, time_ns = columns.conversation[rows], columns.mark[rows], columns.time_ns[rows]
            counted = (mark & int(Mark.QUOTING) == 0) | (protocol[number] == columns.protocol[rows])
            number, time_ns = number[counted], time_ns[counted]
            place = 2 * number.astype(np.int64) + ((mark[counted] & int(Mark.TO_CLIENT)) != 0)
            # Sums of payloads stay below 2**53, where the weights of bincount, floats, are exact.
            # A fragment's bytes are counted where its datagram is complete.
            carried = np.where(mark & int(Mark.FRAGMENT), 0, columns.payload_bytes[rows])[counted]
            packets += np.bincount(place, minlength=2 * size)
            payload_bytes += np.bincount(place, weights=carried, minlength=2 * size).astype(np.int64)
            np.minimum.at(start_ns, number, time_ns)
            np.maximum.at(end_ns, number, time_ns)
        return cls(packets.reshape(size, 2), payload_bytes.reshape(size, 2), start_ns, end_ns)

    def conversations(
        self, instances: Sequence[Instance], addresses: AddressTable, trace: "Trace"
    ) -> list[Conversation]:
        """Conversations of a trace with their counts."""
        numbers = [instance.number for instance in instances]
        packets, payload, start_ns, end_ns = (
            counts[numbers].tolist() for counts in (self.packets, self.payload_bytes, self.start_ns, self.end_ns)
        )
        rows = zip(instances, packets, payload, zip(start_ns, end_ns, strict=True), strict=True)
        return [describe(each, addresses, sent, carried, times, trace) for each, sent, carried, times in rows]
