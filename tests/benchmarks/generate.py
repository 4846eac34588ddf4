"""A capture of a million TCP packets, the same each time: what the interface before a few busy servers sees.

    python tests/benchmarks/generate.py FILE [--packets N]

Connections of very different lengths over IPv4 and IPv6, many at a time: handshakes, requests and answers, lost
segments and their retransmissions, resets, refusals, SYNs that nobody answers. The ports belong to no application
protocol, so that programs are compared on TCP alone. Checksums are zero, as before a network card fills them in.
"""

import argparse
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random
from struct import Struct
from typing import NamedTuple

PACKETS = 1_000_000
CONCURRENT = 60  # connections
SERVERS = 9
PORTS = (8001, 9001, 9101, 9201)
SEGMENT_BYTES = 1428  # most payload of a segment: MTU 1500, IPv6, timestamps
REQUEST_BYTES = (20, 100, 400, 1000)
ANSWER_BYTES = (100, 300, 600, 1_400, 12_000)
MOST_EXCHANGES = 3_000
MEAN_GAP_US = 100  # between packets
CLIENT, SERVER = 0, 1
FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

_FILE_HEADER = Struct("<IHHiIII").pack(0xA1B2C3D4, 2, 4, 0, 0, 262_144, 1)  # microseconds, Ethernet
_RECORD = Struct("<IIII")
_MAC_ADDRESSES = bytes.fromhex("020000000001020000000002")
_IPV4 = Struct(">HBBHHHBBH4s4s")  # with the EtherType before it
_IPV6 = Struct(">HIHBB16s16s")
_TCP = Struct(">HHIIBBHHHHBBII")  # with the timestamps option, as Linux sends it
_SYN_OPTIONS = bytes.fromhex("02040594 0402 01 030307 0000")  # MSS, SACK permitted, window scale
_PAYLOAD = (b"The quick brown fox jumps over the lazy dog. " * 32)[:SEGMENT_BYTES]


class Segment(NamedTuple):
    """A TCP segment as its connection sees it."""

    side: int
    flags: int
    seq: int
    ack: int
    payload_bytes: int = 0


class Connection:
    """One connection's segments, in the order in which a capture sees them."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._next_seq = [dice.getrandbits(32), dice.getrandbits(32)]

    def segments(self) -> Iterator[Segment]:
        """From the first SYN to the last segment."""
        fate = self._dice.random()
        syn = self._segment(CLIENT, SYN)._replace(ack=0)
        yield syn
        if fate < 0.02:
            yield from (syn, syn, syn)
            return
        self._next_seq[CLIENT] += 1
        if fate < 0.05:
            yield self._segment(SERVER, RST | ACK)._replace(seq=0)
            return
        yield self._segment(SERVER, SYN | ACK)
        self._next_seq[SERVER] += 1
        yield self._segment(CLIENT, ACK)
        for _ in range(min(int(self._dice.paretovariate(1.0)), MOST_EXCHANGES)):
            yield from self._message(CLIENT, self._dice.choice(REQUEST_BYTES))
            yield from self._message(SERVER, self._dice.choice(ANSWER_BYTES))
        first = self._dice.choice((CLIENT, SERVER))
        if fate < 0.10:
            yield self._segment(first, RST | ACK)
        elif fate < 0.99:
            yield from self._close(first)

    def _segment(self, side: int, flags: int, payload_bytes: int = 0) -> Segment:
        return Segment(side, flags, self._next_seq[side], self._next_seq[1 - side], payload_bytes)

    def _message(self, sender: int, size: int) -> Iterator[Segment]:
        """Bytes in one direction, acknowledged every second segment; now and then a segment is lost, before or after it
        was captured, and sent again."""
        lost = None
        for start in range(0, size, SEGMENT_BYTES):
            payload_bytes = min(SEGMENT_BYTES, size - start)
            last = start + payload_bytes == size
            segment = self._segment(sender, PSH | ACK if last else ACK, payload_bytes)
            self._next_seq[sender] += payload_bytes
            chance = self._dice.random()
            if lost is None and chance < 0.004:
                lost = segment
                if chance < 0.002:
                    yield segment
                continue
            yield segment
            if lost is not None:
                yield self._segment(1 - sender, ACK)._replace(ack=lost.seq)
            elif last or start // SEGMENT_BYTES % 2:
                yield self._segment(1 - sender, ACK)
        if lost is not None:
            yield lost
            yield self._segment(1 - sender, ACK)

    def _close(self, first: int) -> Iterator[Segment]:
        for side in (first, 1 - first):
            yield self._segment(side, FIN | ACK)
            self._next_seq[side] += 1
        yield self._segment(first, ACK)


class Framing:
    """One connection's addresses, and its segments as frames."""

    def __init__(self, dice: Random) -> None:
        self._is_v6 = dice.random() < 0.25
        network, size = (b"\x20\x01\x0d\xb8", 16) if self._is_v6 else (b"\x0a", 4)
        client = network + dice.randbytes(size - len(network))
        server = network + dice.randrange(1, SERVERS + 1).to_bytes(size - len(network), "big")
        self._addresses = (client, server), (server, client)
        ports = dice.randrange(32_768, 61_000), dice.choice(PORTS)
        self._ports = ports, ports[::-1]

    def frame(self, segment: Segment, time_ms: int) -> bytes:
        """Ethernet, IP, TCP, payload."""
        side, flags, seq, ack, payload_bytes = segment
        options = _SYN_OPTIONS if flags & SYN else b""
        header_bytes = _TCP.size + len(options)
        size = header_bytes + payload_bytes
        if self._is_v6:
            network = _IPV6.pack(0x86DD, 6 << 28, size, 6, 64, *self._addresses[side])
        else:
            network = _IPV4.pack(0x0800, 0x45, 0, 20 + size, 0, 0x4000, 64, 6, 0, *self._addresses[side])
        transport = _TCP.pack(
            *self._ports[side],
            seq & 0xFFFFFFFF,
            ack & 0xFFFFFFFF,
            header_bytes << 2,
            flags,
            0 if flags & RST else 64_240,
            0,
            0,
            0x0101,
            8,
            10,
            time_ms,
            0 if flags == SYN else time_ms - 1,
        )
        return b"".join((_MAC_ADDRESSES, network, transport, options, _PAYLOAD[:payload_bytes]))


def frames(dice: Random) -> Iterator[tuple[int, bytes]]:
    """Without end: (time in microseconds, frame) of the segments of many connections, as they mix."""
    open_connections: list[tuple[Framing, Iterator[Segment]]] = []
    time_us = 1_700_000_000_000_000
    while True:
        while len(open_connections) < CONCURRENT:
            open_connections.append((Framing(dice), Connection(dice).segments()))
        chosen = int(dice.random() * CONCURRENT)
        framing, segments = open_connections[chosen]
        segment = next(segments, None)
        if segment is None:
            del open_connections[chosen]
            continue
        time_us += 1 + int(dice.random() * 2 * MEAN_GAP_US)
        yield time_us, framing.frame(segment, time_us // 1000 & 0xFFFFFFFF)


def generate(path: Path, packets: int = PACKETS) -> None:
    """Write the capture."""
    with path.open("wb", buffering=1 << 20) as file:
        file.write(_FILE_HEADER)
        for time_us, frame in islice(frames(Random(packets)), packets):
            file.write(_RECORD.pack(time_us // 1_000_000, time_us % 1_000_000, len(frame), len(frame)))
            file.write(frame)


def main() -> None:
    """Write it where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--packets", type=int, default=PACKETS, metavar="N")
    options = parser.parse_args()
    generate(options.file, options.packets)


if __name__ == "__main__":
    main()
