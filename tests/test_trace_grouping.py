"""Conversations: both directions meet, a new SYN on used endpoints is a new connection, errors follow their quote."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.decode.columns import GrowingColumns, Mark, Network, PacketColumns
from inspector.tcp.states import Known
from inspector.trace.grouping import Grouping

SYN, ACK, PSH, FIN, RST = 2, 16, 8, 1, 4
TCP, UDP = 6, 17


class Packet(NamedTuple):
    source: tuple[int, int]
    destination: tuple[int, int]
    flags: int = ACK
    seq: int = 0
    protocol: int = TCP
    ack: int = 0


def columns_of(packets: Sequence[Packet]) -> PacketColumns:
    columns = PacketColumns.empty(len(packets))
    columns.network[:] = Network.IPV4
    columns.transport_offset[:] = 34
    for row, packet in enumerate(packets):
        columns.source[row], columns.source_port[row] = packet.source
        columns.destination[row], columns.destination_port[row] = packet.destination
        columns.flags[row], columns.protocol[row] = packet.flags, packet.protocol
        columns.seq[row], columns.ack[row] = packet.seq, packet.ack
    return columns


def grouped(packets: Sequence[Packet], batch_sizes: Sequence[int] = (1 << 20,)) -> tuple[Grouping, PacketColumns]:
    grouping, growing, start, batches = Grouping(), GrowingColumns(), 0, 0
    while start < len(packets):
        size = batch_sizes[batches % len(batch_sizes)]
        chunk = columns_of(packets[start : start + size])
        grouping.assign(chunk, start + 1, {})
        growing.append(chunk)
        batches += 1
        start += size
    return grouping, growing.all()


CLIENT, SERVER, OTHER = (0x7F000001, 40001), (0x7F000001, 8001), (0x7F000001, 40002)

CASES = {
    "both directions are one": ([Packet(CLIENT, SERVER, SYN), Packet(SERVER, CLIENT, SYN | ACK)], [1, 1]),
    "another port is another": ([Packet(CLIENT, SERVER, SYN), Packet(OTHER, SERVER, SYN)], [1, 2]),
    "another protocol is another": ([Packet(CLIENT, SERVER), Packet(CLIENT, SERVER, 0, 0, UDP)], [1, 2]),
    "a SYN sent again stays": ([Packet(CLIENT, SERVER, SYN, 100), Packet(CLIENT, SERVER, SYN, 100)], [1, 1]),
    "a SYN with another ISN opens a new one": (
        [Packet(CLIENT, SERVER, SYN, 100), Packet(SERVER, CLIENT, SYN | ACK, 9), Packet(CLIENT, SERVER, SYN, 777)],
        [1, 1, 2],
    ),
    "what follows belongs to the new one": (
        [
            Packet(CLIENT, SERVER, SYN, 100),
            Packet(CLIENT, SERVER, SYN, 777),
            Packet(OTHER, SERVER, SYN, 5),
            Packet(SERVER, CLIENT, SYN | ACK, 9),
        ],
        [1, 2, 3, 2],
    ),
    "a SYN after traffic in the middle opens a new one": (
        [Packet(CLIENT, SERVER, ACK, 5000), Packet(CLIENT, SERVER, SYN, 100)],
        [1, 2],
    ),
    "a SYN just before the traffic seen is its own": (
        [Packet(CLIENT, SERVER, ACK, 101), Packet(CLIENT, SERVER, SYN, 100)],
        [1, 1],
    ),
    "a SYN captured after its SYN,ACK stays": (
        [Packet(SERVER, CLIENT, SYN | ACK, 300, TCP, 101), Packet(CLIENT, SERVER, SYN, 100)],
        [1, 1],
    ),
    "a SYN from the other side is a simultaneous open": (
        [Packet(CLIENT, SERVER, SYN, 100), Packet(SERVER, CLIENT, SYN, 300)],
        [1, 1],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_conversation_numbers(name: str) -> None:
    packets, expected = CASES[name]
    assert grouped(packets)[1].conversation.tolist() == expected


ORIENTATIONS = {
    "who sends the SYN": (Packet(CLIENT, SERVER, SYN), False, Known.SEEN),
    "who gets the SYN,ACK": (Packet(SERVER, CLIENT, SYN | ACK), True, Known.SEEN),
    "the ephemeral port": (Packet(SERVER, CLIENT, PSH | ACK), True, Known.INFERRED),
    "who sends first": (Packet(CLIENT, OTHER, PSH | ACK), False, Known.INFERRED),
    "the first datagram's sender": (Packet(OTHER, CLIENT, 0, 0, UDP), False, Known.INFERRED),
}


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_client(name: str) -> None:
    packet, to_client, known = ORIENTATIONS[name]
    grouping, columns = grouped([packet])
    assert bool(columns.mark[0] & Mark.TO_CLIENT) is to_client
    assert grouping.instances[1].client_known is known


endpoints = st.sampled_from([CLIENT, SERVER, OTHER, (0x0A000001, 80), (0xFFFFFFFF, 0xFFFF), (0, 0)])
packets = st.builds(
    Packet,
    endpoints,
    endpoints,
    st.sampled_from([SYN, SYN | ACK, ACK, PSH | ACK, FIN | ACK, RST]),
    st.sampled_from([0, 1, 100, 101, 2**32 - 1]),
    st.sampled_from([TCP, UDP]),
    st.sampled_from([0, 1, 101]),
)


def by_the_rules(packets: Sequence[Packet]) -> list[tuple[int, bool]]:
    """The same, one packet after the other, without numpy."""
    current: dict[object, tuple[int, tuple[int, int]]] = {}
    base: dict[object, int] = {}
    count, answer = 0, []
    for packet in packets:
        key = packet.protocol, frozenset((packet.source, packet.destination))
        direction = key, packet.source
        flags, seq = (packet.flags, packet.seq) if packet.protocol == TCP else (0, 0)
        syn, ack = flags & SYN, flags & ACK
        reused = key in current and syn and not ack and base.get(direction, seq) != seq
        if key not in current or reused:
            count += 1
            source_port, destination_port = packet.source[1], packet.destination[1]
            from_server = source_port < 1024 <= destination_port or (
                packet.protocol == TCP and source_port < 32768 <= destination_port
            )
            client_sent = not ack if syn else not from_server
            current[key] = count, packet.source if client_sent else packet.destination
            for sender in (packet.source, packet.destination):
                base.pop((key, sender), None)
        if syn:
            base[direction] = seq
        else:
            base.setdefault(direction, (seq - 1) % 2**32)
        if ack:
            base.setdefault((key, packet.destination), (packet.ack - 1) % 2**32)
        number, client = current[key]
        answer.append((number, packet.source != client))
    return answer


@settings(max_examples=400)
@given(st.lists(packets, max_size=40), st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_any_batches_give_what_one_packet_after_the_other_gives(captured: list[Packet], sizes: list[int]) -> None:
    captured = [packet for packet in captured if packet.source != packet.destination]
    packets = [packet if packet.protocol == TCP else packet._replace(flags=0, seq=0) for packet in captured]
    grouping, columns = grouped(packets, sizes)
    to_client = (columns.mark & Mark.TO_CLIENT) != 0
    assert list(zip(columns.conversation.tolist(), to_client.tolist(), strict=True)) == by_the_rules(packets)
    one_by_one = grouped(packets, [1])[0]
    for number, instance in grouping.instances.items():
        assert instance.base_seq == one_by_one.instances[number].base_seq


def test_numbers_hold_when_hashes_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    salts = iter([(np.uint64(0), np.uint64(0)), (np.uint64(3), np.uint64(5))])
    monkeypatch.setattr("inspector.trace.grouping._new_salts", lambda: next(salts))
    assert grouped([Packet(CLIENT, SERVER, SYN), Packet(OTHER, SERVER, SYN)])[1].conversation.tolist() == [1, 2]
