"""The bytes of a frame, each in the colour of its layer; a bar where a header begins, brackets around a field."""

from collections.abc import Iterator

from inspector.decode.dissect import Field, Header
from inspector.text import say
from inspector.trace.encapsulation import Encapsulation
from inspector.views.header_fields import meaning_of, value_text
from inspector.views.ladder_layout import wrapped
from inspector.views.line import Line, Span, line_of
from inspector.views.quantities import count
from inspector.views.safe_text import safe_text

_ROW_BYTES, _NARROW_ROW_BYTES = 16, 8
_WIDE_ROW = 72  # cells of a row of sixteen
_MARKED = "label.problem"


def fields_named(packet: Encapsulation, name: str) -> list[tuple[Header, Field]]:
    """Every field of that name in the frame; a tunnel has it in each of its headers."""
    return [(header, field) for header in packet.headers for field in header.fields if field.name == name]


def hex_lines(packet: Encapsulation, marked: list[tuple[Header, Field]], width: int) -> Iterator[Line]:
    """What is marked, the layers in order, and the dump."""
    yield Line()
    for header, field in marked:
        first, last = _bytes_of(header, field)
        places = {"first": field.bit, "last": field.bit + field.bits, "start": count(first), "end": count(last)}
        words = {"name": field.name, "value": value_text(field), "title": safe_text(header.title), **places}
        meaning = meaning_of(field)
        sentence = say("fields.marked_means", meaning=meaning, **words) if meaning else say("fields.marked", **words)
        for text in wrapped(sentence.split(" "), width, " "):
            yield line_of([Span(text)])
    owners = _owners(packet)
    legend = [f"│{name} {count(start)}–{count(end)}" for name, start, end, _ in owners]
    for text in wrapped(legend, width, "  "):
        yield line_of([Span(text, "legend")])
    styles = [style for _, start, end, style in owners for _ in range(start, end)]
    begins = {start for _, start, _, _ in owners}
    within = {at for header, field in marked for at in range(*_bytes_of(header, field))}
    row_bytes = _ROW_BYTES if width >= _WIDE_ROW else _NARROW_ROW_BYTES
    for at in range(0, len(packet.frame), row_bytes):
        yield line_of(_row(packet.frame, at, row_bytes, styles, begins, within))


def _owners(packet: Encapsulation) -> list[tuple[str, int, int, str]]:
    """Who the bytes belong to, in order: name, from, up to, style."""
    owners = [(safe_text(each.title), each.start, each.end, f"layer.{each.osi}") for each in packet.headers]
    rest = ((say("layers.payload"), packet.payload_start, packet.payload_end, "layer.payload"),)
    padding = (say("layers.padding"), packet.payload_end, len(packet.frame), "layer.missing")
    return [owner for owner in (*owners, *rest, padding) if owner[2] > owner[1]]


def _bytes_of(header: Header, field: Field) -> tuple[int, int]:
    """The bytes of the frame that a field has bits in."""
    return header.start + field.bit // 8, header.start + (field.bit + field.bits + 7) // 8


def _row(frame: bytes, at: int, row_bytes: int, styles: list[str], begins: set[int], within: set[int]) -> list[Span]:
    spans = [Span(f"{at:04x} ", "number")]
    end = min(at + row_bytes, len(frame))
    for place in range(at, end):
        sign = "[" if place in within and (place - 1 not in within or place == at) else " "
        if place - 1 in within and place not in within and place > at:
            sign = "]"
        elif sign == " " and place in begins:
            sign = "│"
        style = _MARKED if place in within else styles[place]
        spans += [Span(sign, "label.flags" if sign != "│" else styles[place]), Span(f"{frame[place]:02x}", style)]
    closing = "]" if end - 1 in within else " "
    spans.append(Span(closing + " " * (3 * (row_bytes - (end - at)) + 2), "label.flags"))
    for place in range(at, end):
        char = chr(frame[place]) if 0x20 <= frame[place] < 0x7F else "."
        spans.append(Span(char, _MARKED if place in within else styles[place]))
    return spans
