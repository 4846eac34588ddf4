"""A packet as nested boxes: each layer's header before what it carries, the seven layers of OSI from top to bottom."""

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import NamedTuple

from inspector.decode.dissect import Header
from inspector.decode.header_names import APPLICATION, LINK, PRESENTATION, SESSION, TRANSPORT
from inspector.tcp.states import Side
from inspector.text import say
from inspector.trace.encapsulation import Encapsulation
from inspector.views.encoding import encoding_of
from inspector.views.ladder_layout import clipped, wrapped
from inspector.views.line import Line, Span, line_of
from inspector.views.quantities import count, data_bytes
from inspector.views.safe_text import cells, is_text, padded, safe_hex, safe_line, safe_text

PHYSICAL = 1
_LABEL, _SHORT_LABEL, _SIZE, _UNIT = 16, 3, 16, 9
_LABELLED = 80  # from this width on layers are named, else numbered
_DETAIL, _DETAILED = 26, 120  # who to whom, in wide pictures
_WIDEST_BOX = 110
_SHORTEST, _PREVIEW = (3, 2, 1), 8
_UNITS = {"tcp": "segment", "udp": "datagram", "ipv4": "packet", "ipv6": "packet", "ethernet": "frame"}


class _Block(NamedTuple):
    """Bytes that stand side by side in the picture: a header, the payload, what was not captured, padding."""

    size: int
    title: str
    style: str
    osi: int
    data: bytes = b""
    header: Header | None = None


def heading(packet: Encapsulation, width: int) -> list[Line]:
    """Which packet it is, between whom, and how much of it is header."""
    parts = [say("layers.head", packet=packet.packet)]
    if packet.conversation is not None:
        client, server = packet.conversation.client, packet.conversation.server
        source, destination = (client, server) if packet.side is Side.CLIENT else (server, client)
        parts.append(say("messages.to_server" if packet.side is Side.CLIENT else "messages.to_client"))
        parts += [f"{packet.conversation.protocol} {packet.conversation.number}", f"{source} → {destination}"]
    captured = len(packet.frame)
    headers = sum(each.end - each.start for each in packet.headers if each.osi < APPLICATION and not each.quoted)
    payload = packet.payload_end - headers
    share = f"{100 * headers / captured:.0f}" if captured else "0"
    figures = [say("layers.on_the_wire", bytes=data_bytes(packet.wire_bytes), captured=data_bytes(captured))]
    if captured == packet.wire_bytes:
        figures = [data_bytes(captured)]
    figures.append(say("layers.overhead", headers=data_bytes(headers), share=share, payload=data_bytes(payload)))
    texts = (" · ".join(parts), " · ".join(figures))
    return [line_of([Span(line, "head")]) for text in texts for line in wrapped(text.split(" "), width, " ")]


def boxes(packet: Encapsulation, width: int, *, ascii_only: bool = False) -> list[Line]:
    """All layers from the top of the stack down; under the last one stand the offsets in the frame."""
    drawing = _Drawing(packet, width, ascii_only)
    return [*(line for row in drawing.rows() for line in row.lines), *drawing.physical()]


def stack(packet: Encapsulation, width: int, osi: int, outermost: int, *, ascii_only: bool = False) -> list[Line]:
    """The boxes as they are when so much has been wrapped: down to a layer, and to a header by its number."""
    drawing = _Drawing(packet, width, ascii_only)
    rows = [row for row in drawing.rows() if row.block >= outermost and row.osi >= osi]
    index = min((row.block for row in rows), default=drawing.stacked)
    floor = [drawing.floor(index)] if index < drawing.stacked else []
    return [*(line for row in rows for line in row.lines), *floor]


def _blocks(packet: Encapsulation) -> Iterator[_Block]:
    """From the first byte of the frame on; a datagram that an ICMP error quotes is the error's data."""
    headers = [header for header in packet.headers if not header.quoted]
    for header in headers:
        size = header.end - header.start
        title = safe_text(header.title) + ("" if header.complete else "?")
        style = f"layer.{header.osi}" if header.complete else "label.problem"
        yield _Block(size, title, style, header.osi, packet.frame[header.start : header.end], header)
    start = headers[-1].end if headers else 0
    data = packet.frame[start : packet.payload_end]
    if data:
        within = bool(headers) and headers[-1].osi == APPLICATION
        quoted = len(headers) < len(packet.headers)
        name = "quoted" if quoted else "encrypted" if _is_encrypted(packet) else "body" if within else "payload"
        osi = APPLICATION if not headers or headers[-1].osi >= TRANSPORT else headers[-1].osi
        yield _Block(len(data), say(f"layers.{name}"), "layer.payload", osi, data)


def _is_encrypted(packet: Encapsulation) -> bool:
    part = packet.part
    return part is not None and part.framing == "tls" and part.message.kind == "application_data"


class _Row(NamedTuple):
    """The lines of a layer, and the outermost block that has been drawn then."""

    osi: int
    block: int
    lines: list[Line]


class _Drawing:
    """Where the blocks stand, and the lines of each layer. ``stacked`` blocks have a row of their own."""

    def __init__(self, packet: Encapsulation, width: int, ascii_only: bool) -> None:
        self._packet = packet
        self._ascii = ascii_only
        self.blocks = list(_blocks(packet))
        self.stacked = len(self.blocks)
        missing, padding = packet.wire_bytes - len(packet.frame), len(packet.frame) - packet.payload_end
        for name, size in (("missing", missing), ("padding", padding)):
            if size > 0:
                osi = LINK if name == "padding" else APPLICATION
                self.blocks.append(_Block(size, say(f"layers.{name}"), "layer.missing", osi))
        self._width = width
        self._label = _LABEL if width >= _LABELLED else _SHORT_LABEL
        sizes = [self._sizes(index) for index in range(self.stacked)]
        self._size = max([_SIZE, *(cells(size) - 1 for size in sizes)])
        fitted = _fitted(self.blocks, width - self._label - self._size - 3, detailed=width >= _DETAILED)
        self._labels, self._widths, self._detail, self.to_scale = fitted
        self._columns = [sum(self._widths[:at]) for at in range(len(self._widths) + 1)]

    def rows(self) -> list[_Row]:
        """A row a header, and one for each layer that has none."""
        rows = []
        lowest = APPLICATION + 1  # the layer that has been drawn
        for index in reversed(range(self.stacked)):
            osi = self.blocks[index].osi
            rows += [self._absent_row(absent, index + 1) for absent in range(lowest - 1, osi, -1)]
            rows.append(_Row(osi, index, self.layer(index, repeated=osi == lowest)))
            lowest = min(lowest, osi)
        return rows + [self._absent_row(absent, 0) for absent in range(lowest - 1, PHYSICAL, -1)]

    def _absent_row(self, osi: int, index: int) -> _Row:
        return _Row(osi, index, [self.absent(osi, index)])

    def floor(self, index: int) -> Line:
        """The bottom of the boxes that are open from a block on."""
        bottom = "".join("┴" + "─" * (wide - 1) for wide in self._widths[index : self._last(self.blocks[index].osi)])
        spans = [Span(" " * self._columns[index]), Span(f"└{bottom[1:]}┘", f"layer.{self.blocks[index].osi}")]
        return self._line("", spans, "", "")

    def layer(self, index: int, *, repeated: bool) -> list[Line]:
        """The row of a block: its box opens, and goes around all that stand behind it."""
        block = self.blocks[index]
        last = self._last(block.osi)
        begins, label = self._columns[index], f"┌ {self._labels[index]} "
        line = "─" * (self._widths[index] - cells(label))
        spans = [Span(" " * begins), Span(label + line, block.style)]
        spans += [Span("┼" + "─" * (wide - 1), block.style) for wide in self._widths[index + 1 : last]]
        spans.append(Span("┤" if index + 1 < last or index + 1 < self.stacked else "┐", block.style))
        lines = [self._line("" if repeated else _name(block.osi), spans, self._sizes(index), self._ends(block))]
        if block.osi == APPLICATION:
            lines.append(self._line("", self._walls(index, {index: self._preview(index)}, last), "", ""))
        return lines

    def _sizes(self, index: int) -> str:
        """How large a block is with all that it goes around, and what that is called."""
        block = self.blocks[index]
        size = data_bytes(sum(each.size for each in self.blocks[index : self._last(block.osi)]))
        unit = _UNITS.get(block.header.name if block.header else "")
        return size if unit is None else f"{size} {say(f'layers.unit_{unit}')}"

    def absent(self, osi: int, index: int) -> Line:
        """The row of a layer without a header; ``index`` is the block above it."""
        detail, contents = say("layers.absent"), {}
        application = bool(self.stacked) and self.blocks[self.stacked - 1].osi == APPLICATION
        if osi == PRESENTATION and application:
            shown = [at for at in range(index, self.stacked) if self.blocks[at].osi == APPLICATION]
            encoding = encoding_of(b"".join(self.blocks[at].data for at in shown))
            detail = say(f"layers.encoding_{encoding}")
            contents = {
                at: safe_hex(self.blocks[at].data, self._widths[at] - 3, ascii_only=self._ascii) for at in shown
            }
        elif osi == SESSION:
            transport = any(header.name == "tcp" and not header.quoted for header in self._packet.headers)
            detail = say("layers.session_tcp" if transport else "layers.session_none")
        elif osi in (PRESENTATION, APPLICATION) and any(block.osi == TRANSPORT for block in self.blocks):
            detail = say("layers.no_data")
        elif osi == LINK:
            detail = say("layers.absent_link")
        walls = self._walls(index, contents, self._last(osi)) if index < len(self.blocks) else []
        return self._line(_name(osi), walls, detail, "")

    def physical(self) -> list[Line]:
        """The bottom of the boxes, and the offsets under their walls."""
        columns, size = self._columns, self._packet.wire_bytes
        bottom = "".join("┴" + "─" * (wide - 1) for wide in self._widths)
        spans = [Span(f"└{bottom[1:]}┘" if bottom else "", f"layer.{PHYSICAL}")]
        ruler, offset = "", 0
        for column, block in zip(columns, [*self.blocks, None], strict=True):
            ruler = f"{ruler.ljust(column)}{count(offset)} "
            offset += block.size if block is not None else 0
        scale = say("layers.not_to_scale")
        if self.to_scale:
            scale = say("layers.to_scale", bytes=f"{size / max(columns[-1], 1):.1f} B")
        ruler = f"{ruler:<{columns[-1] + 2}} "
        legend = Span(scale if self._label + cells(ruler) + cells(scale) <= self._width else "", "legend")
        bits = say("layers.unit_bits", bits=count(8 * size))
        return [
            self._line(_name(PHYSICAL), spans, bits, ""),
            line_of([Span(" " * self._label), Span(ruler, "time"), legend]),
        ]

    def _last(self, osi: int) -> int:
        """Behind the blocks that a layer's box goes around: padding is the link's alone."""
        return sum(block.osi > LINK or index < self.stacked or osi <= LINK for index, block in enumerate(self.blocks))

    def _walls(self, index: int, contents: dict[int, str], last: int) -> list[Span]:
        spans = [Span(" " * self._columns[index])]
        for at in range(index, last):
            inner = self._widths[at] - 1
            text = contents.get(at, "")
            spans += [Span("│", "lifeline"), Span(" "), Span(text, self.blocks[at].style)]
            spans.append(Span(" " * (inner - 1 - cells(text))))
        return [*spans, Span("│" if index < last else "", "lifeline")]

    def _preview(self, index: int) -> str:
        block, room = self.blocks[index], self._widths[index] - 3
        quote = safe_hex if _is_encrypted(self._packet) or not is_text(block.data) else safe_line
        return quote(block.data, room, ascii_only=self._ascii)

    def _ends(self, block: _Block) -> str:
        """Who to whom, as far as a header says."""
        if block.header is None or not block.header.complete:
            return ""
        for names in (("source_port", "destination_port"), ("source", "destination")):
            ends = [block.header.value(name) for name in names]
            if None not in ends:
                return safe_text(" → ".join(map(str, ends)))
        return ""

    def _line(self, name: str, spans: Sequence[Span], size: str, detail: str) -> Line:
        box = sum(cells(span.text) for span in spans)
        filling = Span(" " * (self._columns[-1] + 2 - box))
        name = name if self._label == _LABEL else name[: self._label - 1]
        sizes = Span(f"{padded(size, self._size)} ", "label.bytes")
        columns = [Span(padded(name, self._label), "title"), *spans, filling, sizes]
        return line_of([*columns, Span(clipped(detail, self._detail) if self._detail else "", "label.option")])


def _name(osi: int) -> str:
    return say(f"layers.osi_{osi}")


class _Fitted(NamedTuple):
    """The labels of all blocks, their cells, the cells for who sends to whom, and whether bytes and cells agree."""

    labels: list[str]
    widths: list[int]
    detail: int
    to_scale: bool


def _fitted(blocks: Sequence[_Block], room: int, *, detailed: bool) -> _Fitted:
    """What fits into so many cells: to scale if labels can be so short, else as near to it as they allow."""
    sizes = [block.size for block in blocks]
    short = [block.title for block in blocks]
    full = [f"{block.title} {data_bytes(block.size)}" for block in blocks]
    details = [_DETAIL, 0] if detailed else [0]
    for labels in (full, short):
        for detail in details:
            widths = _scaled(sizes, min(room - detail, _WIDEST_BOX))
            if all(wide >= need for wide, need in zip(widths, _least(blocks, labels), strict=True)):
                return _Fitted(labels, widths, detail, True)
    for labels, detail in product((full, short), details):
        least = _least(blocks, labels)
        if sum(least) <= room - detail:
            break
    else:
        detail = 0
        for shortest in _SHORTEST:
            labels = [clipped(label, shortest) if shortest > 1 else label[:1] for label in short]
            least = _least(blocks, labels, preview=shortest)
            if sum(least) <= room:
                break
    box = max(min(room - detail, _WIDEST_BOX), sum(least))
    wishes = [max(wide - need, 0) for wide, need in zip(_scaled(sizes, box), least, strict=True)]
    free = box - sum(least)
    widths = [need + free * wish // (sum(wishes) or 1) for need, wish in zip(least, wishes, strict=True)]
    return _Fitted(labels, widths, detail, False)


def _least(blocks: Sequence[_Block], labels: Sequence[str], *, preview: int = _PREVIEW) -> list[int]:
    """Cells for a label, and for a few characters of what no header is."""
    return [
        max(cells(label), min(block.size, preview) if block.data and block.header is None else 0) + 3
        for block, label in zip(blocks, labels, strict=True)
    ]


def _scaled(sizes: Sequence[int], box: int) -> list[int]:
    """Cells in proportion to bytes."""
    total = sum(sizes) or 1
    bounds = [round(box * sum(sizes[:at]) / total) for at in range(len(sizes) + 1)]
    return [end - start for start, end in pairwise(bounds)]
