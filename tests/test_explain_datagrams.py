"""Rules for datagrams, ICMP, fragments and frames: of each the smallest capture that shows it, and a near miss."""

import time
from collections.abc import Sequence
from pathlib import Path
from struct import pack
from typing import Any, NamedTuple

import pytest
from capture_building import Frame, pcap_header, pcap_record
from decode_building import ICMP, ICMPV6, UDP, fragment_header, icmp, ipv4, ipv6, tcp, udp
from oracle_rows import CAPTURES

from inspector.calls import journal
from inspector.calls.call import SocketCall
from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.cli.explain import read_scene
from inspector.explain.frame import CapturedFrame
from inspector.explain.reason import Reason, Rule
from inspector.explain.rules import FRAME_RULES, RULES, datagrams, flights, frame_reasons, frames, reasons
from inspector.explain.rules import icmp as icmp_rules
from inspector.explain.scene import Scene
from inspector.text import language
from inspector.text.problems import FileProblem
from inspector.trace.trace import Trace
from inspector.views.explanation import sentence

MS = 1_000_000
ETHERNET, RAW = 1, 101
HERE, THERE, ROUTER = "10.0.0.1", "10.0.0.2", "10.9.9.9"
MAC, OTHER_MAC, ALL, NONE = (bytes.fromhex(each * 6) for each in ("02", "04", "ff", "00"))
IPV4, ARP, IPV6, LLDP, VLAN = 0x0800, 0x0806, 0x86DD, 0x88CC, 0x8100
SYN, ACK, PUSH_ACK = 2, 16, 24


class Shot(NamedTuple):
    """A capture, the packet asked about, and the calls that were recorded. ``bundled`` names one of ours instead."""

    packets: Sequence[bytes | tuple[int, bytes]] = ()
    packet: int = 1
    calls: Sequence[SocketCall] = ()
    link_type: int = RAW
    bundled: str = ""
    cut_off: int = 0  # bytes of each frame that were not captured


def ether(payload: bytes, kind: int = IPV4, *, to: bytes = OTHER_MAC, sender: bytes = MAC) -> bytes:
    return to + sender + pack(">H", kind) + payload


def to_server(data: bytes = b"hi", **ports: int) -> bytes:
    return ipv4(udp(data, **ports), UDP)


def to_client(data: bytes = b"ok") -> bytes:
    return ipv4(udp(data, source_port=53, destination_port=40000), UDP, source=THERE, destination=HERE)


def segment(*, back: bool = False, **fields: Any) -> bytes:
    ends = {"source": THERE, "destination": HERE} if back else {}
    ports = {"source_port": 80, "destination_port": 40000} if back else {}
    return ipv4(tcp(**{**ports, **fields}), **ends)


def error(code: int, about: bytes, *, kind: int = 3, source: str = THERE) -> bytes:
    return ipv4(icmp(kind, code, about[:28]), ICMP, source=source, destination=HERE)


def ping(kind: int = 8, *, sequence: int = 1) -> bytes:
    ends = {} if kind else {"source": THERE, "destination": HERE}
    return ipv4(icmp(kind, identifier=7, sequence=sequence), ICMP, **ends)


def arp(operation: int, sender: str, target: str, *, to: bytes = ALL) -> bytes:
    body = pack(">HHBBH", 1, IPV4, 6, 4, operation) + MAC + packed(sender) + NONE + packed(target)
    return ether(body, ARP, to=to)


def packed(address: str) -> bytes:
    return bytes(map(int, address.split(".")))


def neighbor(kind: int) -> bytes:
    return ipv6(icmp(kind, body=bytes(16)), ICMPV6)


def call(name: str, *, server: bool = False, at_ns: int = 0, **more: Any) -> SocketCall:
    ends = [(HERE, 40000), (THERE, 53)]
    known = {"protocol": "UDP", "local": ends[server], "remote": ends[not server]}
    return SocketCall(1 + server, 1, name, 3, 1 + server, at_ns, at_ns + 100, **{**known, **more})


SENDTO = call("sendto", asked=2, returned=2)
RECVFROM = call("recvfrom", server=True, at_ns=2000, asked=1024, returned=2)
SHORT = call("recvfrom", server=True, at_ns=2000, asked=1, returned=1)
NOTHING = call("recvfrom", server=True, at_ns=5000, asked=1024, error="EAGAIN", remote=None)
CONNECT = call("connect", returned=0)
REFUSED = call("recv", at_ns=3000, asked=1024, error="ECONNREFUSED")
WAITING = call("recvfrom", at_ns=3000, asked=1024, error="timeout", remote=None)
BIND = call("bind", returned=0)

LARGE = udp(bytes(3000))
PIECES = [
    ipv4(LARGE[start : start + 1480], UDP, fragment_offset=start, more=start < 2960, identification=9)
    for start in (0, 1480, 2960)
]
V6_PIECES = [
    ipv6(fragment_header(UDP, offset=0, more=True) + LARGE[:1480], 44),
    ipv6(fragment_header(UDP, offset=1480, more=False) + LARGE[1480:], 44),
]
SYN_SEGMENT = segment(seq=1, flags=SYN)
OPEN = [(0, SYN_SEGMENT), (10 * MS, segment(back=True, seq=9, ack=2, flags=SYN | ACK))]
OPENED = [*OPEN, (20 * MS, segment(seq=2, ack=10, flags=ACK))]


def burst(at_ms: int, first: int, count: int) -> list[tuple[int, bytes]]:
    return [
        (at_ms * MS + nth, segment(payload=bytes(100), seq=2 + 100 * (first + nth), ack=10, flags=PUSH_ACK))
        for nth in range(count)
    ]


ECHO = segment(back=True, seq=10, ack=802, flags=ACK | 0x40)
ABOUT_SYN, ABOUT_DATA = [SYN_SEGMENT], [segment(payload=b"x")]
ECN_BITS = {bits: b"\x45" + bytes([bits]) + to_server()[2:] for bits in (0, 2, 3)}
DONT_FRAGMENT = to_server(bytes(1200))
DONT_FRAGMENT = DONT_FRAGMENT[:6] + b"\x40\0" + DONT_FRAGMENT[8:]


def with_ttl(ttl: int) -> bytes:
    return to_server()[:8] + bytes([ttl]) + to_server()[9:]


CASES: dict[str, tuple[Shot, Shot]] = {
    "udp": (Shot([to_server()]), Shot([to_server(b"")])),
    "udp_empty": (Shot([to_server(b"")]), Shot([to_server()])),
    "udp_first": (Shot([to_server(), to_client()]), Shot([to_server(), to_client()], 2)),
    "udp_to_many": (
        Shot([ipv4(udp(b"?"), UDP, destination="224.0.0.251")]),
        Shot([ipv4(udp(b"?"), UDP, destination="223.0.0.251")]),
    ),
    "udp_whole": (Shot(PIECES, 3), Shot(PIECES[:2], 2)),
    "udp_call": (Shot([(10, to_server())], calls=[SENDTO]), Shot([(10, to_server())], calls=[RECVFROM])),
    "udp_unseen_call": (Shot([to_server()]), Shot([(10, to_server())], calls=[SENDTO])),
    "udp_connected": (Shot([to_server()], calls=[CONNECT]), Shot([to_server()], calls=[CONNECT._replace(error="X")])),
    "udp_answers": (Shot([to_server(), to_client()], 2), Shot([to_server(), to_server(), to_client()], 3)),
    "udp_ephemeral": (
        Shot([(10, to_server())], calls=[SENDTO]),
        Shot([(10, to_server())], calls=[BIND, SENDTO]),
    ),
    "udp_received": (Shot([(10, to_server())], calls=[RECVFROM]), Shot([(10, to_server())], calls=[SHORT])),
    "udp_truncated": (Shot([(10, to_server())], calls=[SHORT]), Shot([(10, to_server())], calls=[RECVFROM])),
    "udp_dropped": (Shot([to_server()], calls=[NOTHING]), Shot([(9000, to_server())], calls=[NOTHING])),
    "udp_never_read": (
        Shot([(10, to_server()), (20, to_server(b"more"))], 2, [RECVFROM]),
        Shot([(10, to_server()), (20, to_server(b"more"))], 2, [RECVFROM, NOTHING]),
    ),
    "udp_next": (Shot([to_server(), to_client()]), Shot([to_server(), to_server(), to_client()])),
    "udp_refused": (Shot([to_server(), error(3, to_server())]), Shot([to_server(), error(3, SYN_SEGMENT)])),
    "udp_unanswered": (Shot([to_server()]), Shot([to_server(), to_client()])),
    "icmp_port": (Shot([to_server(), error(3, to_server())], 2), Shot([to_server(), error(1, to_server())], 2)),
    "icmp_host": (Shot([to_server(), error(1, to_server())], 2), Shot([to_server(), error(13, to_server())], 2)),
    "icmp_prohibited": (Shot([to_server(), error(13, to_server())], 2), Shot([to_server(), error(1, to_server())], 2)),
    "icmp_protocol": (Shot([to_server(), error(2, to_server())], 2), Shot([to_server(), error(3, to_server())], 2)),
    "icmp_too_big": (Shot([to_server(), error(4, to_server())], 2), Shot([to_server(), error(5, to_server())], 2)),
    "icmp_time": (
        Shot([to_server(), error(0, to_server(), kind=11)], 2),
        Shot([to_server(), error(0, to_server(), kind=12)], 2),
    ),
    "icmp_redirect": (
        Shot([to_server(), error(1, to_server(), kind=5)], 2),
        Shot([to_server(), error(1, to_server())], 2),
    ),
    "icmp_quench": (
        Shot([to_server(), error(0, to_server(), kind=4)], 2),
        Shot([to_server(), error(0, to_server())], 2),
    ),
    "icmp_error": (
        Shot([to_server(), error(0, to_server(), kind=12)], 2),
        Shot([to_server(), error(0, to_server(), kind=11)], 2),
    ),
    "ping_ttl": (Shot([ping(), error(0, ping(), kind=11)], 2), Shot([ping(), error(1, ping())], 2)),
    "ping_error": (Shot([ping(), error(1, ping())], 2), Shot([ping(), error(0, ping(), kind=11)], 2)),
    "icmp_stray": (Shot([error(3, to_server())]), Shot([to_server(), error(3, to_server())], 2)),
    "icmp_other": (Shot([ipv4(icmp(13), ICMP)]), Shot([ping()])),
    "icmp_quotes": (
        Shot([to_server(), error(3, to_server())], 2),
        Shot([segment(seq=5), error(3, segment(seq=6))], 2),
    ),
    "icmp_quotes_unseen": (
        Shot([segment(seq=5), error(3, segment(seq=6))], 2),
        Shot([segment(seq=5), error(3, segment(seq=5))], 2),
    ),
    "icmp_rejected": (Shot([*ABOUT_SYN, error(3, SYN_SEGMENT)], 2), Shot([*ABOUT_SYN, error(1, SYN_SEGMENT)], 2)),
    "icmp_udp_told": (
        Shot([to_server(), error(3, to_server())], 2, [CONNECT, REFUSED]),
        Shot([to_server(), error(3, to_server())], 2, [CONNECT]),
    ),
    "icmp_udp_not_told": (
        Shot([to_server(), error(3, to_server())], 2, [SENDTO, WAITING]),
        Shot([to_server(), error(3, to_server())], 2, [CONNECT, SENDTO]),
    ),
    "icmp_udp_depends": (
        Shot([to_server(), error(3, to_server())], 2),
        Shot([to_server(), error(3, to_server())], 2, [SENDTO]),
    ),
    "icmp_connect_fails": (
        Shot([*ABOUT_SYN, error(1, SYN_SEGMENT, source=ROUTER)], 2),
        Shot([*ABOUT_DATA, error(1, ABOUT_DATA[0], source=ROUTER)], 2),
    ),
    "icmp_soft": (
        Shot([*ABOUT_DATA, error(1, ABOUT_DATA[0], source=ROUTER)], 2),
        Shot([*ABOUT_SYN, error(1, SYN_SEGMENT, source=ROUTER)], 2),
    ),
    "icmp_smaller": (
        Shot([*ABOUT_DATA, error(4, ABOUT_DATA[0], source=ROUTER)], 2),
        Shot([to_server(), error(4, to_server(), source=ROUTER)], 2),
    ),
    "icmp_smaller_datagrams": (
        Shot([to_server(), error(4, to_server(), source=ROUTER)], 2),
        Shot([*ABOUT_DATA, error(4, ABOUT_DATA[0], source=ROUTER)], 2),
    ),
    "echo_request": (Shot([ping()]), Shot([ping(), ping(0)], 2)),
    "echo_reply": (Shot([ping(), ping(0)], 2), Shot([ping()])),
    "echo_time": (Shot([ping(), ping(0)], 2), Shot([ping(), ping(0, sequence=2)], 2)),
    "echo_next": (Shot([ping(), ping(0)]), Shot([ping(), ping(0, sequence=2)])),
    "echo_unanswered": (Shot([ping(), ping(0, sequence=2)]), Shot([ping(), ping(0)])),
    "router_solicitation": (Shot([neighbor(133)]), Shot([neighbor(134)])),
    "router_advertisement": (Shot([neighbor(134)]), Shot([neighbor(133)])),
    "neighbor_solicitation": (Shot([neighbor(135)]), Shot([neighbor(136)])),
    "neighbor_advertisement": (Shot([neighbor(136)]), Shot([neighbor(135)])),
    "fragment": (Shot(PIECES, 2), Shot(PIECES, 3)),
    "damaged": (Shot([segment(header_words=4)]), Shot([segment()])),
    "other_protocol": (Shot([ipv4(bytes(8), 2)]), Shot([to_server()])),
    "tunnelled": (Shot([ipv4(to_server(), 4, source=ROUTER)]), Shot([to_server()])),
    "flight_first": (
        Shot([*OPENED, *burst(21, 0, 5), *burst(41, 5, 8)], 4),
        Shot([*OPENED, *burst(21, 0, 5), *burst(81, 5, 8)], 4),
    ),
    "flight_grown": (
        Shot([*OPENED, *burst(21, 0, 5), *burst(41, 5, 8)], 9),
        Shot([*OPENED, *burst(21, 0, 5), *burst(41, 5, 5)], 9),
    ),
    "flight_smaller": (
        Shot([*OPENED, *burst(21, 0, 8), (39 * MS, ECHO), *burst(41, 8, 4), *burst(61, 12, 4)], 13),
        Shot([*OPENED, (20 * MS + 9, ECHO), *burst(21, 0, 8), *burst(41, 8, 4), *burst(61, 12, 4)], 13),
    ),
    "plain_ack": (Shot([segment(flags=ACK)]), Shot(OPENED, 3)),
    "fast_open_unseen_call": (Shot([segment(flags=SYN, payload=b"x")]), Shot([SYN_SEGMENT])),
    "arp_request": (Shot([arp(1, HERE, THERE)], link_type=ETHERNET), Shot([arp(1, HERE, HERE)], link_type=ETHERNET)),
    "arp_broadcast": (
        Shot([arp(1, HERE, THERE)], link_type=ETHERNET),
        Shot([arp(1, HERE, THERE, to=OTHER_MAC)], link_type=ETHERNET),
    ),
    "arp_renewed": (
        Shot([arp(1, HERE, THERE, to=OTHER_MAC)], link_type=ETHERNET),
        Shot([arp(1, HERE, THERE)], link_type=ETHERNET),
    ),
    "arp_reply": (Shot([arp(2, THERE, HERE)], link_type=ETHERNET), Shot([arp(2, HERE, HERE)], link_type=ETHERNET)),
    "arp_announcement": (
        Shot([arp(1, HERE, HERE)], link_type=ETHERNET),
        Shot([arp(1, HERE, THERE)], link_type=ETHERNET),
    ),
    "arp_probe": (Shot([arp(1, "0.0.0.0", HERE)], link_type=ETHERNET), Shot([arp(1, THERE, HERE)], link_type=ETHERNET)),
    "arp_next": (
        Shot([arp(1, HERE, THERE), arp(2, THERE, HERE)], link_type=ETHERNET),
        Shot([arp(1, HERE, THERE), arp(2, ROUTER, HERE)], link_type=ETHERNET),
    ),
    "arp_unanswered": (
        Shot([arp(1, HERE, THERE), arp(2, ROUTER, HERE)], link_type=ETHERNET),
        Shot([arp(1, HERE, THERE), arp(2, THERE, HERE)], link_type=ETHERNET),
    ),
    "arp_bare": (
        Shot([ether(arp(1, HERE, THERE)[14:20], ARP)], link_type=ETHERNET),
        Shot([arp(1, HERE, THERE)], link_type=ETHERNET),
    ),
    "lldp": (Shot([ether(bytes(20), LLDP)], link_type=ETHERNET), Shot([ether(bytes(20), 0x88CD)], link_type=ETHERNET)),
    "spanning_tree": (
        Shot([OTHER_MAC + MAC + b"\0\x26\x42\x42\x03" + bytes(35)], link_type=ETHERNET),
        Shot([OTHER_MAC + MAC + b"\0\x26\x43\x43\x03" + bytes(35)], link_type=ETHERNET),
    ),
    "other_frame": (
        Shot([OTHER_MAC + MAC + b"\0\x26\x43\x43\x03" + bytes(35)], link_type=ETHERNET),
        Shot([OTHER_MAC + MAC + b"\0\x26\x42\x42\x03" + bytes(35)], link_type=ETHERNET),
    ),
    "other_ethertype": (
        Shot([ether(bytes(20), 0x88CD)], link_type=ETHERNET),
        Shot([ether(bytes(20), LLDP)], link_type=ETHERNET),
    ),
    "unknown_link": (Shot([bytes(20)], link_type=253), Shot([to_server()])),
    "breaks_off": (Shot([ether(to_server()[:10])], link_type=ETHERNET), Shot([ether(to_server())], link_type=ETHERNET)),
    "fragment_first": (Shot(PIECES, 1), Shot(PIECES, 2)),
    "fragment_middle": (Shot(PIECES, 2), Shot(PIECES, 3)),
    "fragment_last": (Shot(V6_PIECES, 2), Shot(V6_PIECES, 1)),
    "snapped": (Shot([to_server(bytes(90))], cut_off=40), Shot([to_server(bytes(90))])),
    "loopback_macs": (
        Shot([ether(to_server(), to=NONE, sender=NONE)], link_type=ETHERNET),
        Shot([ether(to_server())], link_type=ETHERNET),
    ),
    "macs": (
        Shot([ether(to_server())], link_type=ETHERNET),
        Shot([ether(to_server(), to=NONE, sender=NONE)], link_type=ETHERNET),
    ),
    "group_mac": (
        Shot([ether(to_server(), to=ALL)], link_type=ETHERNET),
        Shot([ether(to_server())], link_type=ETHERNET),
    ),
    "vlan": (
        Shot([ether(pack(">HH", 7, IPV4) + to_server(), VLAN)], link_type=ETHERNET),
        Shot([ether(to_server())], link_type=ETHERNET),
    ),
    "padding": (
        Shot([ether(to_server() + bytes(16))], link_type=ETHERNET),
        Shot([ether(to_server())], link_type=ETHERNET),
    ),
    "ttl": (Shot([with_ttl(57)]), Shot([with_ttl(64)])),
    "ttl_last": (Shot([with_ttl(1)]), Shot([with_ttl(2)])),
    "dont_fragment": (Shot([DONT_FRAGMENT]), Shot([to_server(bytes(1200))])),
    "total_length_zero": (Shot([ipv4(udp(b"hi"), UDP, total_bytes=0)]), Shot([to_server()])),
    "ipv6": (Shot([ipv6(udp(b"hi"), UDP)]), Shot([to_server()])),
    "ecn_capable": (Shot([ECN_BITS[2]]), Shot([ECN_BITS[0]])),
    "ecn_marked": (Shot([ECN_BITS[3]]), Shot([ECN_BITS[2]])),
    "checksum_not_filled_in": (Shot(bundled="udp"), Shot(bundled="refused", packet=2)),
    "checksum_wrong": (Shot([segment()[:36] + b"\x12\x34" + segment()[38:]]), Shot([segment()])),
    "checksum_not_sent": (Shot([to_server()]), Shot([ipv6(udp(b"hi"), UDP)])),
    "next_hop_mtu": (
        Shot([to_server(), ipv4(icmp(3, 4, to_server(), sequence=1400), ICMP, source=THERE, destination=HERE)], 2),
        Shot([to_server(), ipv4(icmp(3, 3, to_server(), sequence=1400), ICMP, source=THERE, destination=HERE)], 2),
    ),
    "from_router": (
        Shot([ping(), error(0, ping(), kind=11, source=ROUTER)], 2),
        Shot([ping(), error(0, ping(), kind=11)], 2),
    ),
    "quoted_ports": (Shot([error(3, to_server())]), Shot([error(3, ping())])),
    "mapped": (Shot(bundled="dual-stack", packet=7), Shot(bundled="dual-stack", packet=1)),
}
OWN: tuple[Rule, ...] = (*datagrams.RULES, *icmp_rules.RULES, *flights.RULES, *frames.RULES)


def explained(shot: Shot, folder: Path) -> list[Reason]:
    """All that is said of the packet."""
    path, calls = folder / "made.pcap", list(shot.calls)
    if shot.bundled:
        path = Path(str(bundled.find(shot.bundled)))
        calls, _ = journal.load(journal.path_beside(str(path)))
    else:
        timed = [each if isinstance(each, tuple) else (1000 * at, each) for at, each in enumerate(shot.packets, 1)]
        kept = [(at, data[: len(data) - shot.cut_off], len(data)) for at, data in timed]
        records = [pcap_record(Frame(*each), kind="nanoseconds") for each in kept]
        path.write_bytes(pcap_header(kind="nanoseconds", link_type=shot.link_type) + b"".join(records))
    with Trace.read(str(path)) as trace:
        number = trace.values(shot.packet).conversation
        moment = read_scene(trace, number, CallIndex(calls)).moment(shot.packet) if number else None
        return frame_reasons(CapturedFrame(trace, shot.packet, moment))


@pytest.mark.parametrize("rule", CASES)
def test_the_smallest_capture_shows_it(rule: str, tmp_path: Path) -> None:
    found = [reason for reason in explained(CASES[rule][0], tmp_path) if reason.rule.name == rule]
    assert len(found) == 1
    for spoken in language.Language:
        language.speak(spoken)
        assert "{" not in sentence(found[0])
    language.speak(language.Language.ENGLISH)


@pytest.mark.parametrize("rule", CASES)
def test_a_near_miss_does_not(rule: str, tmp_path: Path) -> None:
    found = {reason.rule.name for reason in explained(CASES[rule][1], tmp_path)}
    assert found, "of every packet something is said"
    assert rule not in found


def test_every_rule_has_its_captures() -> None:
    assert set(CASES) == {rule.name for rule in OWN} | {"plain_ack", "fast_open_unseen_call"}
    names = [rule.name for rule in (*RULES, *FRAME_RULES)]
    assert len(set(names)) == len(names)


def said(shot: Shot, rule: str, folder: Path) -> dict[str, object]:
    """The parameters of a sentence."""
    return dict(next(reason for reason in explained(shot, folder) if reason.rule.name == rule).case.parameters)


def test_the_numbers_that_are_told(tmp_path: Path) -> None:
    assert said(Shot(PIECES, 2), "fragment_middle", tmp_path)["packets"] == (1, 2, 3)
    place = said(Shot(V6_PIECES, 2), "fragment_last", tmp_path)
    assert (place["start"], place["end"], place["packets"]) == (1480, 3008, (1, 2))
    assert said(Shot(PIECES, 3), "udp_whole", tmp_path) == {"count": 3000, "pieces": 3}
    assert said(CASES["udp_truncated"][0], "udp_truncated", tmp_path)["lost"] == 1
    flight = said(CASES["flight_grown"][0], "flight_grown", tmp_path)
    assert (flight["segments"], flight["before"], flight["count"], flight["last"]) == (8, 5, 800, 16)
    assert said(CASES["ttl"][0], "ttl", tmp_path) == {"left": 57, "begun": 64, "hops": 7}
    assert said(CASES["mapped"][0], "mapped", tmp_path) == {"address": "::ffff:127.0.0.1"}


@pytest.mark.parametrize(
    "flood",
    [
        [segment(seq=1, flags=SYN)],
        [segment(seq=1, flags=SYN), segment(back=True, seq=9, ack=2, flags=SYN | ACK)],
        [segment(seq=50, ack=3, flags=17)],
        [segment(seq=50, ack=3, flags=4)],
        [segment(seq=50, ack=3, flags=20), segment(back=True, seq=7, ack=90, payload=b"x")],
        [segment(seq=50, ack=3, flags=ACK)],
        [segment(seq=50, ack=3, payload=b"again")],
        [segment(seq=50, ack=3, flags=ACK, window=0), segment(back=True, seq=3, ack=50, flags=ACK)],
        [to_server()],
        [PIECES[0]],
        [ping()],
    ],
    ids=["syn", "syn-ack", "fin", "rst", "rst-ack", "ack", "resent", "probe", "udp", "fragment", "ping"],
)
def test_no_rule_looks_at_all_packets_for_each(flood: list[bytes], tmp_path: Path) -> None:
    """Sixteen times the packets must not take anything like 256 times as long."""
    spent = []
    for copies in (250, 4000):
        path = tmp_path / f"{copies}.pcap"
        records = [pcap_record(Frame(at * MS, data, len(data))) for at, data in enumerate(flood * copies)]
        path.write_bytes(pcap_header(link_type=RAW) + b"".join(records))
        with Trace.read(str(path)) as trace:
            rows, end = trace.rows(1, 0)
            scene = Scene(trace.conversation(1), rows, end)
            began = time.process_time()
            for moment in scene.moments():
                reasons(moment)
            spent.append(time.process_time() - began)
    assert spent[1] < 60 * spent[0] + 0.5


SUMS = {
    "syn_acked": ("ack", "seq", 1),
    "fin_acked": ("ack", "before", 1),
    "ack_of_data": ("ack", "seq", "count"),
    "next_number": ("next", "start", "count"),
}


def test_the_sums_that_are_told_are_right() -> None:
    """A late ACK of a SYN that came again acknowledges more than the SYN."""
    told = 0
    for name in ("hello", "challenge-ack", "teardown", "simultaneous-open", "rto", "fast-retransmit"):
        with Trace.read(str(bundled.find(name))) as trace:
            for reason in (reason for m in read_scene(trace, 1, CallIndex([])).moments() for reason in reasons(m)):
                if reason.rule.name in SUMS:
                    total, first, more = (
                        reason.case.parameters.get(str(each), each) for each in SUMS[reason.rule.name]
                    )
                    assert total == (int(str(first)) + int(str(more))) % 2**32, (name, reason)
                    told += 1
    assert told > 100


SAMPLE = sorted((CAPTURES / "captures").glob("*/*"))[::6]


@pytest.mark.skipif(not SAMPLE, reason="the corpus of real captures is not on this machine")
def test_something_is_said_of_every_packet_of_real_captures() -> None:
    for path in SAMPLE:
        try:
            trace = Trace.read(str(path))
        except FileProblem:
            continue
        with trace:
            scenes: dict[int, Scene] = {}
            for packet in range(1, min(len(trace), 200) + 1):
                number = trace.values(packet).conversation
                if number and number not in scenes:
                    scenes[number] = read_scene(trace, number, CallIndex([]))
                moment = scenes[number].moment(packet) if number else None
                found = frame_reasons(CapturedFrame(trace, packet, moment))
                assert found, f"{path} {packet}"
                for reason in found:
                    assert sentence(reason).isprintable(), f"{path} {packet} {reason.rule.name}"
