"""One frame in full: its fields where tshark sees them, its checksums, and whatever bytes may come."""

import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from struct import pack
from xml.etree import ElementTree

import pytest
from decode_building import LINK_HEADERS, TCP, UDP, extension, ipv4, ipv6, link, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle_rows import CAPTURES

from inspector.capture import bundled
from inspector.decode import checksums
from inspector.decode.checksums import Checksum
from inspector.decode.dissect import Dissection, Header, dissect
from inspector.decode.linktypes import LINKS
from inspector.text.problems import FileProblem
from inspector.trace.trace import Trace

# Ours, and the same in tshark.
SAME_FIELDS = {
    "ethernet.destination": "eth.dst",
    "ethernet.source": "eth.src",
    "ethernet.type": "eth.type",
    "arp.operation": "arp.opcode",
    "arp.sender_hardware": "arp.src.hw_mac",
    "arp.target_protocol": "arp.dst.proto_ipv4",
    "ipv4.total_length": "ip.len",
    "ipv4.identification": "ip.id",
    "ipv4.time_to_live": "ip.ttl",
    "ipv4.protocol": "ip.proto",
    "ipv4.checksum": "ip.checksum",
    "ipv4.source": "ip.src",
    "ipv4.destination": "ip.dst",
    "ipv6.payload_length": "ipv6.plen",
    "ipv6.next_header": "ipv6.nxt",
    "ipv6.hop_limit": "ipv6.hlim",
    "ipv6.source": "ipv6.src",
    "ipv6.destination": "ipv6.dst",
    "tcp.source_port": "tcp.srcport",
    "tcp.destination_port": "tcp.dstport",
    "tcp.sequence_number": "tcp.seq_raw",
    "tcp.acknowledgment_number": "tcp.ack_raw",
    "tcp.window": "tcp.window_size_value",
    "tcp.checksum": "tcp.checksum",
    "tcp.urgent_pointer": "tcp.urgent_pointer",
    "tcp.option_mss": "tcp.options.mss",
    "tcp.option_window_scale": "tcp.options.wscale",
    "tcp.option_timestamps": "tcp.options.timestamp",
    "udp.source_port": "udp.srcport",
    "udp.destination_port": "udp.dstport",
    "udp.length": "udp.length",
    "udp.checksum": "udp.checksum",
    "icmp.type": "icmp.type",
    "icmp.code": "icmp.code",
    "icmp.checksum": "icmp.checksum",
    "icmpv6.type": "icmpv6.type",
    "icmpv6.code": "icmpv6.code",
    "icmpv6.checksum": "icmpv6.checksum",
    "dns.id": "dns.id",
    "dns.qdcount": "dns.count.queries",
}
OURS = {theirs: ours for ours, theirs in SAME_FIELDS.items()}
STATUS = {"0": Checksum.WRONG, "1": Checksum.RIGHT, "3": Checksum.NOT_SENT}
PROTOCOLS = {"ip": "ipv4", "tcp": "tcp", "udp": "udp", "icmp": "icmp", "icmpv6": "icmpv6"}
BUNDLED = ["hello", "http", "ipv6", "udp", "udp-closed", "mtu", "dual-stack"]
CORPUS = sorted(
    path
    for group in ("ipv6", "udp_icmp_dns", "vlan_mpls_pppoe", "link_linux_cooked", "tcp_options", "fragments")
    for path in (CAPTURES / "captures" / group).glob("*")
)
PATHS = [Path(str(bundled.find(name))) for name in BUNDLED] + CORPUS
MOST_PACKETS = 60

Place = tuple[str, int, int]  # field, first byte in the frame, bytes


def dissections(path: Path) -> Iterator[tuple[int, Dissection]]:
    try:
        trace = Trace.read(str(path))
    except FileProblem:
        pytest.skip("not a capture file that we read")
    with trace:
        for packet in range(1, min(len(trace), MOST_PACKETS) + 1):
            values = trace.values(packet)
            yield packet, dissect(trace.frame(packet), trace.link_type(packet), values.wire_bytes)


def places(header: Header) -> Iterator[Place]:
    for field in header.fields:
        if field.name in SAME_FIELDS:
            yield field.name, header.start + field.bit // 8, field.bits // 8


def of_tshark(path: Path) -> Iterator[set[tuple[Place, str]]]:
    """Every field of every packet with its bytes, in hexadecimal, but those of reassembled buffers."""
    command = ["tshark", "-n", "-r", str(path), "-c", str(MOST_PACKETS), "-T", "pdml"]
    command += ["-o", "ip.defragment:FALSE", "-o", "tcp.desegment_tcp_streams:FALSE"]
    read = subprocess.run(command, capture_output=True, check=False)
    for packet in ElementTree.fromstring(read.stdout or b"<pdml/>"):
        fields = [field.attrib for field in packet.iter("field") if field.get("name") in OURS]
        yield {((OURS[at["name"]], int(at["pos"]), int(at["size"])), at.get("value", "")) for at in fields}


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_fields_stand_where_tshark_sees_them(path: Path) -> None:
    compared: Counter[str] = Counter()
    for (packet, ours), theirs in zip(dissections(path), of_tshark(path), strict=False):
        known = {place for place, _ in theirs}
        for header in ours.headers:
            for place in places(header) if not header.quoted else ():
                if any(name == place[0] for name, _, _ in known):
                    assert place in known, (packet, header.name, place, sorted(known))
                    compared[place[0]] += 1
    assert compared or path in CORPUS


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.name)
def test_checksums_are_right_where_tshark_says_so(path: Path) -> None:
    """tshark knows no checksum that was left to the network card: it calls these wrong."""
    command = ["tshark", "-n", "-r", str(path), "-c", str(MOST_PACKETS), "-T", "fields", "-E", "occurrence=f"]
    for name in ("ip", "tcp", "udp"):
        command += ["-o", f"{name}.check_checksum:TRUE"]
    for name in PROTOCOLS:
        command += ["-e", f"{name}.checksum.status"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split("\n")
    for (packet, ours), line in zip(dissections(path), lines, strict=False):
        for name, status in zip(PROTOCOLS.values(), line.split("\t"), strict=False):
            header = next((each for each in ours.headers if each.name == name), None)
            if status not in STATUS or header is None or header.checksum in (None, Checksum.UNKNOWN):
                continue
            same = header.checksum is STATUS[status]
            assert same or (header.checksum is Checksum.NOT_FILLED_IN and status == "0"), (packet, name, status)


def frame_of(protocol: int, transport: bytes) -> bytes:
    """An IPv4 packet on Ethernet."""
    return link("ethernet", ipv4(transport, protocol=protocol)).data


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda right, partial: right, Checksum.RIGHT),
        (lambda right, partial: right ^ 1, Checksum.WRONG),
        (lambda right, partial: partial, Checksum.NOT_FILLED_IN),
        (lambda right, partial: 0, Checksum.NOT_SENT),
    ],
)
def test_what_is_said_of_a_checksum(change, found) -> None:  # type: ignore[no-untyped-def]
    source, destination = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    blank = pack(">HHHH", 1, 2, 12, 0) + b"data"
    partial = checksums.ones_complement_sum(source + destination + pack(">HH", UDP, len(blank)))
    right = 0xFFFF - checksums.ones_complement_sum(source + destination + pack(">HH", UDP, len(blank)) + blank)
    datagram = blank[:6] + pack(">H", change(right, partial)) + blank[8:]
    assert checksums.of_transport(UDP, source, destination, datagram) is found


@pytest.mark.parametrize("link_type", sorted(LINKS))
def test_a_link_header_that_breaks_off_ends_with_the_frame(link_type: int) -> None:
    found = dissect(b"\0\0\0\0\xd4", link_type, 5)
    assert max([found.payload_end, *(header.end for header in found.headers)]) <= 5


def test_a_tcp_checksum_of_zero_is_not_filled_in() -> None:
    frame = frame_of(TCP, tcp(b"data"))
    assert dissect(frame, 1, len(frame)).headers[2].checksum is Checksum.NOT_FILLED_IN


def test_a_kernel_that_says_so_is_believed() -> None:
    frame = frame_of(UDP, udp(b"data"))
    frame = frame[:40] + b"\1\1" + frame[42:]
    plain, offloaded = (dissect(frame, 1, len(frame), checksum_ready=ready).headers[2] for ready in (True, False))
    assert (plain.checksum, offloaded.checksum) == (Checksum.WRONG, Checksum.NOT_FILLED_IN)


@given(st.binary(max_size=99))
def test_sums_are_those_of_rfc_1071(data: bytes) -> None:
    total = 0
    for at in range(0, len(data), 2):
        total += int.from_bytes(data[at : at + 2].ljust(2, b"\0"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    assert checksums.ones_complement_sum(data) == total


def check_whole(found: Dissection, frame: bytes) -> None:
    """Headers follow each other, fields lie in their headers in order, nothing lies outside of the frame."""
    at = 0
    for header in found.headers:
        assert header.start == at <= header.end <= len(frame)
        bits = [0]
        for field in header.fields:
            assert bits[-1] <= field.bit
            bits.append(field.bit + field.bits)
        assert bits[-1] <= 8 * (header.end - header.start), header
        at = header.end
    assert at == found.payload_start <= found.payload_end <= len(frame)


@settings(deadline=None)
@given(st.sampled_from(sorted(LINKS)), st.binary(max_size=120))
def test_any_bytes_can_be_dissected(link_type: int, frame: bytes) -> None:
    check_whole(dissect(frame, link_type, len(frame)), frame)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(LINK_HEADERS)),
    st.sampled_from([1, 2, 4, 6, 17, 41, 47, 50, 51, 58, 132]),
    st.sampled_from([53, 67, 69, 123, 161, 500, 546, 1812, 4789, 5353, 6081, 8001]),
    st.binary(max_size=200),
)
def test_hostile_protocols_can_be_dissected(name: str, protocol: int, port: int, data: bytes) -> None:
    transport = udp(data, destination_port=port) if protocol == UDP else data
    frame, link_type, _, _ = link(name, ipv4(transport, protocol=protocol))
    check_whole(dissect(frame, link_type, len(frame)), frame)


@pytest.mark.parametrize("name", ["http", "ipv6", "udp-closed"])
def test_a_frame_that_is_cut_shows_what_is_left(name: str) -> None:
    with Trace.read(str(bundled.find(name))) as trace:
        for packet in range(1, min(len(trace), 5) + 1):
            frame, link_type = trace.frame(packet), trace.link_type(packet)
            whole = dissect(frame, link_type, len(frame))
            for size in range(len(frame)):
                cut = dissect(frame[:size], link_type, len(frame))
                check_whole(cut, frame[:size])
                for before, after in zip(whole.headers, cut.headers, strict=False):
                    fields = [field for field in before.fields if field.bit + field.bits <= 8 * (size - before.start)]
                    if after.complete or before.name not in ("ipv4", "ipv6", "tcp", "udp"):
                        continue
                    names = [field.name for field in fields if "option" not in field.name]
                    assert [field.name for field in after.fields if "option" not in field.name] == names


@pytest.mark.parametrize(
    ("ethertype", "between", "names"),
    [
        (0x8847, bytes.fromhex("000100ff 000111ff"), ["mpls", "mpls"]),
        (0x8864, bytes.fromhex("1100000a 0023 0021"), ["pppoe", "ppp"]),
    ],
)
def test_headers_between_link_and_network(ethertype: int, between: bytes, names: list[str]) -> None:
    packet = ipv4(udp(b"hello", destination_port=9999), UDP)
    frame = bytes(12) + ethertype.to_bytes(2, "big") + between + packet
    found = [header.name for header in dissect(frame, 1, len(frame)).headers]
    assert found == ["ethernet", *names, "ipv4", "udp"]


@pytest.mark.parametrize(("segments_left", "checksum"), [(0, Checksum.RIGHT), (1, Checksum.UNKNOWN)])
def test_a_checksum_behind_extension_headers(segments_left: int, checksum: Checksum) -> None:
    routing = bytes([UDP, 0, 4, segments_left]) + bytes(4)
    datagram = bytearray(udp(b"hello", destination_port=9999))
    ends = ipv6(b"")[8:40]
    pseudo_header = ends + len(datagram).to_bytes(4, "big") + UDP.to_bytes(4, "big")
    datagram[6:8] = (0xFFFF ^ checksums.ones_complement_sum(pseudo_header + datagram)).to_bytes(2, "big")
    frame = link("ethernet", ipv6(extension(43) + routing + bytes(datagram), 0)).data
    assert dissect(frame, 1, len(frame)).headers[-1].checksum is checksum
