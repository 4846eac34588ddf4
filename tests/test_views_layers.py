"""A packet as boxes, tables, diagrams and bytes: pictures of bundled captures, and what holds for any packet."""

import json
from itertools import pairwise

import pytest
from capture_building import Frame, pcap
from decode_building import LINK_HEADERS, ipv4, ipv6, link, tcp
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from test_views_golden import check

from inspector.capture import bundled
from inspector.cli import main
from inspector.decode.dissect import Field, Header, dissect
from inspector.tcp.states import Side
from inspector.trace.encapsulation import Encapsulation, EncapsulationReader
from inspector.trace.trace import Trace
from inspector.views.encoding import Encoding, characters, encoding_of
from inspector.views.header_diagram import diagram_lines
from inspector.views.header_fields import field_lines
from inspector.views.hex_dump import fields_named, hex_lines
from inspector.views.layer_walk import character_lines, note_lines, notes, paragraph_lines, receiving, sending
from inspector.views.layers import boxes, heading
from inspector.views.line import Line, line_in_ascii

GREETING = "你好".encode()


def alone(frame: bytes, link_type: int, wire_bytes: int | None = None) -> Encapsulation:
    """A frame without a capture around it."""
    wire = len(frame) if wire_bytes is None else wire_bytes
    return Encapsulation(1, 0, None, Side.CLIENT, wire, frame, *dissect(frame, link_type, wire))


def everything(packet: Encapsulation, width: int) -> list[Line]:
    """All that can be drawn of a packet."""
    return [
        *heading(packet, width),
        *boxes(packet, width),
        *paragraph_lines([*sending(packet), *receiving(packet)], width),
        *note_lines(notes(packet, 1), width),
        *character_lines(packet, width),
        *field_lines(packet, width),
        *diagram_lines(packet, width),
        *hex_lines(packet, [], width),
    ]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("http_60", ["http", "--packet", "4", "--width", "60"]),
        ("http_80", ["http", "--packet", "4", "--width", "80"]),
        ("http_100", ["http", "--packet", "4", "--width", "100"]),
        ("http_140", ["http", "--packet", "4", "--width", "140"]),
        ("http_100_ascii", ["http", "--packet", "4", "--width", "100", "--ascii"]),
        ("syn_100", ["hello", "--packet", "1", "--width", "100"]),
        ("frames_100", ["frames", "--packet", "6", "--width", "100"]),
        ("tls_100", ["tls", "--packet", "4", "--width", "100"]),
        ("icmp_100", ["udp-closed", "--packet", "2", "--width", "100"]),
        ("fields_100", ["hello", "--packet", "1", "--fields", "--width", "100"]),
        ("fields_80", ["hello", "--packet", "1", "--fields", "--width", "80"]),
        ("diagram_80", ["hello", "--packet", "1", "--diagram", "--width", "80"]),
        ("diagram_60", ["ipv6", "--packet", "4", "--diagram", "--width", "60"]),
        ("hex_100", ["http", "--packet", "4", "--field", "tcp.window", "--width", "100"]),
    ],
)
def test_pictures(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", *words]) == 0
    check(f"layers_{name}", capsys.readouterr().out)


@pytest.mark.parametrize("name", ["http", "split-utf8", "tls"])
def test_in_ascii_every_box_keeps_its_walls(name: str) -> None:
    with Trace.read(str(bundled.find(name))) as trace:
        packet = EncapsulationReader(trace).read(4)
        drawn, in_ascii = (boxes(packet, 100, ascii_only=each) for each in (False, True))
        for line, plain in zip(drawn, map(line_in_ascii, in_ascii), strict=True):
            assert plain.text.isascii()
            assert cell_len(plain.text) == cell_len(line.text)


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_frame_that_claims_gigabytes_fits(width: int) -> None:
    packet = alone(link("ethernet", ipv4(tcp(b"hello"), 6)).data, 1, 2**32 - 1)
    assert max(cell_len(line.text) for line in everything(packet, width)) <= width


@pytest.mark.parametrize(("width", "tunnels"), [(60, 5), (80, 8), (100, 12)])
def test_headers_in_headers_keep_the_width(width: int, tunnels: int) -> None:
    packet = ipv4(tcp(b"hello world"), 6)
    for _ in range(tunnels):
        packet = ipv4(packet, 4)
    lines = boxes(alone(link("ethernet", packet).data, 1), width)
    assert max(cell_len(line.text) for line in lines) <= width


def test_a_long_name_of_a_field_is_cut() -> None:
    fields = (Field(f"http.{'x' * 500}", "y" * 500, "y" * 500, 0, 8),)
    packet = alone(link("ethernet", ipv4(bytes(20), 6)).data, 1)
    packet = packet._replace(headers=(Header("http", "HTTP", 7, 0, 1, fields),))
    assert max(cell_len(line.text) for line in field_lines(packet, 60)) <= 60


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("name", ["http", "ipv6", "tls", "udp-closed", "frames", "mtu"])
def test_no_line_is_wider_than_the_terminal(name: str, width: int) -> None:
    with Trace.read(str(bundled.find(name))) as trace:
        reader = EncapsulationReader(trace)
        for packet in range(1, min(len(trace), 12) + 1):
            found = reader.read(packet)
            for line in everything(found, width):
                assert cell_len(line.text) <= width, line.text


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(sorted(LINK_HEADERS)),
    st.sampled_from([1, 4, 6, 17, 41, 47, 58]),
    st.binary(max_size=120),
    st.booleans(),
    st.integers(0, 200),
)
def test_any_packet_can_be_drawn(name: str, protocol: int, data: bytes, is_v6: bool, cut: int) -> None:
    made = link(name, (ipv6 if is_v6 else ipv4)(data, protocol))
    packet = alone(made.data[: max(len(made.data) - cut, 0)], made.link_type, len(made.data))
    for line in everything(packet, 100):
        assert line.text.isprintable()
    for marked in {field.name for header in packet.headers for field in header.fields}:
        assert fields_named(packet, marked)


def test_the_boxes_join_and_their_offsets_are_those_of_the_headers() -> None:
    with Trace.read(str(bundled.find("http"))) as trace:
        packet = EncapsulationReader(trace).read(4)
    lines = [line.text for line in boxes(packet, 100)]
    walls = [{at for at, char in enumerate(line) if char in "┌┐│├┤┼┴┬└┘"} for line in lines[:-1]]
    for above, below in pairwise(walls):
        assert above <= below
    offsets = [int(word) for word in lines[-1].replace(",", "").split()[:5]]
    assert offsets == [0, 14, 34, 66, 129]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"hello", Encoding.ASCII),
        (b"GET /a%20b HTTP/1.1\r\n", Encoding.ASCII),
        (b"GET /%E4%BD%A0 HTTP/1.1\r\n", Encoding.PERCENT),
        (GREETING, Encoding.UTF_8),
        (GREETING[:4], Encoding.UTF_8),
        (GREETING[2:], Encoding.UTF_8),
        (b"\x16\x03\x01\x02\x00\x01\x00\xff\xfe", Encoding.BINARY),
        (b"\0\0\0\5", Encoding.BINARY),
    ],
)
def test_encodings(data: bytes, encoding: Encoding) -> None:
    assert encoding_of(data) is encoding


def test_characters_stand_against_their_bytes() -> None:
    assert list(characters("ab你好你".encode())) == [("你", "e4 bd a0"), ("好", "e5 a5 bd")]
    assert list(characters(b"/%E4%BD%A0")) == [("你", "%E4%BD%A0 → e4 bd a0")]


@pytest.mark.parametrize(
    ("frame", "link_type", "wire_bytes", "said"),
    [
        (b"\1\2\3", 147, 3, "link type of this capture (147) is not known"),
        (link("ethernet", ipv4(b"abc", 6)).data, 1, 37, "TCP cannot be read to its end"),
        (link("ethernet", ipv4(bytes(20), 6)).data, 1, 99, "the last 45 B were on the wire"),
        (link("ethernet", ipv4(bytes(8), 6, more=True)).data, 1, 42, "This is a fragment"),
        (link("ethernet", ipv4(bytes(20), 6)).data, 1, 54, "would add 6 B of padding"),
    ],
)
def test_what_is_noted(frame: bytes, link_type: int, wire_bytes: int, said: str) -> None:
    assert any(said in note for note in notes(alone(frame, link_type, wire_bytes), link_type))


def test_wrong_requests_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "hello", "--packet", "99"]) == 2
    assert "packets 1 to 10" in capsys.readouterr().err
    assert main(["layers", "hello", "--packet", "4", "--field", "tcp.windw"]) == 2
    assert "tcp.window" in capsys.readouterr().err


def test_without_a_number_the_first_packet_with_data_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "hello"]) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("packet 4 ")
    assert "packet 4 of 10" in shown.err


def test_an_empty_capture_is_told(tmp_path, capsys: pytest.CaptureFixture[str]) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "empty.pcap"
    path.write_bytes(pcap([]))
    assert main(["layers", str(path)]) == 2
    assert "no packet" in capsys.readouterr().err


def test_a_packet_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["layers", "http", "--packet", "4", "--json"]) == 0
    packet = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in packet["layers"]] == ["ethernet", "ipv4", "tcp", "http"]
    tcp = packet["layers"][2]
    window = next(field for field in tcp["fields"] if field["name"] == "tcp.window")
    assert (window["bit"], window["bits"], window["start"], window["end"]) == (112, 16, 48, 50)
    assert tcp["checksum"] == "not_filled_in"
    assert (packet["message"]["framing"], packet["client_state"]) == ("http", "ESTABLISHED")


def test_every_packet_of_a_replay_layer_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "hello", "--layers", "--width", "80"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in shown if line.startswith("packet ")] == [str(at) for at in range(1, 11)]


def test_steps_wrap_and_unwrap(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The boxes grow by a layer at each key, and shrink again."""
    asked = iter(range(100))
    monkeypatch.setattr("inspector.cli.layers.one_key", lambda: next(asked) < 99)
    assert main(["layers", "hello", "--packet", "4", "--step", "--width", "80"]) == 0
    shown = capsys.readouterr().out
    pictures = [part for part in shown.split("\n\n") if "└" in part]
    opened = [part.count("┌") for part in pictures]
    assert opened == [1, 1, 1, 2, 3, 4, 4, 4, 3, 2, 1, 1, 1, 1]


def test_frames_of_a_capture_that_is_cut_are_still_drawn(capsys: pytest.CaptureFixture[str], tmp_path) -> None:  # type: ignore[no-untyped-def]
    frame = link("ethernet", ipv4(bytes(40), 6)).data
    path = tmp_path / "torn.pcap"
    path.write_bytes(pcap([Frame(1000, frame, len(frame)), Frame(2000, frame, len(frame))])[:-9])
    assert main(["layers", str(path), "--packet", "1"]) == 3
    shown = capsys.readouterr()
    assert "L4 transport" in shown.out
    assert "Traceback" not in shown.err
