"""Frames as tables: what the decoder must say of each."""

from itertools import pairwise, permutations

import pytest
from decode_building import (
    AUTHENTICATION,
    DESTINATION,
    FRAGMENT,
    HOP_BY_HOP,
    ICMP,
    ICMPV6,
    LINK_HEADERS,
    NO_NEXT_HEADER,
    ROUTING,
    TCP,
    UDP,
    Frame,
    Row,
    arp,
    batch_of,
    decode,
    extension,
    fragment_header,
    icmp,
    ipv4,
    ipv6,
    link,
    rows_of,
    tcp,
    udp,
)

from inspector.decode.addresses import AddressTable
from inspector.decode.columns import Mark, Network
from inspector.decode.exceptional import QuotedDatagram, decode_frame
from inspector.decode.fast import Decoder
from inspector.decode.protocols import icmp_name, link_type_name, protocol_name
from inspector.text import say

_HELLO = tcp(b"hello")
_SEGMENT = {"protocol": TCP, "source_port": 40000, "destination_port": 80, "seq": 1000, "ack": 2000, "flags": 0x18}


def _one(data: bytes, link_type: int = 101, wire_bytes: int | None = None) -> Row:
    return decode(Frame(data, link_type, wire_bytes))[0]


def _says(row: Row, **expected: int | str) -> None:
    assert {name: row[name] for name in expected} == expected


@pytest.mark.parametrize("together", [1, 40], ids=["alone", "in a large batch"])
@pytest.mark.parametrize("name", LINK_HEADERS)
def test_link_layers(name: str, together: int) -> None:
    for packet, network, ip_bytes in ((ipv4(_HELLO), Network.IPV4, 20), (ipv6(_HELLO), Network.IPV6, 40)):
        frame = link(name, packet)
        start = len(frame.data) - len(packet) + ip_bytes
        for row in decode(*[frame] * together):
            _says(row, network=network, mark=0, window=512, payload_bytes=5, **_SEGMENT)
            _says(row, transport_offset=start, payload_offset=start + 20, link_type=frame.link_type)
            _says(row, source="10.0.0.1" if network == Network.IPV4 else "fd00::1")
            _says(row, destination="10.0.0.2" if network == Network.IPV4 else "fd00::2")


@pytest.mark.parametrize(
    ("frame", "mark"),
    [
        pytest.param(Frame(b"", 1), Mark.MALFORMED, id="nothing"),
        pytest.param(Frame(bytes(13), 1), Mark.MALFORMED, id="Ethernet cut off"),
        pytest.param(Frame(bytes(12) + b"\x81\0\0\1", 1), Mark.MALFORMED, id="VLAN tag cut off"),
        pytest.param(Frame(bytes(12) + b"\0\x26\x42\x42\3" + bytes(40), 1), 0, id="802.3 with LLC: spanning tree"),
        pytest.param(Frame(bytes(12) + b"\x88\xcc" + bytes(40), 1), 0, id="LLDP"),
        pytest.param(Frame(b"\7\0\0\0" + bytes(40), 0), 0, id="another address family"),
        pytest.param(Frame(bytes(40), 101), 0, id="raw, neither version"),
        pytest.param(Frame(ipv4(_HELLO), 147), 0, id="an unknown link type"),
        pytest.param(Frame(ipv4(_HELLO), 229), Mark.MALFORMED, id="IPv4 where IPv6 is announced"),
        pytest.param(Frame(ipv4(_HELLO)[:19]), Mark.MALFORMED, id="IPv4 header cut off"),
        pytest.param(Frame(ipv6(_HELLO)[:39]), Mark.MALFORMED, id="IPv6 header cut off"),
    ],
)
def test_without_a_network_header(frame: Frame, mark: int) -> None:
    _says(decode(frame)[0], network=Network.OTHER, protocol=0, source="", mark=mark, payload_bytes=0)


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param(ipv4(_HELLO) + bytes(6), {}, id="Ethernet padding is no payload"),
        pytest.param(ipv6(_HELLO) + bytes(6), {}, id="behind IPv6 neither"),
        pytest.param(ipv4(_HELLO, total_bytes=0), {}, id="total length left to the offload"),
        pytest.param(ipv6(_HELLO, payload_bytes=0), {}, id="payload length left to the offload"),
        pytest.param(ipv4(_HELLO, options=bytes(12)), {}, id="IPv4 options"),
        pytest.param(ipv4(_HELLO, options=bytes(40)), {}, id="the longest IPv4 header"),
        pytest.param(ipv4(tcp(b"hello", options=bytes(40))), {}, id="the longest TCP header"),
        pytest.param(ipv6(extension(TCP) + _HELLO, HOP_BY_HOP), {}, id="hop-by-hop"),
        pytest.param(
            ipv6(extension(ROUTING) + extension(DESTINATION, words=2) + extension(TCP) + _HELLO, HOP_BY_HOP),
            {},
            id="hop-by-hop, routing, destination options",
        ),
        pytest.param(ipv6(extension(TCP, words=2)[:16] + _HELLO, AUTHENTICATION), {}, id="authentication header"),
        pytest.param(ipv6(fragment_header(TCP) + _HELLO, FRAGMENT), {}, id="an atomic fragment is no fragment"),
        pytest.param(ipv4(_HELLO, total_bytes=100), {"payload_bytes": 5}, id="total length beyond the frame"),
    ],
)
def test_a_segment_is_found(packet: bytes, expected: dict[str, int]) -> None:
    for row in decode(*[Frame(packet)] * 30):
        _says(row, mark=0, **{**_SEGMENT, "payload_bytes": 5, **expected})
        assert packet[int(row["payload_offset"]) :].startswith(b"hello")


@pytest.mark.parametrize(
    ("packet", "expected"),
    [
        pytest.param(ipv4(tcp(b"x" * 20, header_words=4)), _SEGMENT, id="data offset below 5"),
        pytest.param(ipv4(tcp(b"x" * 20, header_words=11)), _SEGMENT, id="data offset beyond the datagram"),
        pytest.param(ipv4(_HELLO, total_bytes=39) + bytes(20), {"seq": 1000, "window": 512}, id="TCP in 19 bytes"),
        pytest.param(ipv4(_HELLO, total_bytes=26), {"source_port": 40000, "seq": 0}, id="TCP in 6 bytes"),
        pytest.param(ipv4(_HELLO, total_bytes=23), {"source_port": 0, "transport_offset": 0}, id="TCP in 3 bytes"),
        pytest.param(ipv4(_HELLO, total_bytes=19), {"protocol": TCP, "source": "10.0.0.1"}, id="total length below 20"),
        pytest.param(ipv4(_HELLO, header_words=4), {"protocol": TCP, "source": "10.0.0.1"}, id="IPv4 header below 20"),
        pytest.param(ipv4(udp(b"x", udp_bytes=7), UDP), {"source_port": 40000}, id="UDP length below 8"),
        pytest.param(ipv4(udp(b"x", udp_bytes=0), UDP), {"source_port": 40000}, id="UDP length 0 in IPv4"),
        pytest.param(ipv4(icmp(8)[:7], ICMP), {"protocol": ICMP, "source_port": 0}, id="ICMP in 7 bytes"),
        pytest.param(
            ipv6(extension(TCP)[:7], HOP_BY_HOP), {"protocol": 0, "source": "fd00::1"}, id="extension cut off"
        ),
        pytest.param(
            ipv6(extension(TCP, words=9), DESTINATION, payload_bytes=40), {"protocol": TCP}, id="extension too long"
        ),
    ],
)
def test_malformed_keeps_what_could_be_read(packet: bytes, expected: dict[str, int | str]) -> None:
    for row in decode(*[Frame(packet)] * 30):
        _says(row, mark=Mark.MALFORMED, payload_bytes=0, **expected)


def test_udp_length_beyond_the_datagram_is_malformed() -> None:
    for row in decode(*[Frame(ipv4(udp(b"abc", udp_bytes=60), UDP))] * 30):
        _says(row, mark=Mark.MALFORMED, payload_bytes=3, source_port=40000)


def test_the_last_frames_of_a_buffer_are_read_from_their_own_place() -> None:
    rows = decode(*[Frame(ipv4(tcp(bytes(10), seq=number))) for number in range(40)])
    assert [row["seq"] for row in rows] == list(range(40))


@pytest.mark.parametrize(
    ("packet", "payload_bytes"),
    [
        pytest.param(ipv4(udp(b"abc"), UDP) + bytes(15), 3, id="Ethernet padding"),
        pytest.param(ipv4(udp(b"abc" + bytes(9), udp_bytes=11), UDP), 3, id="shorter than the datagram"),
        pytest.param(ipv6(udp(b"abc", udp_bytes=0), UDP), 3, id="length 0 in IPv6"),
        pytest.param(
            ipv6(extension(UDP) + udp(bytes(70000), udp_bytes=0), HOP_BY_HOP, payload_bytes=0), 70000, id="a jumbogram"
        ),
    ],
)
def test_udp_payload(packet: bytes, payload_bytes: int) -> None:
    _says(_one(packet), protocol=UDP, mark=0, payload_bytes=payload_bytes, destination_port=53, seq=0, flags=0)


@pytest.mark.parametrize("packet", [ipv4(tcp(bytes(1000))), ipv6(tcp(bytes(1000)))], ids=["IPv4", "IPv6"])
def test_a_snapped_segment_keeps_its_payload_length(packet: bytes) -> None:
    header_bytes = len(packet) - 1000
    for row in decode(*[Frame(packet[:68], wire_bytes=len(packet))] * 30):
        _says(row, mark=Mark.SNAPPED, payload_bytes=1000, payload_offset=header_bytes, **_SEGMENT)
    in_its_header = Frame(packet[: header_bytes - 6], wire_bytes=len(packet))
    _says(decode(in_its_header)[0], mark=Mark.SNAPPED | Mark.MALFORMED, payload_bytes=1000, **_SEGMENT)


def test_no_next_header_has_no_payload() -> None:
    _says(_one(ipv6(b"", NO_NEXT_HEADER) + bytes(6)), protocol=NO_NEXT_HEADER, mark=0, payload_bytes=0)


def test_other_protocols_keep_their_length() -> None:
    _says(_one(ipv4(bytes(24), 47)), protocol=47, payload_bytes=24, payload_offset=20, transport_offset=0)


def test_the_status_of_the_kernel_is_copied() -> None:
    for mark in (Mark.CHECKSUM_NOT_READY, Mark.GSO, Mark.OUTGOING | Mark.CHECKSUM_NOT_READY):
        for row in decode(*[Frame(ipv4(_HELLO), status=mark)] * 30):
            _says(row, mark=mark)


@pytest.mark.parametrize("hardware_bytes", [6, 8])
def test_arp(hardware_bytes: int) -> None:
    data = bytes(12) + b"\x08\x06" + arp("10.0.0.1", "10.0.0.2", hardware_bytes=hardware_bytes)
    _says(_one(data + bytes(18), 1), network=Network.ARP, protocol=0, source="10.0.0.1", destination="10.0.0.2", mark=0)
    _says(_one(data[:-1], 1), network=Network.ARP, source="10.0.0.1", destination="0.0.0.0", mark=Mark.MALFORMED)


def test_icmp_echo_has_its_identifier_for_ports() -> None:
    for packet in (
        ipv4(icmp(8, identifier=7, body=b"ping"), ICMP),
        ipv4(icmp(0, identifier=7, body=b"ping"), ICMP),
        ipv6(icmp(128, identifier=7, body=b"ping"), ICMPV6),
    ):
        for row in decode(*[Frame(packet)] * 30):
            _says(row, source_port=7, destination_port=7, payload_bytes=4, mark=0, seq=0, flags=0)


def test_other_icmp_has_no_ports() -> None:
    timestamp_request = ipv4(icmp(13, identifier=7, body=bytes(12)), ICMP)
    _says(_one(timestamp_request), source_port=0, destination_port=0, payload_bytes=12, mark=0)


_V4_QUOTED = {"network": 4, "source": 0x0A000001, "destination": 0x0A000002, "identification": 99}
_V6_QUOTED = {"network": 6, "identification": 0}


@pytest.mark.parametrize(
    ("quoted", "expected"),
    [
        pytest.param(
            ipv4(udp(b"abc"), UDP, identification=99)[:28],
            {"protocol": UDP, "source_port": 40000, "destination_port": 53, "seq": 0, **_V4_QUOTED},
            id="UDP in 8 bytes",
        ),
        pytest.param(
            ipv4(_HELLO, identification=99, options=bytes(8))[:36],
            {"protocol": TCP, "source_port": 40000, "destination_port": 80, "seq": 1000, **_V4_QUOTED},
            id="TCP in 8 bytes behind options",
        ),
        pytest.param(
            ipv4(icmp(8, identifier=7), ICMP, identification=99),
            {"protocol": ICMP, "source_port": 7, "destination_port": 7, **_V4_QUOTED},
            id="a ping",
        ),
        pytest.param(
            ipv4(icmp(3, 3, ipv4(udp(), UDP)), ICMP, identification=99),
            {"protocol": ICMP, "source_port": 0, "destination_port": 0, **_V4_QUOTED},
            id="an error about an error",
        ),
        pytest.param(
            ipv4(_HELLO, identification=99, total_bytes=5),
            {"protocol": TCP, "source_port": 40000, "seq": 1000, **_V4_QUOTED},
            id="a length that the router changed",
        ),
        pytest.param(
            ipv4(_HELLO, identification=99, fragment_offset=8),
            {"protocol": TCP, "source_port": 0, "seq": 0, **_V4_QUOTED},
            id="a later fragment",
        ),
        pytest.param(
            ipv6(udp(b"abc"), UDP),
            {"protocol": UDP, "source_port": 40000, "destination_port": 53, **_V6_QUOTED},
            id="UDP in IPv6",
        ),
        pytest.param(
            ipv6(extension(TCP) + _HELLO, DESTINATION),
            {"protocol": TCP, "source_port": 40000, "seq": 1000, **_V6_QUOTED},
            id="TCP behind an extension header",
        ),
    ],
)
def test_icmp_errors_quote(quoted: bytes, expected: dict[str, int]) -> None:
    error = icmp(1, 4, quoted) if quoted[0] >> 4 == 6 else icmp(3, 3, quoted)
    packet = ipv6(error, ICMPV6) if quoted[0] >> 4 == 6 else ipv4(error, ICMP)
    decoder = Decoder()
    decoder.decode(batch_of([Frame(ipv4(_HELLO))] * 3))
    row = rows_of(decoder.decode(batch_of([Frame(ipv4(_HELLO)), Frame(packet)])), decoder)[1]
    _says(row, mark=Mark.QUOTING, source_port=0, destination_port=0)
    assert list(decoder.quoted) == [5]
    said = decoder.quoted[5]._asdict()
    assert {name: said[name] for name in expected} == expected
    assert decoder.addresses.text(said["network"], said["source"]) == (
        "fd00::1" if said["network"] == Network.IPV6 else "10.0.0.1"
    )


@pytest.mark.parametrize("size", [0, 19])
def test_an_error_that_quotes_too_little(size: int) -> None:
    decoder = Decoder()
    columns = decoder.decode(batch_of([Frame(ipv4(icmp(3, 3, ipv4(udp(), UDP)[:size]), ICMP))]))
    assert columns.mark[0] == Mark.QUOTING
    assert decoder.quoted == {}


def test_errors_about_errors_do_not_nest_without_end() -> None:
    packet = b""
    for _ in range(900):
        packet = ipv6(extension(ICMPV6) + icmp(1, 0, packet), DESTINATION)
    _says(_one(packet), mark=Mark.QUOTING, protocol=ICMPV6)


def test_forget_drops_what_earlier_errors_quoted() -> None:
    error = Frame(ipv4(icmp(3, 3, ipv4(udp(), UDP)), ICMP))
    decoder = Decoder()
    decoder.decode(batch_of([error] * 4))
    decoder.forget(3)
    assert list(decoder.quoted) == [3, 4]
    assert decoder.packets == 4


def _v4_pieces(datagram: bytes, protocol: int, *cuts: int, identification: int = 1) -> list[Frame]:
    edges = [0, *cuts, len(datagram)]
    return [
        Frame(
            ipv4(
                datagram[start:end],
                protocol,
                fragment_offset=start,
                more=end < len(datagram),
                identification=identification,
            )
        )
        for start, end in pairwise(edges)
    ]


def _v6_pieces(datagram: bytes, next_header: int, *cuts: int) -> list[Frame]:
    edges = [0, *cuts, len(datagram)]
    return [
        Frame(
            ipv6(fragment_header(next_header, offset=start, more=end < len(datagram)) + datagram[start:end], FRAGMENT)
        )
        for start, end in pairwise(edges)
    ]


def test_fragments_have_the_ports_of_the_first_and_the_last_one_the_whole() -> None:
    for pieces in (_v4_pieces(udp(bytes(92)), UDP, 48, 80), _v6_pieces(udp(bytes(92)), UDP, 48, 80)):
        first, second, last = decode(*pieces)
        for row, payload_bytes in zip((first, second), (40, 32), strict=True):
            _says(row, mark=Mark.FRAGMENT, source_port=40000, destination_port=53, payload_bytes=payload_bytes)
        assert first["transport_offset"] != 0
        _says(second, protocol=UDP, transport_offset=0)
        _says(last, protocol=UDP, mark=0, source_port=40000, destination_port=53, payload_bytes=92)


def test_fragments_in_any_order_make_the_same_datagram() -> None:
    pieces = _v4_pieces(tcp(bytes(range(100))), TCP, 24, 48, 80)
    for order in permutations(pieces):
        decoder = Decoder()
        rows = rows_of(decoder.decode(batch_of([*order])), decoder)
        assert [row["mark"] for row in rows[:-1]] == [Mark.FRAGMENT] * 3
        _says(rows[-1], mark=0, payload_bytes=100, window=512, **_SEGMENT)
        assert decoder.reassembled[4].endswith(bytes(range(100)))


def test_fragments_that_do_not_make_a_datagram_stay_fragments() -> None:
    """One is missing, one was cut by the capture, one has the identification of an earlier datagram."""
    first, second, last = _v4_pieces(udp(bytes(92)), UDP, 48, 80)
    cut = second._replace(data=second.data[:-1], wire_bytes=len(second.data))
    other = Frame(second.data[:-1] + b"x")
    for frames in ([first, last], [first, cut, last], [first, second, other, last]):
        assert all(int(row["mark"]) & Mark.FRAGMENT for row in decode(*frames))
    assert [row["mark"] for row in decode(first, first, second, second, last, last)][4:] == [0, Mark.FRAGMENT]


def test_later_fragments_of_a_segment_have_only_its_ports() -> None:
    first, second, last = decode(*_v4_pieces(tcp(bytes(100)), TCP, 48, 80))
    _says(first, mark=Mark.FRAGMENT, payload_bytes=28, window=512, **_SEGMENT)
    ports = {"source_port": 40000, "destination_port": 80}
    _says(second, protocol=TCP, **ports, seq=0, ack=0, flags=0, window=0, payload_bytes=32)
    _says(last, mark=0, payload_bytes=100, window=512, **_SEGMENT)


def test_later_fragments_have_the_protocol_behind_the_extension_headers() -> None:
    pieces = _v6_pieces(extension(UDP) + udp(bytes(40)), DESTINATION, 32)
    for row in decode(*pieces):
        _says(row, protocol=UDP, source_port=40000, mark=Mark.FRAGMENT)


def test_a_fragment_before_the_first_has_no_ports() -> None:
    first, last = _v4_pieces(udp(bytes(92)), UDP, 48)
    _says(decode(last, first)[0], protocol=UDP, source_port=0, payload_bytes=52, mark=Mark.FRAGMENT)


def test_fragments_of_another_datagram_have_no_ports() -> None:
    first = _v4_pieces(udp(bytes(92)), UDP, 48)[0]
    last = _v4_pieces(udp(bytes(92)), UDP, 48, identification=2)[1]
    _says(decode(first, last)[1], source_port=0)


def test_only_the_latest_fragmented_datagrams_are_remembered() -> None:
    pieces = [_v4_pieces(udp(bytes(92)), UDP, 48, identification=number) for number in range(1500)]
    rows = decode(*[first for first, _ in pieces], pieces[0][1], pieces[-1][1])
    assert [row["source_port"] for row in rows[-2:]] == [0, 40000]


def test_a_fragmented_tcp_header_is_malformed() -> None:
    first, later = decode(*_v4_pieces(_HELLO, TCP, 8))
    _says(first, mark=Mark.FRAGMENT | Mark.MALFORMED, source_port=40000, seq=1000, ack=0, payload_bytes=0)
    _says(later, mark=0, payload_bytes=5, **_SEGMENT)


def test_decode_frame_tells_type_and_code_of_icmp() -> None:
    addresses = AddressTable()
    packet = ipv4(icmp(3, 4, ipv4(_HELLO)), ICMP)
    headers = decode_frame(memoryview(packet), 101, len(packet), addresses)
    assert headers.icmp == (3, 4)
    assert isinstance(headers.quoted, QuotedDatagram)
    assert icmp_name(headers.protocol, *headers.icmp) == "fragmentation_needed"
    assert decode_frame(ipv4(_HELLO), 101, 45, addresses).icmp is None


def test_every_icmp_name_has_a_text() -> None:
    names = {
        icmp_name(protocol, kind, code) for protocol in (ICMP, ICMPV6) for kind in range(256) for code in range(256)
    }
    assert {"port_unreachable", "host_unreachable", "echo_request", "time_exceeded", "neighbor_solicitation"} <= names
    assert all(say(f"icmp.{name}") for name in names)


def test_names() -> None:
    assert [protocol_name(Network.IPV4, number) for number in (1, 2, 6, 17, 132, 253)] == [
        *("ICMP", "IGMP", "TCP", "UDP", "SCTP", "IP-253"),
    ]
    assert protocol_name(Network.IPV6, 58) == "ICMPV6"
    assert protocol_name(Network.IPV6, 0) == "IPV6"
    assert protocol_name(Network.ARP, 0) == "ARP"
    assert protocol_name(Network.OTHER, 0) == "OTHER"
    assert [link_type_name(number) for number in (1, 113, 147)] == ["ETHERNET", "LINUX_SLL", "LINK-147"]
