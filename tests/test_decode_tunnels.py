"""Packets in packets: the inner one is read, the outer one is named; whatever the bytes between them say."""

from pathlib import Path

import pytest
from capture_building import Frame, pcap
from decode_building import (
    AUTHENTICATION,
    TCP,
    UDP,
    Row,
    batch_of,
    decode,
    ipv4,
    ipv6,
    link,
    rows_of,
    tcp,
    udp,
)
from decode_building import Frame as Captured
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.decode.fast import Decoder
from inspector.trace.trace import Trace

MACS = bytes(12)
INNER = ipv4(
    tcp(b"hello", source_port=50_000, destination_port=8001), TCP, source="192.168.0.1", destination="192.168.0.2"
)
INNER_6 = ipv6(tcp(b"hello", source_port=50_000, destination_port=8001), TCP)
ETHERNET = MACS + b"\x08\x00" + INNER
SOURCE, DESTINATION = "10.9.9.1", "10.9.9.2"


def outer(payload: bytes, protocol: int) -> bytes:
    return ipv4(payload, protocol, source=SOURCE, destination=DESTINATION)


def over_udp(port: int, payload: bytes) -> bytes:
    return outer(udp(payload, destination_port=port), UDP)


TUNNELS: dict[str, tuple[str, bytes]] = {
    "IP in IP": ("IP in IP", outer(INNER, 4)),
    "6in4": ("6in4", outer(INNER_6, 41)),
    "GRE": ("GRE", outer(b"\0\0\x08\0" + INNER, 47)),
    "GRE, checksum, key, sequence": ("GRE", outer(b"\xb0\0\x08\0" + bytes(12) + INNER, 47)),
    "GRE, bridged": ("GRE", outer(b"\0\0\x65\x58" + ETHERNET, 47)),
    "GRE, PPTP": ("GRE", outer(b"\x30\x81\x88\x0b" + bytes(12) + b"\xff\x03\0\x21" + INNER, 47)),
    "GRE, ERSPAN": ("GRE", outer(b"\x10\0\x88\xbe" + bytes(12) + ETHERNET, 47)),
    "AH": ("AH", outer(bytes((4, 4, 0, 0)) + bytes(20) + INNER, AUTHENTICATION)),
    "MPLS in IP": ("MPLS", outer(b"\0\0\x01\x40" + INNER, 137)),
    "VXLAN": ("VXLAN", over_udp(4789, b"\x08\0\0\0\0\0\7\0" + ETHERNET)),
    "VXLAN-GPE": ("VXLAN-GPE", over_udp(4790, b"\x0c\0\0\1\0\0\7\0" + INNER)),
    "GENEVE": ("GENEVE", over_udp(6081, b"\x02\0\x65\x58" + bytes(4) + bytes(8) + ETHERNET)),
    "GTP": ("GTP", over_udp(2152, b"\x30\xff\0\x2d" + bytes(4) + INNER)),
    "GTP, extension": ("GTP", over_udp(2152, b"\x34\xff\0\x2d" + bytes(7) + b"\x85" + b"\1\0\0\0" + INNER)),
    "L2TP": ("L2TP", over_udp(1701, b"\x40\2\0\x2d" + bytes(4) + b"\xff\x03\0\x21" + INNER)),
    "Teredo": ("Teredo", over_udp(3544, b"\0\0" + bytes(6) + INNER_6)),
}


def headers(row: Row) -> Row:
    """All but where the frame stands in its capture."""
    return {name: value for name, value in row.items() if name not in ("position", "time_ns")}


@pytest.mark.parametrize("name", TUNNELS)
def test_the_inner_packet_is_read_and_the_tunnel_named(name: str) -> None:
    kind, packet = TUNNELS[name]
    decoder = Decoder()
    frames = [link("ethernet", packet)] * 40  # so many that the columns are filled in at once
    rows = rows_of(decoder.decode(batch_of(frames)), decoder)
    row = rows[0]
    assert all(headers(each) == headers(row) for each in rows)
    assert (row["protocol"], row["source_port"], row["destination_port"], row["payload_bytes"]) == (
        TCP,
        50_000,
        8001,
        5,
    )
    assert row["source"] in ("192.168.0.1", "fd00::1")
    assert set(decoder.tunnels) == set(range(40))
    tunnel = decoder.tunnels[0]
    assert (tunnel.name, decoder.addresses.text(tunnel.network, tunnel.source)) == (kind, SOURCE)


@pytest.mark.parametrize(
    "frame",
    [
        MACS + b"\x88\x47\0\0\x10\x40\0\0\x21\x40" + INNER,
        MACS + b"\x88\x47\0\0\x11\x40" + bytes(4) + ETHERNET,
        MACS + b"\x88\x64\x11\0\0\1\0\x2f\0\x21" + INNER,
        MACS + b"\x81\0\0\7\x88\x64\x11\0\0\1\0\x2f\0\x21" + INNER,
    ],
    ids=["MPLS", "MPLS pseudowire", "PPPoE", "VLAN, PPPoE"],
)
def test_labels_and_sessions_of_the_link_are_passed_over(frame: bytes) -> None:
    [row] = decode(Captured(frame, 1))
    assert (row["protocol"], row["source"], row["payload_bytes"]) == (TCP, "192.168.0.1", 5)


@pytest.mark.parametrize("link_type", [7, 129])
def test_arcnet(link_type: int) -> None:
    between = b"" if link_type == 7 else b"\0\0"
    for kind in (b"\xf0", b"\xd4\0\0\0"):
        [row] = decode(Captured(b"\1\2" + between + kind + INNER, link_type))
        assert (row["protocol"], row["payload_bytes"]) == (TCP, 5)


def test_one_in_another() -> None:
    packet = INNER
    for _ in range(5):
        packet = outer(packet, 4)
    [row] = decode(link("raw", packet))
    assert row["source"] == "192.168.0.1"


def test_a_service_on_the_port_of_a_tunnel_is_no_tunnel() -> None:
    for port in (1701, 2152, 3544, 4789, 6081, 8472):
        [row] = decode(link("ethernet", over_udp(port, b"just text, and enough of it to be read")))
        assert (row["protocol"], row["destination_port"], row["source"]) == (UDP, port, SOURCE)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(TUNNELS)),
    st.integers(0, 120),
    st.lists(st.tuples(st.integers(14, 90), st.integers(0, 255)), max_size=6),
)
def test_whatever_the_bytes_say_one_by_one_and_at_once_agree(
    name: str, cut: int, changes: list[tuple[int, int]]
) -> None:
    data = bytearray(link("ethernet", TUNNELS[name][1]).data)
    for at, value in changes:
        data[at % len(data)] = value
    frame = Captured(bytes(data[: max(len(data) - cut, 1)]), 1, len(data))
    [alone] = decode(frame)
    together = decode(*[frame] * 40)
    assert all(headers(row) == headers(alone) for row in together)


def test_the_conversation_says_where_it_came_through(tmp_path: Path) -> None:
    frame = link("ethernet", TUNNELS["GRE"][1]).data
    path = tmp_path / "tunnel.pcap"
    path.write_bytes(pcap([Frame(1000, frame, len(frame))]))
    with Trace.read(str(path)) as trace:
        [conversation] = trace.conversations()
    assert (conversation.tunnel, conversation.protocol) == (f"GRE {SOURCE} → {DESTINATION}", "TCP")
    assert conversation.client.address == "192.168.0.1"
