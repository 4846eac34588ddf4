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
from inspector.trace.grouping import Instance, unpack


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
        chosen = np.ones(len(columns), np.bool_)
        if self.ports:
            ports = np.fromiter(self.ports, np.uint16)
            has_ports = (columns.protocol == 6) | (columns.protocol == 17)
            chosen &= has_ports & (np.isin(columns.source_port, ports) | np.isin(columns.destination_port, ports))
        if self.host is not None:
            network, number = self._host_number(addresses)
            families = (Network.IPV4, Network.ARP) if network == Network.IPV4 else (network,)
            at_host = np.zeros(len(columns), np.bool_)
            if number is not None:
                at_host = (columns.source == number) | (columns.destination == number)
            chosen &= np.isin(columns.network, families) & at_host
        if self.ports:
            for row in np.flatnonzero(columns.mark & int(Mark.QUOTING)).tolist():
                datagram = quoted.get(first_packet + row)
                if datagram is not None and self.ports & {datagram.source_port, datagram.destination_port}:
                    chosen[row] = True
        return chosen

    def has(self, instance: Instance, addresses: AddressTable) -> bool:
        """Whether a conversation is asked for."""
        ends = [unpack(endpoint) for endpoint in instance.client_and_server]
        if self.ports and not self.ports & {end.port for end in ends if instance.protocol in (6, 17)}:
            return False
        if self.host is None:
            return True
        network, number = self._host_number(addresses)
        return network == instance.network and number in [end.address for end in ends]
