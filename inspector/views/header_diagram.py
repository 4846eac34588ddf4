"""Headers as RFCs draw them: 32 bits a row, the names of the fields and the values of this packet."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

from inspector.decode.dissect import Field, Header
from inspector.trace.encapsulation import Encapsulation
from inspector.views.header_fields import label_of, titled, value_text
from inspector.views.ladder_layout import clipped, rule
from inspector.views.line import Line, Span, line_of
from inspector.views.safe_text import cells

_ROW_BITS, _NARROW_ROW_BITS = 32, 16


def diagram_lines(packet: Encapsulation, width: int) -> Iterator[Line]:
    """A drawing for each header that has fields."""
    for title, header in titled(packet):
        if not _is_drawn(header):
            continue
        yield Line()
        yield line_of(rule(title, "", width))
        yield from _diagram(header, _ROW_BITS if width > 2 * _ROW_BITS else _NARROW_ROW_BITS)


class _Cell(NamedTuple):
    """A part of a field within a row: its first bit there, its bits, what stands in its two lines."""

    field: int  # its number in the header
    bit: int
    bits: int
    label: str
    value: str


def _diagram(header: Header, row_bits: int) -> Iterator[Line]:
    """RFC 9293 section 3.1 draws so: two columns a bit; names above, values under them."""
    style = f"layer.{header.osi}"
    tens = [str(at // 10) if at % 10 == 0 else " " for at in range(row_bits)]
    for digits in (tens, [str(at % 10) for at in range(row_bits)]):
        yield line_of([Span("".join(f" {digit}" for digit in digits), "time")])
    above: list[_Cell] = []
    for row in _rows(header, row_bits):
        yield line_of([Span(_border(above, row), style)])
        for texts in ([cell.label for cell in row], [cell.value for cell in row]):
            spans = [Span("│", style)]
            for cell, text in zip(row, texts, strict=True):
                room = 2 * cell.bits - 1
                shown = clipped(text, room) if room > 1 else text[:1]
                left = (room - cells(shown)) // 2
                spans += [Span(" " * left + shown + " " * (room - left - cells(shown))), Span("│", style)]
            yield line_of(spans)
        above = row
    yield line_of([Span(_border(above, []), style)])


def _border(above: list[_Cell], below: list[_Cell]) -> str:
    """The line between two rows: corners where walls meet, open where a field goes on below."""
    walls = [{2 * cell.bit for cell in row} | {2 * (cell.bit + cell.bits) for cell in row} for row in (above, below)]
    owners = [
        {bit: cell.field for cell in row for bit in range(cell.bit, cell.bit + cell.bits)} for row in (above, below)
    ]
    end = max(walls[0] | walls[1])
    line = [owners[0].get(column // 2) != owners[1].get(column // 2) for column in range(end)]
    return "".join(
        _CORNERS[column in walls[0], column in walls[1], column > 0 and line[column - 1], column < end and line[column]]
        for column in range(end + 1)
    )


_SIDES = "udlr"
_CORNERS = {  # up, down, left, right
    tuple(side in sides for side in _SIDES): mark
    for mark, sides in zip(
        " ─│┌┐└┘├┤┬┴┼", ("", "lr", "ud", "rd", "ld", "ur", "ul", "udr", "udl", "lrd", "lru", "udlr"), strict=True
    )
}


def _rows(header: Header, row_bits: int) -> list[list[_Cell]]:
    """The fields cut into rows; the words of one that has several stand in its largest part."""
    rows: list[list[_Cell]] = []
    for number, field in enumerate(_single_bits(header)):
        end = field.bit + field.bits
        cuts = [field.bit, *range((field.bit // row_bits + 1) * row_bits, end, row_bits), end]
        parts = list(pairwise(cuts))
        named = max(parts, key=lambda part: part[1] - part[0])
        for part in parts:
            row, bit = divmod(part[0], row_bits)
            if row == len(rows):
                rows.append([])
            words = (label_of(field), value_text(field)) if part == named else ("", "")
            rows[row].append(_Cell(number, bit, part[1] - part[0], *words))
    return rows


def _is_drawn(header: Header) -> bool:
    """Whether the fields stand side by side: those of a text, with blanks between them, are no diagram."""
    ends = [0, *(field.bit + field.bits for field in header.fields)]
    return bool(header.fields) and all(field.bit == end for field, end in zip(header.fields, ends, strict=False))


def _single_bits(header: Header) -> Iterator[Field]:
    """The fields, those of flags as single bits named by their first letter."""
    for field in header.fields:
        if not field.flags:
            yield field
            continue
        for at, name in enumerate(field.flags):
            bit = int(field.value) >> len(field.flags) - 1 - at & 1
            yield Field(f"{header.name}.{name}", bit, str(bit), field.bit + at, 1)
