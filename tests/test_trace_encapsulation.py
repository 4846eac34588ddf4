"""A packet with its layers: the message that its bytes belong to, from the stream, and where its connection stands."""

from itertools import pairwise
from pathlib import Path

import pytest
from capture_building import Frame, pcap
from decode_building import ipv4, link, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st

from inspector.capture import bundled
from inspector.framing.registry import opener
from inspector.tcp.reassembly import Gap, Piece
from inspector.tcp.states import Side, TcpState
from inspector.trace.encapsulation import EncapsulationReader
from inspector.trace.message_part import message_part
from inspector.trace.trace import Trace

REQUEST = b"GET /%E4%BD%A0 HTTP/1.1\r\nHost: a\r\nX-Long: " + b"x" * 20 + b"\r\n\r\n"


def pieces_of(data: bytes, cuts: list[int]) -> list[tuple[Side, Piece | Gap]]:
    """The client's stream in pieces, packets from 1 on."""
    bounds = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    numbered = enumerate(pairwise(bounds), start=1)
    return [(Side.CLIENT, Piece(start, data[start:end], packet)) for packet, (start, end) in numbered]


@given(st.lists(st.integers(0, 1000), max_size=12))
def test_a_header_over_several_segments_is_put_together(cuts: list[int]) -> None:
    parts = pieces_of(REQUEST * 2, cuts)
    for _, piece in parts:
        assert isinstance(piece, Piece)
        part = message_part(iter(parts), piece.packet, Side.CLIENT, "http")
        assert part is not None
        number = piece.start // len(REQUEST) + 1
        assert (part.number, part.message.start, part.offset) == (number, (number - 1) * len(REQUEST), piece.start)
        assert part.first_bytes == REQUEST
        assert part.header is not None
        assert {field.name: field.value for field in part.header.fields} == {
            "http.method": "GET",
            "http.target": "/%E4%BD%A0",
            "http.version": "HTTP/1.1",
            "http.host": "a",
            "http.x_long": "x" * 20,
        }
        brought = {each.packet for _, each in parts if isinstance(each, Piece) and touches(each, part.message.start)}
        assert set(part.packets) == brought


def touches(piece: Piece, start: int) -> bool:
    return piece.start < start + len(REQUEST) and piece.start + len(piece.data) > start


@settings(deadline=None)
@given(
    st.sampled_from(["length:!H", "line", "http", "fixed:5", "raw"]),
    st.lists(st.sampled_from([b"\0\3abc", b"line\n", REQUEST, b"12345"]), min_size=1, max_size=8),
    st.lists(st.integers(0, 1000), max_size=8),
)
def test_messages_of_a_payload_are_those_of_the_whole_stream(framing: str, words: list[bytes], cuts: list[int]) -> None:
    """However few bytes are read for one packet, its message is the one that the whole stream has there."""
    data = b"".join(words)
    framer = opener(framing)()[0]
    whole = framer.feed(data) + framer.finish()
    parts = pieces_of(data, cuts)
    for _, piece in parts:
        assert isinstance(piece, Piece)
        end = piece.start + len(piece.data)
        touched = [at for at, each in enumerate(whole) if each.start < end and each.end > piece.start]
        part = message_part(iter(parts), piece.packet, Side.CLIENT, framing)
        if framer.problem is not None:
            continue  # which may lie in bytes that one packet does not need
        assert part is not None
        assert (part.number, part.messages) == (touched[0] + 1, len(touched))
        assert part.message.start == whole[touched[0]].start
        assert part.message.header_end in (whole[touched[0]].header_end, part.message.end)


def test_bytes_that_never_became_part_of_the_stream_have_no_message() -> None:
    parts = pieces_of(REQUEST, [])
    assert message_part(iter(parts), 7, Side.CLIENT, "http") is None
    assert message_part(iter([(Side.CLIENT, Gap(0, 1 << 40)), *parts]), 1, Side.CLIENT, "http") is None


def trace_of(tmp_path: Path, *packets: bytes) -> Trace:
    frames = [Frame(at * 1000, link("ethernet", packet).data, 14 + len(packet)) for at, packet in enumerate(packets, 1)]
    path = tmp_path / "made.pcap"
    path.write_bytes(pcap(frames))
    return Trace.read(str(path))


def test_dns_over_tcp_is_put_together_for_scapy(tmp_path: Path) -> None:
    query = bytes.fromhex("beef01000001000000000000076578616d706c6503636f6d0000010001")
    stream = len(query).to_bytes(2, "big") + query
    first, second = stream[:20], stream[20:]
    packets = [ipv4(tcp(first, destination_port=53, seq=1)), ipv4(tcp(second, destination_port=53, seq=21))]
    with trace_of(tmp_path, *packets) as trace:
        for packet in (1, 2):
            part = EncapsulationReader(trace).read(packet).part
            assert part is not None
            assert part.header is not None
            assert (part.framing, part.packets) == ("dns", (1, 2))
            values = {field.name: field.value for field in part.header.fields}
            assert (values["dns.id"], values["dns.qdcount"]) == (0xBEEF, 1)


def test_a_datagram_of_a_known_protocol_is_a_layer(tmp_path: Path) -> None:
    query = bytes.fromhex("beef01000001000000000000076578616d706c6503636f6d0000010001")
    with trace_of(tmp_path, ipv4(udp(query), protocol=17)) as trace:
        packet = EncapsulationReader(trace).read(1)
    assert [header.name for header in packet.headers] == ["ethernet", "ipv4", "udp", "dns"]
    assert packet.payload == b""


@pytest.mark.parametrize(
    ("packet", "states"),
    [
        (1, (TcpState.SYN_SENT, TcpState.SYN_RECEIVED)),
        (2, (TcpState.ESTABLISHED, TcpState.SYN_RECEIVED)),
        (3, (TcpState.ESTABLISHED, TcpState.ESTABLISHED)),
        (8, (TcpState.CLOSE_WAIT, TcpState.FIN_WAIT_1)),
        (10, (TcpState.CLOSED, TcpState.TIME_WAIT)),
    ],
)
def test_states_are_those_that_the_ladder_draws(packet: int, states: tuple[TcpState, TcpState]) -> None:
    with Trace.read(str(bundled.find("hello"))) as trace:
        assert EncapsulationReader(trace).read(packet).states == states


@pytest.mark.parametrize("name", ["http", "frames", "tls", "upload", "udp-closed", "ipv6", "chat"])
def test_layers_and_payload_make_up_the_frame(name: str) -> None:
    with Trace.read(str(bundled.find(name))) as trace:
        reader = EncapsulationReader(trace)
        for packet in range(1, len(trace) + 1):
            found = reader.read(packet)
            assert found.frame == trace.frame(packet)
            ends = [header.end for header in found.headers]
            assert [header.start for header in found.headers] == [0, *ends[:-1]]
            assert ends[-1] == found.payload_start <= found.payload_end <= len(found.frame)
