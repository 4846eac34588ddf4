"""What only the dissection of a frame tells: addresses of the link, ARP, what IP says on the way, checksums.

These rules are for one packet that is explained in full; a dissection takes a millisecond.
"""

from collections.abc import Callable, Iterator

from inspector.decode.checksums import Checksum
from inspector.decode.columns import Mark, Network
from inspector.decode.dissect import Header
from inspector.decode.linktypes import LINKS, LINKTYPE_ETHERNET
from inspector.decode.protocols import link_type_name
from inspector.explain.frame import CapturedFrame
from inspector.explain.reason import Amount, Case, Numbers, Part, Rule
from inspector.tcp.states import Known, Side

_LOOPBACK_MAC, _BROADCAST_MAC = "00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff"
_REQUEST, _REPLY = 1, 2  # ARP operations, RFC 826
_NO_ADDRESS = "0.0.0.0"
_LLDP, _FIRST_ETHERTYPE = 0x88CC, 0x0600
_KNOWN_ETHERTYPES = (0x0800, 0x0806, 0x86DD, 0x8100, 0x88A8, 0x9100, 0x8847, 0x8848, 0x8863, 0x8864, _LLDP)
_STP_SAP = 0x42
_INITIAL_TTLS = (64, 128, 255)  # Linux and macOS, Windows, routers and some Unixes
_MOST_HOPS = 40
_DONT_FRAGMENT = 2
_LARGE_BYTES = 1000  # from here on DF decides whether a packet passes
_MARKED, _ECT_0, _ECT_1 = 3, 2, 1  # the ECN field, RFC 3168 section 5
_TRANSPORTS = ("tcp", "udp", "icmp", "icmpv6")
_ANY_V6 = "::"


def _arp(f: CapturedFrame) -> Header | None:
    header = f.header("arp")
    return header if header is not None and header.complete else None


def _asks(header: Header) -> bool:
    return bool(header.value("operation") == _REQUEST and header.value("sender_protocol") not in _own(header))


def _own(header: Header) -> tuple[object, ...]:
    return (header.value("target_protocol"), _NO_ADDRESS)


def arp_request(f: CapturedFrame) -> Iterator[Case]:
    """Who has this address?"""
    header = _arp(f)
    if header is not None and _asks(header):
        parameters = {"sender": header.value("sender_protocol"), "target": header.value("target_protocol")}
        yield Case(parameters | {"mac": header.value("sender_hardware")})


def arp_broadcast(f: CapturedFrame) -> Iterator[Case]:
    """Everybody in the link hears it, because nobody's MAC is known yet."""
    header, link = _arp(f), f.header("ethernet")
    if header is not None and link is not None and _asks(header) and link.value("destination") == _BROADCAST_MAC:
        yield Case({"target": header.value("target_protocol")})


def arp_renewed(f: CapturedFrame) -> Iterator[Case]:
    """Asked of one host alone: an entry is checked before it is too old."""
    header, link = _arp(f), f.header("ethernet")
    if header is not None and link is not None and _asks(header) and link.value("destination") != _BROADCAST_MAC:
        yield Case({"target": header.value("target_protocol")}, known=Known.INFERRED)


def arp_reply(f: CapturedFrame) -> Iterator[Case]:
    """That is me."""
    header = _arp(f)
    if header is None or header.value("sender_protocol") in _own(header):
        return
    if header.value("operation") == _REPLY:
        parameters = {"sender": header.value("sender_protocol"), "target": header.value("target_protocol")}
        yield Case(parameters | {"mac": header.value("sender_hardware")})


def arp_announcement(f: CapturedFrame) -> Iterator[Case]:
    """A host tells its own address unasked."""
    header = _arp(f)
    if header is not None and header.value("sender_protocol") == header.value("target_protocol"):
        yield Case({"sender": header.value("sender_protocol"), "mac": header.value("sender_hardware")})


def arp_probe(f: CapturedFrame) -> Iterator[Case]:
    """Does anybody have the address that I want to take?"""
    header = _arp(f)
    if header is not None and header.value("operation") == _REQUEST and header.value("sender_protocol") == _NO_ADDRESS:
        yield Case({"target": header.value("target_protocol"), "mac": header.value("sender_hardware")})


def arp_next(f: CapturedFrame) -> Iterator[Case]:
    """Which packet answers it."""
    header = _arp(f)
    if header is not None and _asks(header) and f.arp_answer is not None:
        yield Case({"answer": f.arp_answer}, (f.arp_answer,))


def arp_unanswered(f: CapturedFrame) -> Iterator[Case]:
    """Nobody has the address, or the answer was not captured."""
    header = _arp(f)
    if header is not None and _asks(header) and f.arp_answer is None:
        yield Case({"target": header.value("target_protocol")}, known=Known.UNKNOWN)


def arp_bare(f: CapturedFrame) -> Iterator[Case]:
    """ARP in a link whose headers are not read field by field, or that breaks off."""
    if f.values.network == Network.ARP and _arp(f) is None:
        yield Case()


def lldp(f: CapturedFrame) -> Iterator[Case]:
    """A switch or host tells its neighbour who it is."""
    if _ethertype(f) == _LLDP:
        yield Case()


def spanning_tree(f: CapturedFrame) -> Iterator[Case]:
    """Switches agree on a tree without loops."""
    header = f.header("llc")
    if header is not None and header.value("dsap") == _STP_SAP:
        yield Case()


def other_ethertype(f: CapturedFrame) -> Iterator[Case]:
    """Neither IP nor ARP."""
    kind = _ethertype(f)
    if f.values.network == Network.OTHER and kind >= _FIRST_ETHERTYPE and kind not in _KNOWN_ETHERTYPES:
        yield Case({"type": f"0x{kind:04x}"})


def _ethertype(f: CapturedFrame) -> int:
    """What the innermost link header says of what follows it; 0 where none says."""
    header = f.header("ethernet", "vlan")
    return int((header and header.value("type")) or 0)


def other_frame(f: CapturedFrame) -> Iterator[Case]:
    """802.3 with a length instead of a type: protocols of the link itself."""
    header = f.header("ethernet")
    if header is not None and header.value("length") is not None and f.values.network == Network.OTHER:
        llc = f.header("llc")
        if llc is None or llc.value("dsap") != _STP_SAP:
            yield Case()


def unknown_link(f: CapturedFrame) -> Iterator[Case]:
    """A link layer that is not read."""
    if f.link_type not in LINKS:
        yield Case({"link": link_type_name(f.link_type)})


def breaks_off(f: CapturedFrame) -> Iterator[Case]:
    """A header ends before it is complete, or says what cannot be."""
    if f.moment is None and f.has_mark(Mark.MALFORMED):
        cut = next((header.title for header in f.headers if not header.complete), None)
        yield Case({"header": cut or (f.headers[-1].title if f.headers else link_type_name(f.link_type))})


def snapped(f: CapturedFrame) -> Iterator[Case]:
    """The capture kept only the beginning."""
    if len(f.data) < f.values.wire_bytes:
        yield Case({"captured": Amount(len(f.data)), "wire": Amount(f.values.wire_bytes)})


def loopback_macs(f: CapturedFrame) -> Iterator[Case]:
    """There is no card and no cable."""
    header = f.headers[0] if f.headers and f.link_type == LINKTYPE_ETHERNET else None
    if header is not None and header.value("source") == header.value("destination") == _LOOPBACK_MAC:
        yield Case()


def macs(f: CapturedFrame) -> Iterator[Case]:
    """From one station of this link to the next, not from end to end."""
    header = f.header("ethernet")
    if header is None or f.header("ipv4", "ipv6") is None or not header.complete:
        return
    source, destination = str(header.value("source")), str(header.value("destination"))
    if source != _LOOPBACK_MAC and not int(destination[:2], 16) & 1:
        yield Case({"source": source, "destination": destination})


def group_mac(f: CapturedFrame) -> Iterator[Case]:
    """To all stations of the link, or to a group of them."""
    header = f.header("ethernet")
    if header is not None and header.complete and f.header("ipv4", "ipv6") is not None:
        destination = str(header.value("destination"))
        if int(destination[:2], 16) & 1:
            yield Case({"destination": destination})


def vlan(f: CapturedFrame) -> Iterator[Case]:
    """The frame says which virtual network it is of."""
    header = f.header("vlan")
    if header is not None and header.complete:
        yield Case({"vlan": header.value("identifier")})


def padding(f: CapturedFrame) -> Iterator[Case]:
    """Ethernet frames have a least size."""
    if f.padding > 0 and f.header("ethernet") is not None:
        yield Case({"count": Amount(f.padding)})


def _place(f: CapturedFrame) -> tuple[int, int, bool] | None:
    """From, up to, whether more follow; None for what is no fragment."""
    header = f.header("ipv4")
    if header is not None:
        start, more = 8 * int(header.value("fragment_offset") or 0), bool(int(header.value("flags") or 0) & 1)
        size = int(header.value("total_length") or 0) - (header.end - header.start)
        return (start, start + size, more) if start or more else None
    below, header = f.header("ipv6"), f.header("ipv6_extension")
    if below is None or header is None or header.value("m") is None:
        return None
    start, more = 8 * int(header.value("offset")), bool(header.value("m"))
    return start, start + int(below.value("payload_length")) - (header.end - below.end), more


def _fragment(*, first: bool, more: bool) -> Callable[[CapturedFrame], Iterator[Case]]:
    def find(f: CapturedFrame) -> Iterator[Case]:
        place = _place(f)
        if place is not None and ((place[0] == 0), place[2]) == (first, more):
            parameters = {"start": place[0], "end": place[1], "count": len(f.fragments)}
            yield Case(parameters | {"packets": Numbers(f.fragments)}, f.fragments)

    return find


def ttl(f: CapturedFrame) -> Iterator[Case]:
    """How many routers it has passed, if it began as senders usually begin."""
    header = f.header("ipv4", "ipv6")
    left = None if header is None else header.value("time_to_live" if header.name == "ipv4" else "hop_limit")
    begun = next((each for each in _INITIAL_TTLS if left is not None and each >= left), None)
    if begun is not None and 0 < begun - int(left or 0) <= _MOST_HOPS:
        yield Case({"left": left, "begun": begun, "hops": begun - int(left or 0)}, known=Known.INFERRED)


def ttl_last(f: CapturedFrame) -> Iterator[Case]:
    """The next router will not pass it on."""
    header = f.header("ipv4", "ipv6")
    if header is not None and header.value("time_to_live" if header.name == "ipv4" else "hop_limit") == 1:
        yield Case()


def dont_fragment(f: CapturedFrame) -> Iterator[Case]:
    """Path MTU discovery, on packets that are large enough to meet a limit."""
    header = f.header("ipv4")
    if header is not None and header.value("flags") == _DONT_FRAGMENT and f.values.wire_bytes > _LARGE_BYTES:
        yield Case()


def total_length_zero(f: CapturedFrame) -> Iterator[Case]:
    """Left to the card that cuts it up."""
    header = f.header("ipv4")
    if header is not None and header.complete and header.value("total_length") == 0:
        yield Case({"count": Amount(len(f.data) - header.start)}, known=Known.INFERRED)


def ipv6(f: CapturedFrame) -> Iterator[Case]:
    """Forty bytes, no checksum of its own."""
    if f.header("ipv6") is not None:
        yield Case()


def mapped(f: CapturedFrame) -> Iterator[Case]:
    """IPv4 on the wire, an IPv6 socket in the program."""
    if f.header("ipv4") is None or f.moment is None:
        return
    scene = f.moment.scene
    for each in scene.calls_named(Side.SERVER, "bind", "listen"):
        if each.call.local is not None and each.call.local[0] == _ANY_V6:
            yield Case({"address": f"::ffff:{scene.conversation.client.address}"}, calls=(each,), known=Known.INFERRED)
            return


def _congestion(*codes: int) -> Callable[[CapturedFrame], Iterator[Case]]:
    def find(f: CapturedFrame) -> Iterator[Case]:
        header = f.header("ipv4", "ipv6")
        if header is not None and header.value("ecn") in codes:
            yield Case({"ecn": f"{header.value('ecn'):02b}"})

    return find


def _checksum(status: Checksum, *names: str) -> Callable[[CapturedFrame], Iterator[Case]]:
    def find(f: CapturedFrame) -> Iterator[Case]:
        for header in f.headers:
            if header.name in names and header.checksum is status:
                yield Case({"header": header.title}, known=Known.INFERRED)

    return find


def next_hop_mtu(f: CapturedFrame) -> Iterator[Case]:
    """How large a packet may be."""
    header = f.header("icmp", "icmpv6")
    if header is not None and f.quoted and (mtu := header.value("next_hop_mtu")):
        kinds = ("fragmentation_needed", "packet_too_big")
        if f.moment is None or f.moment.row.notice is None or f.moment.row.notice.name in kinds:
            yield Case({"mtu": mtu})


def from_router(f: CapturedFrame) -> Iterator[Case]:
    """An error about a ping that neither of the two hosts has sent."""
    header = f.header("ipv4", "ipv6")
    if header is not None and f.quoted and f.moment is not None and f.moment.row.notice is None:
        conversation = f.moment.scene.conversation
        if header.value("source") not in (conversation.client.address, conversation.server.address):
            yield Case({"source": header.value("source")})


def quoted_ports(f: CapturedFrame) -> Iterator[Case]:
    """What the quoted header says."""
    for header in f.quoted:
        source, destination = header.value("source_port"), header.value("destination_port")
        if header.name in ("udp", "tcp") and None not in (source, destination):
            yield Case({"protocol": header.title, "source": source, "destination": destination})


RULES = (
    Rule("arp_request", Part.WHAT, "encapsulation", "RFC 826", arp_request),
    Rule("arp_reply", Part.WHAT, "encapsulation", "RFC 826", arp_reply),
    Rule("arp_announcement", Part.WHAT, "encapsulation", "RFC 5227 §2.3", arp_announcement),
    Rule("arp_probe", Part.WHAT, "encapsulation", "RFC 5227 §2.1.1", arp_probe),
    Rule("arp_bare", Part.WHAT, "encapsulation", "RFC 826", arp_bare),
    Rule("lldp", Part.WHAT, "encapsulation", "IEEE 802.1AB", lldp),
    Rule("spanning_tree", Part.WHAT, "encapsulation", "IEEE 802.1D", spanning_tree),
    Rule("other_ethertype", Part.WHAT, "encapsulation", "IEEE 802.3", other_ethertype),
    Rule("other_frame", Part.WHAT, "encapsulation", "IEEE 802.3", other_frame),
    Rule("unknown_link", Part.WHAT, "encapsulation", "pcap-linktype(7)", unknown_link),
    Rule("breaks_off", Part.WHAT, "encapsulation", "RFC 1122 §3.2.1", breaks_off),
    Rule("fragment_first", Part.WHAT, "mtu-mss", "RFC 791 §3.2", _fragment(first=True, more=True)),
    Rule("fragment_middle", Part.WHAT, "mtu-mss", "RFC 791 §3.2", _fragment(first=False, more=True)),
    Rule("fragment_last", Part.WHAT, "mtu-mss", "RFC 791 §3.2", _fragment(first=False, more=False)),
    Rule("arp_broadcast", Part.WHY, "encapsulation", "RFC 826", arp_broadcast),
    Rule("arp_renewed", Part.WHY, "encapsulation", "RFC 1122 §2.3.2.1", arp_renewed),
    Rule("snapped", Part.NUMBERS, "encapsulation", "pcap-savefile(5)", snapped),
    Rule("loopback_macs", Part.NUMBERS, "loopback", "drivers/net/loopback.c", loopback_macs),
    Rule("macs", Part.NUMBERS, "encapsulation", "RFC 894", macs),
    Rule("group_mac", Part.NUMBERS, "encapsulation", "RFC 1112 §6.4", group_mac),
    Rule("vlan", Part.NUMBERS, "encapsulation", "IEEE 802.1Q", vlan),
    Rule("padding", Part.NUMBERS, "encapsulation", "RFC 894", padding),
    Rule("ttl", Part.NUMBERS, "encapsulation", "RFC 791 §3.2", ttl),
    Rule("ttl_last", Part.NUMBERS, "encapsulation", "RFC 1122 §3.2.1.7", ttl_last),
    Rule("dont_fragment", Part.NUMBERS, "mtu-mss", "RFC 1191 §3", dont_fragment),
    Rule("total_length_zero", Part.NUMBERS, "segmentation-offload", "net/ipv4/ip_output.c", total_length_zero),
    Rule("ipv6", Part.NUMBERS, "encapsulation", "RFC 8200 §3", ipv6),
    Rule("ecn_capable", Part.NUMBERS, "ecn", "RFC 3168 §5", _congestion(_ECT_0, _ECT_1)),
    Rule("ecn_marked", Part.NUMBERS, "ecn", "RFC 3168 §5", _congestion(_MARKED)),
    Rule(
        "checksum_not_filled_in",
        Part.NUMBERS,
        "checksum-offload",
        "RFC 1071",
        _checksum(Checksum.NOT_FILLED_IN, *_TRANSPORTS),
    ),
    Rule(
        "checksum_wrong", Part.NUMBERS, "checksum-offload", "RFC 1071", _checksum(Checksum.WRONG, "ipv4", *_TRANSPORTS)
    ),
    Rule("checksum_not_sent", Part.NUMBERS, "checksum-offload", "RFC 768", _checksum(Checksum.NOT_SENT, "udp")),
    Rule("next_hop_mtu", Part.NUMBERS, "mtu-mss", "RFC 1191 §4", next_hop_mtu),
    Rule("from_router", Part.NUMBERS, "icmp-unreachable", "RFC 792, RFC 4443", from_router),
    Rule("quoted_ports", Part.NUMBERS, "icmp-unreachable", "RFC 792, RFC 4443", quoted_ports),
    Rule("mapped", Part.PROGRAMS, "loopback", "ipv6(7)", mapped),
    Rule("arp_next", Part.NEXT, "encapsulation", "RFC 826", arp_next),
    Rule("arp_unanswered", Part.NEXT, "encapsulation", "RFC 826", arp_unanswered),
)
