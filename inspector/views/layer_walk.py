"""What each layer does to a packet, in sentences: down the stack while it is sent, up while it is received; and what is
to be noted of it."""

from collections.abc import Iterator
from typing import NamedTuple

from inspector.decode.checksums import Checksum
from inspector.decode.dissect import Header
from inspector.decode.header_names import APPLICATION, PRESENTATION, SESSION, TRANSPORT
from inspector.tcp.states import TcpState
from inspector.text import say
from inspector.trace.encapsulation import Encapsulation
from inspector.views.encoding import Encoding, characters, encoding_of
from inspector.views.header_fields import packets_text, set_flags, value_text
from inspector.views.labels import is_repeated
from inspector.views.ladder_layout import rule, wrapped
from inspector.views.layers import boxes, heading
from inspector.views.line import Line, Span, line_of
from inspector.views.quantities import count, data_bytes
from inspector.views.safe_text import is_text, safe_hex, safe_line, safe_text

_OWN_WORDS = frozenset(("tcp", "udp", "ipv4", "ipv6", "ethernet", "arp"))
_NEXT = {"ethernet": "type", "ipv4": "protocol", "ipv6": "next_header"}
_ZERO_MAC = "00:00:00:00:00:00"
_LOOPBACK = ("127.", "::1")
_PHYSICAL = 1
_HEADER_CELLS = 60
_LEAST_FRAME_BYTES = 60  # of Ethernet, its FCS not counted


class Step(NamedTuple):
    """What one OSI layer does."""

    osi: int
    sentence: str
    header: int | None = None  # which, of those that lie in one another


def picture(packet: Encapsulation, link_type: int, width: int, *, ascii_only: bool = False) -> list[Line]:
    """The boxes, and what is to be said about them."""
    return [
        *heading(packet, width),
        Line(),
        *boxes(packet, width, ascii_only=ascii_only),
        Line(),
        line_of(rule(say("layers.down_title"), "", width)),
        *paragraph_lines(sending(packet), width),
        line_of(rule(say("layers.up_title"), "", width)),
        *paragraph_lines(receiving(packet), width),
        *remarks(packet, link_type, width),
    ]


def remarks(packet: Encapsulation, link_type: int, width: int) -> list[Line]:
    """Characters against bytes, and the notes."""
    shown = list(character_lines(packet, width))
    noted = list(note_lines(notes(packet, link_type), width))
    if shown:
        shown.insert(0, line_of(rule(say("layers.characters"), "", width)))
    return [*shown, *([Line()] if noted else []), *noted]


def sending(packet: Encapsulation) -> list[Step]:
    """From the program's bytes to the bits."""
    steps = [Step(APPLICATION, _handed_over(packet)), Step(PRESENTATION, _represented(packet))]
    steps.append(Step(SESSION, _session(packet)))
    of_headers = [Step(each.osi, _of_header("down", packet, each), at) for at, each in enumerate(_lower(packet))]
    steps += reversed(of_headers)
    key = "layers.down_1_loopback" if _on_loopback(packet) else "layers.down_1"
    return [*steps, Step(_PHYSICAL, say(key, bits=count(8 * packet.wire_bytes)))]


def receiving(packet: Encapsulation) -> list[Step]:
    """From the bits to the program's bytes."""
    key = "layers.up_1_loopback" if _on_loopback(packet) else "layers.up_1"
    steps = [Step(_PHYSICAL, say(key, bits=count(8 * packet.wire_bytes)))]
    steps += [Step(each.osi, _of_header("up", packet, each), at) for at, each in enumerate(_lower(packet))]
    data = _application_data(packet)
    stream = _transport(packet) == "tcp"
    steps.append(Step(SESSION, say("layers.up_5_tcp" if stream else "layers.up_5_none")))
    if (tls := _tls(packet)) is not None:
        steps.append(Step(PRESENTATION, say("layers.up_6_tls", bytes=data_bytes(tls.end - tls.start))))
    else:
        kind = "none" if not data else "binary" if encoding_of(data) is Encoding.BINARY else "text"
        steps.append(Step(PRESENTATION, say(f"layers.up_6_{kind}")))
    gets = "none" if not data else "tcp" if stream else "datagram"
    return [*steps, Step(APPLICATION, say(f"layers.up_7_{gets}", bytes=data_bytes(len(data))))]


def notes(packet: Encapsulation, link_type: int) -> Iterator[str]:
    """What a reader should know before trusting the picture."""
    missing = packet.wire_bytes - len(packet.frame)
    if not packet.headers:
        yield say("layers.note_link", number=link_type)
    if missing > 0:
        sizes = {"captured": data_bytes(len(packet.frame)), "bytes": data_bytes(packet.wire_bytes)}
        yield say("layers.note_snapped", missing=data_bytes(missing), **sizes)
    for header in packet.headers:
        if not header.complete:
            size = data_bytes(header.end - header.start)
            yield say("layers.note_stops", title=safe_text(header.title), read=len(header.fields), bytes=size)
    if any(_is_fragment(header) for header in packet.headers):
        yield say("layers.note_fragment")
    yield from _checksums(packet)
    if any(header.name == "ethernet" and header.value("source") == _ZERO_MAC for header in packet.headers):
        yield say("layers.note_zero_mac")
    if packet.headers and packet.headers[0].name == "ethernet" and packet.wire_bytes < _LEAST_FRAME_BYTES:
        yield say("layers.note_short", bytes=data_bytes(_LEAST_FRAME_BYTES - packet.wire_bytes))
    yield from _of_the_message(packet)


def _checksums(packet: Encapsulation) -> Iterator[str]:
    for header in packet.headers:
        if header.checksum is not None:
            value = f"0x{header.value('checksum'):04x}" if header.checksum is not Checksum.NOT_SENT else ""
            yield say(f"layers.note_checksum_{header.checksum}", title=header.title, value=value)


def _of_the_message(packet: Encapsulation) -> Iterator[str]:
    part, report = packet.part, packet.report
    if report is not None and packet.payload and is_repeated(report):
        yield say("layers.note_again")
    if part is None:
        return
    if part.header is not None and packet.headers[-1].name != part.header.name:
        quote = safe_line if is_text(part.first_bytes) else safe_hex
        text = quote(part.first_bytes, _HEADER_CELLS)
        yield say("layers.note_header_elsewhere", packets=packets_text(part.packets), text=text)
    if part.messages > 1:
        yield say("layers.note_several", count=part.messages)


def paragraph_lines(steps: list[Step], width: int) -> Iterator[Line]:
    """Steps as lines, the layer's number before each."""
    for step in steps:
        for at, text in enumerate(wrapped(step.sentence.split(" "), width - 5, " ")):
            yield line_of([Span(f"L{step.osi}   " if at == 0 else "     ", f"layer.{step.osi}"), Span(text)])


def note_lines(texts: Iterator[str], width: int) -> Iterator[Line]:
    """Notes as lines, a dot before each."""
    for note in texts:
        for at, text in enumerate(wrapped(note.split(" "), width - 2, " ")):
            yield line_of([Span("· " if at == 0 else "  ", "note"), Span(text)])


def character_lines(packet: Encapsulation, width: int) -> Iterator[Line]:
    """Characters of several bytes against their bytes."""
    data = _application_data(packet)
    plain = _tls(packet) is not None or encoding_of(data) in (Encoding.BINARY, Encoding.ASCII)
    shown = [] if plain else [f"{char} = {octets}" for char, octets in characters(data)]
    for line in wrapped(shown, width - 2, " · "):
        if line:
            yield line_of([Span(f"  {line}")])


def _lower(packet: Encapsulation) -> list[Header]:
    """The headers below the application, the outermost first; quoted ones are data."""
    headers = [header for header in packet.headers if not header.quoted]
    while headers and headers[-1].osi >= PRESENTATION:
        headers.pop()
    return headers


def _application_data(packet: Encapsulation) -> bytes:
    """What the program handed over: headers of its own protocol and the payload."""
    lower = _lower(packet)
    if not lower or lower[-1].osi < TRANSPORT:
        return b""
    return packet.frame[lower[-1].end : packet.payload_end]


def _transport(packet: Encapsulation) -> str:
    lower = _lower(packet)
    return lower[-1].name if lower and lower[-1].osi == TRANSPORT else ""


def _tls(packet: Encapsulation) -> Header | None:
    return next((header for header in packet.headers if header.name == "tls"), None)


def _handed_over(packet: Encapsulation) -> str:
    data, part = _application_data(packet), packet.part
    if not data:
        lower = _lower(packet)
        return say("layers.down_7_none", title=safe_text(lower[-1].title)) if lower else say("layers.down_7_unread")
    if packet.report is None and part is None:
        return say("layers.down_7", bytes=data_bytes(len(data)))
    offset = part.offset if part is not None else max(packet.report.relative_seq - 1, 0) if packet.report else 0
    stream = {"start": count(offset), "end": count(offset + len(data))}
    if part is None:
        return say("layers.down_7_stream", **stream)
    return say("layers.down_7_message", number=part.number, framing=part.framing, **stream)


def _represented(packet: Encapsulation) -> str:
    data = _application_data(packet)
    if (tls := _tls(packet)) is not None:
        return say("layers.down_6_tls", bytes=data_bytes(tls.end - tls.start))
    if not data:
        return say("layers.down_6_none")
    encoding = encoding_of(data)
    length = len(data.decode("utf-8", "ignore"))
    return say(f"layers.down_6_{encoding}", bytes=data_bytes(len(data)), characters=count(length))


def _session(packet: Encapsulation) -> str:
    if _transport(packet) != "tcp":
        return say("layers.down_5_none")
    if packet.states is None or TcpState.UNKNOWN in packet.states:
        return say("layers.down_5_tcp_unread")
    client, server = packet.states
    return say("layers.down_5_tcp", client=client, server=server)


def _of_header(way: str, packet: Encapsulation, header: Header) -> str:
    """What a header is for, with the values of this packet."""
    size = data_bytes(header.end - header.start)
    if header.name not in _OWN_WORDS or not header.complete:
        return say(f"layers.{way}_other", title=safe_text(header.title), bytes=size)
    ports = header.osi == TRANSPORT
    ends = [header.value(f"{end}_port" if ports else end) for end in ("source", "destination")]
    following = next(
        (field for field in header.fields if field.name == f"{header.name}.{_NEXT.get(header.name)}"), None
    )
    name = header.name
    if way == "up" and name == "tcp" and not _application_data(packet):
        name = "tcp_control"
    flags = next((field for field in header.fields if field.flags), None)
    return say(
        f"layers.{way}_{name}",
        bytes=size,
        source=ends[0],
        destination=ends[1],
        next=value_text(following) if following is not None else "",
        hops=header.value("time_to_live") or header.value("hop_limit"),
        flags=set_flags(flags) if flags is not None else "",
    )


def _on_loopback(packet: Encapsulation) -> bool:
    """Whether the frame never left the machine: nobody else has these addresses (RFC 1122 section 3.2.1.3)."""
    network = next((header for header in packet.headers if header.name in ("ipv4", "ipv6")), None)
    return network is not None and str(network.value("destination")).startswith(_LOOPBACK)


def _is_fragment(header: Header) -> bool:
    flags, offset = header.value("flags"), header.value("fragment_offset")
    return header.name == "ipv4" and not header.quoted and bool((flags or 0) & 1 or offset)
