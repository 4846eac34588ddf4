"""Every field of a packet's headers as a table: its bits, its value, what it is for."""

from collections.abc import Iterator

from inspector.decode.dissect import Field, Header
from inspector.decode.header_names import FIELDS, TCP_OPTIONS
from inspector.tcp.segment import Flag
from inspector.text import say
from inspector.trace.encapsulation import Encapsulation
from inspector.views.ladder_layout import clipped, rule, wrapped
from inspector.views.line import Line, Span, line_of
from inspector.views.quantities import count, data_bytes
from inspector.views.safe_text import cells, padded, safe_text

KNOWN = frozenset(
    [f"{layer}.{name}" for layer, names in FIELDS.items() for name in names.values()]
    + [f"tcp.{name}" for name in TCP_OPTIONS.values()]
)
_NUMBERS = 14  # cells of bit and width
_MEANING_BESIDE = 100  # from this width on the meaning stands beside the value, else under it
_MOST_VALUE = 40
_ROOMY = 80  # narrower, columns stand closer
_LEAST_NAME = 26  # of fields: all of ours fit


def set_flags(field: Field) -> str:
    """The names of the bits that are set, the first bit first; "-" when none is."""
    value, bits = int(field.value), len(field.flags)
    return ",".join(name for at, name in enumerate(field.flags) if value >> bits - 1 - at & 1) or "-"


def value_text(field: Field) -> str:
    """A value as people read it, safe to show: the number and, where it stands for something, its name."""
    if field.flags:
        return f"0x{field.value:0{(field.bits + 3) // 4}x} {set_flags(field)}"
    if field.name.endswith(".checksum") and isinstance(field.value, int):
        return f"0x{field.value:04x}"
    text = safe_text(field.text.upper() if field.name == "ipv4.protocol" else field.text)
    if not isinstance(field.value, int) or field.name.endswith("_port"):
        return text if isinstance(field.value, str) else str(field.value)
    if text.startswith("0x") or text == str(field.value):
        return text
    number = f"0x{field.value:04x}" if field.name.endswith((".type", "_type")) and field.bits == 16 else field.value
    return f"{number} {text}"


def field_lines(packet: Encapsulation, width: int) -> Iterator[Line]:
    """A table for each header."""
    for title, header in titled(packet):
        yield Line()
        yield line_of(rule(title, "", width))
        yield from _table(packet, header, width)


def titled(packet: Encapsulation) -> Iterator[tuple[str, Header]]:
    """The headers of the frame and, at the end, one that was put together from several packets."""
    for header in packet.headers:
        place = say("fields.place", start=count(header.start), end=count(header.end))
        yield _title(header, place), header
    part = packet.part
    if part is not None and part.header is not None and part.header.name != packet.headers[-1].name:
        message = part.message
        ends = {"start": count(message.start), "end": count(message.header_end)}
        place = say("fields.place_in_message", packets=packets_text(part.packets), **ends)
        yield _title(part.header, place), part.header


def packets_text(packets: tuple[int, ...]) -> str:
    """Which packets, in words."""
    if len(packets) == 1:
        return say("layers.one_packet", packet=packets[0])
    return say("layers.several_packets", packets=", ".join(map(str, packets)))


def _title(header: Header, place: str) -> str:
    title = safe_text(header.title)
    name = say("fields.quoted", title=title) if header.quoted else title
    return f"{name} · {data_bytes(header.end - header.start)} · {place}"


def label_of(field: Field) -> str:
    """What a field is called: our word, or what stands behind the layer's name."""
    if field.name in KNOWN:
        key = field.name.replace(".", "_")
        return say(f"fields.{key}")
    return safe_text(field.name.partition(".")[2].replace("_", " "))


def meaning_of(field: Field) -> str:
    """What a field is for; "" for one that has no words here."""
    if field.name not in KNOWN:
        return ""
    key = field.name.replace(".", "_")
    return say(f"fields.{key}_is")


def _table(packet: Encapsulation, header: Header, width: int) -> Iterator[Line]:
    if not header.fields:
        yield line_of([Span(f"  {say('fields.none')}", "legend")])
        return
    gutter = 2 if width >= _ROOMY else 1
    names = [clipped(field.name, max(width // 2 - 10, _LEAST_NAME)) for field in header.fields]
    name_cells = max(map(cells, [*names, say("fields.field")])) + gutter
    most_value = min(width - _NUMBERS - name_cells, _MOST_VALUE)
    values = [clipped(_full_value(packet, header, field), most_value) for field in header.fields]
    value_cells = max(map(cells, [*values, say("fields.value")])) + gutter
    beside = width >= _MEANING_BESIDE and width - _NUMBERS - name_cells - value_cells >= 20
    titles = [(" " * (5 - cells(text))) + text + "  " for text in (say("fields.bit"), say("fields.width"))]
    titles += [padded(say("fields.field"), name_cells), padded(say("fields.value"), value_cells)]
    yield line_of([Span("".join([*titles, say("fields.meaning") if beside else ""]), "title")])
    indent = _NUMBERS + name_cells + value_cells if beside else _NUMBERS
    for field, name, value in zip(header.fields, names, values, strict=True):
        room = width - indent
        meaning = [] if not meaning_of(field) else wrapped(meaning_of(field).split(" "), room, " ")
        numbers = Span(f"{field.bit:>5}  {field.bits:>5}  ", "number")
        first = [numbers, Span(padded(name, name_cells), f"layer.{header.osi}"), Span(padded(value, value_cells))]
        if beside and meaning:
            first.append(Span(meaning.pop(0), "note"))
        yield line_of(first)
        for text in meaning:
            yield line_of([Span(" " * indent), Span(text, "note")])


def _full_value(packet: Encapsulation, header: Header, field: Field) -> str:
    """The value; of a checksum also whether it is right, of TCP's numbers what they come to."""
    text, report = value_text(field), packet.report
    if header.checksum is not None and field.name == f"{header.name}.checksum":
        return f"{text} {say(f'fields.checksum_{header.checksum}')}"
    if report is None or header.quoted:
        return text
    comes_to = {
        "tcp.sequence_number": count(report.relative_seq),
        "tcp.acknowledgment_number": count(report.relative_ack) if report.segment.flags & Flag.ACK else "",
        "tcp.window": "" if report.scaled_window is None else data_bytes(report.scaled_window),
    }.get(field.name)
    return f"{text} = {comes_to}" if comes_to else text
