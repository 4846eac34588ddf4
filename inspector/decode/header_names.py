"""What scapy's layers and fields are called here: the words of their standards, and the OSI layer they belong to."""

from typing import NamedTuple

LINK, NETWORK, TRANSPORT, SESSION, PRESENTATION, APPLICATION = range(2, 8)


class LayerName(NamedTuple):
    """The name that fields begin with (``tcp`` in ``tcp.window``), the title, the OSI layer."""

    name: str
    title: str
    osi: int


LAYERS = {
    "Ether": LayerName("ethernet", "Ethernet", LINK),
    "Dot3": LayerName("ethernet", "802.3", LINK),
    "Dot1Q": LayerName("vlan", "VLAN", LINK),
    "Dot1AD": LayerName("vlan", "VLAN", LINK),
    "LLC": LayerName("llc", "LLC", LINK),
    "SNAP": LayerName("snap", "SNAP", LINK),
    "STP": LayerName("stp", "STP", LINK),
    "ARP": LayerName("arp", "ARP", LINK),
    "Loopback": LayerName("null", "Loopback", LINK),
    "LoopbackOpenBSD": LayerName("loop", "Loopback", LINK),
    "CookedLinux": LayerName("sll", "SLL", LINK),
    "CookedLinuxV2": LayerName("sll", "SLL", LINK),
    "PPP": LayerName("ppp", "PPP", LINK),
    "HDLC": LayerName("hdlc", "HDLC", LINK),
    "PPPoE": LayerName("pppoe", "PPPoE", LINK),
    "PPPoED": LayerName("pppoe", "PPPoE", LINK),
    "MPLS": LayerName("mpls", "MPLS", LINK),
    "IP": LayerName("ipv4", "IPv4", NETWORK),
    "IPerror": LayerName("ipv4", "IPv4", NETWORK),
    "IPv6": LayerName("ipv6", "IPv6", NETWORK),
    "IPerror6": LayerName("ipv6", "IPv6", NETWORK),
    "ICMP": LayerName("icmp", "ICMP", NETWORK),
    "ICMPerror": LayerName("icmp", "ICMP", NETWORK),
    "IGMP": LayerName("igmp", "IGMP", NETWORK),
    "GRE": LayerName("gre", "GRE", NETWORK),
    "AH": LayerName("ah", "AH", NETWORK),
    "ESP": LayerName("esp", "ESP", NETWORK),
    "TCP": LayerName("tcp", "TCP", TRANSPORT),
    "TCPerror": LayerName("tcp", "TCP", TRANSPORT),
    "UDP": LayerName("udp", "UDP", TRANSPORT),
    "UDPerror": LayerName("udp", "UDP", TRANSPORT),
    "SCTP": LayerName("sctp", "SCTP", TRANSPORT),
    "DNS": LayerName("dns", "DNS", APPLICATION),
    "DNSTCP": LayerName("dns", "DNS", APPLICATION),
    "TLS": LayerName("tls", "TLS", PRESENTATION),
}
_BY_BEGINNING = {  # scapy has a class for each kind of message
    "ICMPv6NDOpt": LayerName("icmpv6_option", "ICMPv6-option", NETWORK),
    "ICMPv6": LayerName("icmpv6", "ICMPv6", NETWORK),
    "IPv6ExtHdr": LayerName("ipv6_extension", "IPv6-extension", NETWORK),
    "SCTPChunk": LayerName("sctp_chunk", "SCTP-chunk", TRANSPORT),
}

FIELDS = {
    "ethernet": {"dst": "destination", "src": "source", "type": "type", "len": "length"},
    "vlan": {"prio": "priority", "dei": "drop_eligible", "id": "drop_eligible", "vlan": "identifier", "type": "type"},
    "arp": {
        "hwtype": "hardware_type",
        "ptype": "protocol_type",
        "hwlen": "hardware_size",
        "plen": "protocol_size",
        "op": "operation",
        "hwsrc": "sender_hardware",
        "psrc": "sender_protocol",
        "hwdst": "target_hardware",
        "pdst": "target_protocol",
    },
    "ipv4": {
        "version": "version",
        "ihl": "header_length",
        "dscp": "dscp",
        "ecn": "ecn",
        "len": "total_length",
        "id": "identification",
        "flags": "flags",
        "frag": "fragment_offset",
        "ttl": "time_to_live",
        "proto": "protocol",
        "chksum": "checksum",
        "src": "source",
        "dst": "destination",
        "options": "options",
    },
    "ipv6": {
        "version": "version",
        "dscp": "dscp",
        "ecn": "ecn",
        "fl": "flow_label",
        "plen": "payload_length",
        "nh": "next_header",
        "hlim": "hop_limit",
        "src": "source",
        "dst": "destination",
    },
    "tcp": {
        "sport": "source_port",
        "dport": "destination_port",
        "seq": "sequence_number",
        "ack": "acknowledgment_number",
        "dataofs": "data_offset",
        "reserved": "reserved",
        "flags": "flags",
        "window": "window",
        "chksum": "checksum",
        "urgptr": "urgent_pointer",
    },
    "udp": {"sport": "source_port", "dport": "destination_port", "len": "length", "chksum": "checksum"},
    "icmp": {
        "type": "type",
        "code": "code",
        "chksum": "checksum",
        "id": "identifier",
        "seq": "sequence_number",
        "nexthopmtu": "next_hop_mtu",
        "gw": "gateway",
        "ptr": "pointer",
    },
    "icmpv6": {
        "type": "type",
        "code": "code",
        "cksum": "checksum",
        "id": "identifier",
        "seq": "sequence_number",
        "mtu": "next_hop_mtu",
        "tgt": "target",
    },
}
# Fields that scapy has as one: the old octet of RFC 791 is six and two bits since RFC 2474 and RFC 3168.
SPLIT = {("ipv4", "tos"): (("dscp", 6), ("ecn", 2)), ("ipv6", "tc"): (("dscp", 6), ("ecn", 2))}
FLAGS = {
    "ipv4.flags": ("reserved", "DF", "MF"),
    "tcp.flags": ("AE", "CWR", "ECE", "URG", "ACK", "PSH", "RST", "SYN", "FIN"),  # AE: RFC 9768
}
TCP_OPTIONS = {
    0: "option_end",
    1: "option_no_operation",
    2: "option_mss",
    3: "option_window_scale",
    4: "option_sack_permitted",
    5: "option_sack",
    8: "option_timestamps",
    34: "option_fast_open",
}


def layer_name(class_name: str, title: str) -> LayerName:
    """The names of one of scapy's classes; of one that stands in no table here, those that scapy has for it."""
    if class_name in LAYERS:
        return LAYERS[class_name]
    for beginning, known in _BY_BEGINNING.items():
        if class_name.startswith(beginning):
            return known
    return LayerName(class_name.lower(), title or class_name, APPLICATION)
