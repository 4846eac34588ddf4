"""One captured frame with all its headers: what the rules ask about that need more than the columns hold."""

from functools import cached_property

import numpy as np

from inspector.decode.columns import Mark, Network
from inspector.decode.dissect import Dissection, Header, dissect
from inspector.explain.scene import Moment
from inspector.trace.trace import Trace

_NEAR = 256  # packets looked at on either side, for fragments of the same datagram
_ANSWER_NEAR = 4096  # and for the answer to an ARP request


class CapturedFrame:
    """A packet of a trace; ``moment`` is None where it is of no conversation."""

    def __init__(self, trace: Trace, packet: int, moment: Moment | None) -> None:
        self._trace = trace
        self.packet = packet
        self.moment = moment
        self.values = trace.values(packet)
        self.link_type = trace.link_type(packet)
        self.data = trace.frame(packet)

    @cached_property
    def headers(self) -> tuple[Header, ...]:
        """All that could be read, the outermost first; what an ICMP error quotes is left out."""
        return tuple(header for header in self._dissection.headers if not header.quoted)

    @cached_property
    def quoted(self) -> tuple[Header, ...]:
        """The headers of the datagram that an ICMP error quotes."""
        return tuple(header for header in self._dissection.headers if header.quoted)

    @cached_property
    def padding(self) -> int:
        """Bytes behind the datagram."""
        return len(self.data) - self._dissection.payload_end

    @cached_property
    def _dissection(self) -> Dissection:
        ready = not self.values.mark & int(Mark.CHECKSUM_NOT_READY)
        return dissect(self.data, self.link_type, self.values.wire_bytes, checksum_ready=ready)

    def header(self, *names: str) -> Header | None:
        """The innermost header of one of these names."""
        return next((header for header in reversed(self.headers) if header.name in names), None)

    def has_mark(self, mark: Mark) -> bool:
        """Whether the columns say so."""
        return bool(self.values.mark & int(mark))

    @cached_property
    def fragments(self) -> tuple[int, ...]:
        """All captured packets near it that are fragments of the same datagram, itself included."""
        columns, own = self._trace.columns, _identification(self.headers)
        first = max(self.packet - 1 - _NEAR, 0)
        near = slice(first, self.packet + _NEAR)
        same = (columns.source[near] == self.values.source) & (columns.destination[near] == self.values.destination)
        same &= columns.network[near] == self.values.network
        packets = [first + int(place) + 1 for place in np.flatnonzero(same)]
        return tuple(packet for packet in packets if own is not None and self._is_fragment_of(packet, own))

    def _is_fragment_of(self, packet: int, identification: int) -> bool:
        if not (self._trace.values(packet).mark & int(Mark.FRAGMENT) or self._trace.is_reassembled(packet)):
            return False
        frame = self._trace.frame(packet)
        wire_bytes = self._trace.values(packet).wire_bytes
        return _identification(dissect(frame, self._trace.link_type(packet), wire_bytes).headers) == identification

    @cached_property
    def arp_answer(self) -> int | None:
        """The first ARP packet behind it that the address it asks for has sent."""
        columns = self._trace.columns
        near = slice(self.packet, self.packet + _ANSWER_NEAR)
        answers = (columns.network[near] == Network.ARP) & (columns.source[near] == self.values.destination)
        found = np.flatnonzero(answers)
        return self.packet + int(found[0]) + 1 if len(found) else None


def _identification(headers: tuple[Header, ...]) -> int | None:
    """What the fragments of a datagram have in common; None for what is no fragment."""
    for header in headers:
        if header.name == "ipv4" and (int(header.value("flags") or 0) & 1 or header.value("fragment_offset")):
            return int(header.value("identification"))
        if header.name == "ipv6_extension" and header.value("m") is not None:
            return int(header.value("id"))
    return None
