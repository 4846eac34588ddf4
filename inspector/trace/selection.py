"""Which packets a user asked for: by port and by host."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from inspector.decode.addresses import AddressTable
from inspector.decode.columns import Mark, Network, PacketColumns
from inspector.decode.exceptional import QuotedDatagram
from inspector.text.problems import UsageProblem
from inspector.trace.grouping import PROTOCOLS_WITH_PORTS, Instance, unpack


@dataclass(frozen=True)
class Selection:
    """Any of the ports, and the host; empty and None select everything.

    Args:
        ports: transport ports, either side.
        host: an IPv4 or IPv6 address, either side. Raises UsageProblem when it is neither.
    """

    ports: frozenset[int] = frozenset()
    host: str | None = None

    def __post_init__(self) -> None:
        if self.host is not None and self._packed_host is None:
            raise UsageProblem("trace.host_is_no_address", host=self.host)

    @property
    def everything(self) -> bool:
        """Whether nothing is left out."""
        return not self.ports and self.host is None

    @cached_property
    def _packed_host(self) -> tuple[int, bytes] | None:
        for family, network in ((socket.AF_INET, Network.IPV4), (socket.AF_INET6, Network.IPV6)):
            try:
                return network, socket.inet_pton(family, self.host or "")
            except OSError:
                continue
        return None

    def _host_number(self, addresses: AddressTable) -> tuple[int, int | None]:
        """(network, number in the columns); the number is None while no packet had that address."""
        assert self._packed_host is not None
        network, packed = self._packed_host
        if network == Network.IPV4:
            return network, int.from_bytes(packed, "big")
        return network, addresses.find(packed)

    def rows(
        self,
        columns: PacketColumns,
        addresses: AddressTable,
        quoted: Mapping[int, QuotedDatagram],
        first_packet: int,
    ) -> npt.NDArray[np.bool_]:
        """The rows that are asked for, of packets ``first_packet`` and on; an ICMP error counts as what it quotes."""
        at_host = np.ones(len(columns), np.bool_)
        if self.host is not None:
            network, number = self._host_number(addresses)
            families = (Network.IPV4, Network.ARP) if network == Network.IPV4 else (network,)
            at_host = np.isin(columns.network, families) & (number is not None)
            at_host &= (columns.source == (number or 0)) | (columns.destination == (number or 0))
        chosen = at_host.copy()
        if self.ports:
            ports = np.fromiter(self.ports, np.uint16)
            has_ports = np.isin(columns.protocol, PROTOCOLS_WITH_PORTS)
            chosen &= has_ports & (np.isin(columns.source_port, ports) | np.isin(columns.destination_port, ports))
        for row in np.flatnonzero(columns.mark & int(Mark.QUOTING)).tolist():
            datagram = quoted.get(first_packet + row)
            if datagram is not None:
                ends = (datagram.source, datagram.destination)
                chosen[row] = self._has_port(datagram.protocol, (datagram.source_port, datagram.destination_port)) and (
                    bool(at_host[row]) or self._has_host(datagram.network, ends, addresses)
                )
        return chosen

    def has(self, instance: Instance, addresses: AddressTable) -> bool:
        """Whether a conversation is asked for."""
        client, server = (unpack(endpoint) for endpoint in instance.client_and_server)
        ends = (client.address, server.address)
        has_port = self._has_port(instance.protocol, (client.port, server.port))
        return has_port and self._has_host(instance.network, ends, addresses)

    def _has_port(self, protocol: int, ports: tuple[int, int]) -> bool:
        return not self.ports or (protocol in PROTOCOLS_WITH_PORTS and not self.ports.isdisjoint(ports))

    def _has_host(self, network: int, ends: tuple[int, int], addresses: AddressTable) -> bool:
        return self.host is None or self._host_number(addresses) in {(network, end) for end in ends}
