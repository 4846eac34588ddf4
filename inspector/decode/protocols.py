"""Names of protocols, of link types and of ICMP messages."""

from inspector.decode import linktypes as links
from inspector.decode.columns import Network

TCP = 6
UDP = 17
ICMP = 1
ICMPV6 = 58

_IP_PROTOCOLS = {
    0: "HOPOPT",
    ICMP: "ICMP",
    2: "IGMP",
    4: "IPIP",
    TCP: "TCP",
    8: "EGP",
    UDP: "UDP",
    33: "DCCP",
    41: "6IN4",
    43: "IPV6-ROUTE",
    44: "IPV6-FRAG",
    46: "RSVP",
    47: "GRE",
    50: "ESP",
    51: "AH",
    ICMPV6: "ICMPV6",
    59: "IPV6-NONXT",
    60: "IPV6-OPTS",
    88: "EIGRP",
    89: "OSPF",
    103: "PIM",
    112: "VRRP",
    115: "L2TP",
    132: "SCTP",
    135: "MOBILITY",
    136: "UDPLITE",
    137: "MPLS-IN-IP",
}

_LINK_TYPES = {
    links.LINKTYPE_NULL: "NULL",
    links.LINKTYPE_ETHERNET: "ETHERNET",
    links.LINKTYPE_ARCNET_BSD: "ARCNET",
    links.LINKTYPE_ARCNET_LINUX: "ARCNET",
    links.LINKTYPE_PPP: "PPP",
    links.LINKTYPE_FDDI: "FDDI",
    links.LINKTYPE_RAW_BSD: "RAW",
    links.LINKTYPE_RAW_OPENBSD: "RAW",
    links.LINKTYPE_PPP_HDLC: "PPP_HDLC",
    links.LINKTYPE_RAW: "RAW",
    links.LINKTYPE_LOOP: "LOOP",
    links.LINKTYPE_LINUX_SLL: "LINUX_SLL",
    links.LINKTYPE_IPV4: "IPV4",
    links.LINKTYPE_IPV6: "IPV6",
    links.LINKTYPE_LINUX_SLL2: "LINUX_SLL2",
}

_UNREACHABLE = {
    0: "network_unreachable",
    1: "host_unreachable",
    2: "protocol_unreachable",
    3: "port_unreachable",
    4: "fragmentation_needed",
    9: "administratively_prohibited",
    10: "administratively_prohibited",
    13: "administratively_prohibited",
}
_UNREACHABLE_V6 = {
    0: "no_route",
    1: "administratively_prohibited",
    3: "address_unreachable",
    4: "port_unreachable",
}
_ICMP_TYPES = {
    0: "echo_reply",
    4: "source_quench",
    5: "redirect",
    8: "echo_request",
    9: "router_advertisement",
    10: "router_solicitation",
    11: "time_exceeded",
    12: "parameter_problem",
}
_ICMPV6_TYPES = {
    2: "packet_too_big",
    3: "time_exceeded",
    4: "parameter_problem",
    128: "echo_request",
    129: "echo_reply",
    133: "router_solicitation",
    134: "router_advertisement",
    135: "neighbor_solicitation",
    136: "neighbor_advertisement",
    137: "redirect",
}
ICMP_ERRORS = {ICMP: frozenset((3, 4, 5, 11, 12)), ICMPV6: frozenset((1, 2, 3, 4))}
ICMP_ECHO = {ICMP: frozenset((0, 8)), ICMPV6: frozenset((128, 129))}


def protocol_name(network: int, protocol: int) -> str:
    """What the columns ``network`` and ``protocol`` are called, upper case (IANA protocol-numbers)."""
    if network == Network.ARP:
        return "ARP"
    if network == Network.OTHER:
        return "OTHER"
    if network == Network.IPV6 and protocol == 0:
        return "IPV6"  # the chain of headers breaks off
    return _IP_PROTOCOLS.get(protocol, f"IP-{protocol}")


def link_type_name(link_type: int) -> str:
    """The name of a link type without its ``LINKTYPE_`` (www.tcpdump.org/linktypes.html); ``LINK-<n>`` for one that is
    not decoded."""
    return _LINK_TYPES.get(link_type, f"LINK-{link_type}")


def icmp_name(protocol: int, kind: int, code: int) -> str:
    """The key, in the text area ``icmp``, of an ICMP (RFC 792) or ICMPv6 (RFC 4443, 4861) message."""
    if protocol == ICMPV6:
        return _UNREACHABLE_V6.get(code, "unreachable") if kind == 1 else _ICMPV6_TYPES.get(kind, "other")
    return _UNREACHABLE.get(code, "unreachable") if kind == 3 else _ICMP_TYPES.get(kind, "other")
