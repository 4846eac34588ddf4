"""One frame in full: every header with every field, its value and the bits where it stands. All of scapy's dissection
that is used is here, and imported when the first frame is dissected.

scapy is asked for one layer at a time, so that a frame may nest as deep as it likes; and its fields are read once more,
one by one, to learn where each stands and how far a header goes that breaks off.
"""

import contextlib
import importlib
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple

from inspector.capture.scapy_socket import scapy_configuration
from inspector.decode import checksums, linktypes
from inspector.decode.checksums import Checksum
from inspector.decode.header_names import FIELDS, FLAGS, LINK, SPLIT, TCP_OPTIONS, layer_name
from inspector.decode.protocols import ICMPV6, TCP, UDP
from inspector.tcp import options as tcp_options

_MOST_HEADERS = 32
_TCP_FIXED_BYTES = 20
# Modules of scapy that are imported when a packet needs them: by port of a datagram, by IP protocol.
_APPLICATIONS = {
    53: "scapy.layers.dns",
    67: "scapy.layers.dhcp",
    68: "scapy.layers.dhcp",
    69: "scapy.layers.tftp",
    123: "scapy.layers.ntp",
    161: "scapy.layers.snmp",
    500: "scapy.layers.isakmp",
    520: "scapy.layers.rip",
    546: "scapy.layers.dhcp6",
    547: "scapy.layers.dhcp6",
    1701: "scapy.layers.l2tp",
    1812: "scapy.layers.radius",
    2152: "scapy.contrib.gtp",
    4789: "scapy.layers.vxlan",
    5353: "scapy.layers.dns",
    5355: "scapy.layers.llmnr",
    6081: "scapy.contrib.geneve",
}
_IP_MODULES = {
    2: "scapy.layers.igmp",
    50: "scapy.layers.ipsec",
    51: "scapy.layers.ipsec",
    112: "scapy.layers.vrrp",
    132: "scapy.layers.sctp",
}
_LINK_MODULES = {  # by EtherType
    0x8847: "scapy.contrib.mpls",
    0x8848: "scapy.contrib.mpls",
    0x8863: "scapy.layers.ppp",
    0x8864: "scapy.layers.ppp",
}
_NETWORKS = {linktypes.ETHERTYPE_IPV4: ("inet", "IP"), linktypes.ETHERTYPE_IPV6: ("inet6", "IPv6")}


class Field(NamedTuple):
    """One field of a header: ``name`` as in ``tcp.window``; ``bit`` is counted from the start of the header.

    ``text`` is what scapy makes of the value, not yet safe to show. ``flags`` names the bits of a field of flags, the
    first bit first.
    """

    name: str
    value: int | str
    text: str
    bit: int
    bits: int
    flags: tuple[str, ...] = ()


class Header(NamedTuple):
    """One header: what it is called, its OSI layer, and the bytes of the frame from, up to, that are its own.

    ``quoted``: it is of a datagram that an ICMP error quotes. ``complete`` is False for one that breaks off: its fields
    are those that could be read.
    """

    name: str
    title: str
    osi: int
    start: int
    end: int
    fields: tuple[Field, ...]
    complete: bool = True
    quoted: bool = False
    checksum: Checksum | None = None

    def value(self, name: str) -> Any:
        """The value of a field by its name without the layer's; None when the header has no such field."""
        return next((field.value for field in self.fields if field.name == f"{self.name}.{name}"), None)


class Dissection(NamedTuple):
    """The headers of a frame, the outermost first; the bytes behind them (``payload_start`` to ``payload_end``) are of
    no header that is known here; what follows is padding."""

    headers: tuple[Header, ...]
    payload_start: int
    payload_end: int


def dissect(frame: bytes, link_type: int, wire_bytes: int, *, checksum_ready: bool = True) -> Dissection:
    """All headers of a frame up to TCP, or to the application's where it comes in datagrams.

    ``checksum_ready`` is False when the kernel says that it left the checksum to the network card.
    """
    headers: list[Header] = []
    at, end = 0, len(frame)
    kind, layer = _first_class(link_type), None
    find = linktypes.LINKS.get(link_type)
    if kind is None and find is not None and (found := find(frame)) is not None:
        kind, at = _network_class(found), min(found[0], len(frame))
        headers.append(Header("link", "link", LINK, 0, at, ()))
    while kind is not None and at < end and len(headers) < _MOST_HEADERS:
        read = _read_layer(kind, frame[at:end], layer)
        quoted = bool(headers) and (headers[-1].quoted or type(read.layer).__name__.endswith(("error", "error6")))
        names = layer_name(type(read.layer).__name__, str(read.layer.name))
        fields = tuple(_fields(names.name, read.layer, frame[at : at + read.header_bytes], read.complete))
        headers.append(Header(*names, at, at + read.header_bytes, fields, read.complete, quoted))
        at += read.header_bytes
        end = at + read.body_bytes
        layer = read.layer
        kind = _next_class(layer, frame[at:end]) if read.complete else None
    checked = [_with_checksum(headers, index, frame, wire_bytes, checksum_ready) for index in range(len(headers))]
    return Dissection(tuple(checked), at, end)


def dissect_dns(message: bytes) -> Header | None:
    """A DNS message that was put together from a stream, its length before it; None when scapy cannot read it."""
    scapy_configuration()
    read = _read_layer(importlib.import_module("scapy.layers.dns").DNSTCP, message, None)
    if not read.complete:
        return None
    names = layer_name("DNSTCP", "DNS")
    return Header(*names, 0, len(message), tuple(_fields(names.name, read.layer, message, True)))


def prepare() -> None:
    """Import now whatever a packet may need, for a process that will lose the right to read its own files."""
    _first_class(linktypes.LINKTYPE_PPP)
    for module in {*_APPLICATIONS.values(), *_IP_MODULES.values(), *_LINK_MODULES.values()}:
        _import(module)


class _Layer(NamedTuple):
    """What scapy made of the bytes it was given: the rest behind the header is its body, and padding."""

    layer: Any
    header_bytes: int
    body_bytes: int
    complete: bool


def _first_class(link_type: int) -> Any:
    conf = scapy_configuration()
    for module in ("inet", "inet6"):
        importlib.import_module(f"scapy.layers.{module}")
    if link_type in (linktypes.LINKTYPE_PPP, linktypes.LINKTYPE_PPP_HDLC):
        importlib.import_module("scapy.layers.ppp")
    return conf.l2types.num2layer.get(link_type)


def _network_class(found: linktypes.Found) -> Any:
    module, name = _NETWORKS.get(0 if found is None else found[1], ("", ""))
    return getattr(importlib.import_module(f"scapy.layers.{module}"), name) if module else None


def _read_layer(kind: Any, data: bytes, below: Any) -> _Layer:
    from scapy.packet import NoPayload, Packet, Padding, Raw

    try:
        layer = kind(data, stop_dissection_after=Packet, _internal=1, _underlayer=below)
    except Exception:  # whatever a dissector makes of bytes that were not meant for it
        layer = _instance(kind, below)
        return _Layer(layer, len(data), 0, complete=False)
    body = bytes(layer.payload.load) if type(layer.payload) is Raw else b""
    padding = layer.getlayer(Padding)
    tail = len(body) + (0 if padding is None else len(padding.load))
    if type(layer.payload) not in (Raw, Padding, NoPayload) or tail > len(data):
        return _Layer(layer, len(data), 0, complete=True)
    return _Layer(layer, len(data) - tail, len(body), complete=True)


def _instance(kind: Any, below: Any) -> Any:
    """An empty layer of a class, for the fields of a header that breaks off."""
    layer = kind()
    layer.fields.clear()
    layer.underlayer = below
    return layer


def _next_class(layer: Any, body: bytes) -> Any:
    """scapy's class for what follows a header; None for a stream, and for what nobody knows."""
    from scapy.packet import Packet, Raw

    name = type(layer).__name__
    if name.startswith("TCP") or not body:
        return None
    if name.startswith("Loopback"):  # of the numbers for IPv6 scapy knows this system's alone
        return _network_class(linktypes.LINKS[linktypes.LINKTYPE_NULL](layer.original))
    module = None
    if name == "UDP":
        module = _APPLICATIONS.get(layer.dport) or _APPLICATIONS.get(layer.sport)
    elif name in ("IP", "IPv6"):
        module = _IP_MODULES.get(layer.proto if name == "IP" else layer.nh)
    elif isinstance(follows := layer.fields.get("type"), int):
        module = _LINK_MODULES.get(follows)
    if module is not None:
        _import(module)
    try:
        kind = layer.guess_payload_class(body)
    except Exception:  # a guess from fields that make no sense
        return None
    return kind if isinstance(kind, type) and issubclass(kind, Packet) and not issubclass(kind, Raw) else None


def _import(module: str) -> None:
    """Teach scapy a protocol; without it what follows is data."""
    with contextlib.suppress(ImportError):
        importlib.import_module(module)


def _fields(name: str, layer: Any, header: bytes, complete: bool) -> Iterator[Field]:
    """Every field of a header in the order of its bits; of one that breaks off as many as are whole."""
    rest: Any = header
    for field in layer.fields_desc:
        begins = _bit(header, rest)
        try:
            rest, value = field.getfield(layer, rest)
        except Exception:  # the header ends within this field
            return
        if field.isconditional and value is None:
            continue
        if not complete:
            if begins == 8 * len(header) or _bit(header, rest) == begins:
                return
            layer.fields[field.name] = value
        if bits := _bit(header, rest) - begins:
            yield from _named(name, layer, field, value, begins, bits, header)


def _bit(header: bytes, rest: Any) -> int:
    """How many bits have been read, when ``rest`` is left: scapy's bytes, or (bytes, bits read of the first)."""
    left, used = rest if isinstance(rest, tuple) else (rest, 0)
    return 8 * (len(header) - len(left)) + int(used)


def _named(name: str, layer: Any, field: Any, value: Any, bit: int, bits: int, header: bytes) -> Iterator[Field]:
    if (parts := SPLIT.get((name, field.name))) is not None:
        for part, width in parts:
            bits -= width
            number = int(value) >> bits & (1 << width) - 1
            yield Field(f"{name}.{FIELDS[name][part]}", number, str(number), bit, width)
            bit += width
    elif name == "tcp" and field.name == "options":
        yield from _option_fields(header)
    else:
        full = f"{name}.{FIELDS.get(name, {}).get(field.name, field.name)}"
        yield Field(full, _plain(value), _text(layer, field, value), bit, bits, FLAGS.get(full, ()))


def _plain(value: Any) -> int | str:
    """A value for JSON: numbers stay numbers, bytes become hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    try:
        return int(value) if not isinstance(value, str) else value
    except (TypeError, ValueError):
        return str(value)


def _text(layer: Any, field: Any, value: Any) -> str:
    if field.holds_packets:
        packets = value if isinstance(value, list) else [value]
        return ", ".join(packet.summary() if hasattr(packet, "summary") else repr(packet) for packet in packets)
    try:
        return str(field.i2repr(layer, value))
    except Exception:  # a value that scapy itself cannot describe
        return repr(value)


def _option_fields(header: bytes) -> Iterator[Field]:
    """Each TCP option with its kind and length bytes; where the list breaks off, what came before."""
    at = _TCP_FIXED_BYTES
    while at < len(header):
        kind = header[at]
        length = 1
        if kind not in (tcp_options.END_OF_LIST, tcp_options.NO_OPERATION):
            length = header[at + 1] if at + 1 < len(header) else 0
            if length < 2 or at + length > len(header):
                return
        body = header[at + 2 : at + length]
        _, read = tcp_options.READERS.get(kind, ("", None))
        value = read(body) if read is not None else None
        text = _option_text(value, body)
        name = TCP_OPTIONS.get(kind, f"option_{kind}")
        yield Field(f"tcp.{name}", value if type(value) is int else text, text, 8 * at, 8 * length)
        if kind == tcp_options.END_OF_LIST:
            return
        at += length


def _option_text(value: object, body: bytes) -> str:
    """Numbers, the pairs of a SACK as intervals, and else the bytes."""
    match value:
        case bool() | bytes() | None:
            return body.hex()
        case (int(), int()):
            return " ".join(map(str, value))
        case tuple():
            return ", ".join(f"{left}-{right}" for left, right in value)
    return str(value)


def _with_checksum(headers: list[Header], index: int, frame: bytes, wire_bytes: int, ready: bool) -> Header:
    """A header with what there is to say of its checksum, if it has one."""
    header = headers[index]
    if header.value("checksum") is None or header.quoted:
        return header
    if header.name == "ipv4":
        found = checksums.of_header(frame[header.start : header.end])
        if found is Checksum.WRONG and header.value("checksum") == 0:
            found = Checksum.NOT_FILLED_IN
        return header._replace(checksum=found)
    below = next((each for each in reversed(headers[:index]) if each.name in ("ipv4", "ipv6")), None)
    found = Checksum.UNKNOWN
    end = None if below is None else _datagram_end(below, wire_bytes)
    if below is not None and end is not None and end <= len(frame) and _is_next(headers[:index], below):
        found = _checksum(header.name, below, frame[header.start : end])
        if not ready and found is not Checksum.RIGHT:
            found = Checksum.NOT_FILLED_IN
    return header._replace(checksum=found)


def _is_next(headers: list[Header], below: Header) -> bool:
    """Whether nothing but extension headers lies between, none of which changes what the checksum is made of: the rest
    of a fragment, or a destination that is not the last one (RFC 8200 section 8.1)."""
    between = headers[headers.index(below) + 1 :]
    unchanged = (each.value("offset") is None and not each.value("segleft") for each in between)
    return all(each.name == "ipv6_extension" for each in between) and all(unchanged)


def _datagram_end(below: Header, wire_bytes: int) -> int | None:
    """Where an IP datagram ends in its frame; None for a fragment, whose checksum covers bytes of other frames."""
    if below.name == "ipv6":
        return below.end + int(below.value("payload_length")) if below.value("payload_length") else wire_bytes
    if below.value("flags") & 1 or below.value("fragment_offset"):
        return None
    return below.start + int(below.value("total_length")) if below.value("total_length") else wire_bytes


def _checksum(name: str, below: Header, data: bytes) -> Checksum:
    if name == "icmp":
        return checksums.of_header(data)
    family = socket.AF_INET if below.name == "ipv4" else socket.AF_INET6
    source, destination = (socket.inet_pton(family, below.value(end)) for end in ("source", "destination"))
    protocol = {"tcp": TCP, "udp": UDP, "icmpv6": ICMPV6}.get(name)
    return Checksum.UNKNOWN if protocol is None else checksums.of_transport(protocol, source, destination, data)
