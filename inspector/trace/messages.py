"""One direction of a conversation as its messages, beside the segments and the calls that carried them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import NamedTuple

from inspector.calls.call import RECEIVING, SENDING
from inspector.calls.matching import SidedCall
from inspector.framing.framer import Framer, FramingError, Message
from inspector.framing.inference import Inference, infer
from inspector.framing.registry import AUTO, opener
from inspector.tcp.reassembly import Gap, Piece
from inspector.tcp.seqnum import MODULUS, seq_diff
from inspector.tcp.states import Side
from inspector.trace.grouping import TCP
from inspector.trace.trace import Trace

_LARGEST_GAP = 1 << 20
_RAW = "raw"
_start = attrgetter("start")


class Span(NamedTuple):
    """Bytes of the stream from, up to, and what carried them: a packet's number or a call."""

    start: int
    end: int
    packet: int | None = None
    call: SidedCall | None = None


def touching(intervals: Sequence[Span] | Sequence[Message], start: int, end: int) -> range:
    """Which of some intervals, sorted by their starts, have bytes from ``start`` up to ``end``: their indices."""
    first = bisect_right(intervals, start, key=_start)
    while first and intervals[first - 1].end > start:
        first -= 1
    return range(first, bisect_left(intervals, end, key=_start))


def cuts_character(data: bytes, offset: int) -> bool:
    """Whether a character of UTF-8 lies across an offset, with text before it."""
    if offset >= len(data) or data[offset] & 0xC0 != 0x80:
        return False
    start = offset - 1
    while start > max(offset - 4, 0) and data[start] & 0xC0 == 0x80:
        start -= 1
    try:
        return len(data[start : start + 4].decode("utf-8", "ignore")[:1].encode()) > offset - start
    except UnicodeDecodeError:
        return False


class MessageStream(NamedTuple):
    """What one side sent: its messages, and the spans of segments, sends and the other side's receives.

    ``gaps`` were not captured; ``problem`` is where the bytes stop being of the framing. ``data`` is the whole stream,
    gaps filled with zeros.
    """

    sender: Side
    data: bytes
    messages: list[Message]
    segments: list[Span]
    sends: list[Span]
    receives: list[Span]
    gaps: list[Gap]
    problem: FramingError | None
    stops: Gap | None = None  # a gap so large that what is behind it is not looked at
    again: Sequence[Span] = ()  # of segments that brought nothing new
    is_framed: bool = True  # False: no framing is known, all of the stream stands as one message


def _datagram_streams(trace: Trace, number: int, calls: Sequence[SidedCall]) -> tuple[MessageStream, MessageStream]:
    """Both directions of datagrams: each is a message, and a segment of its own."""
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    for side, part in trace.stream(number):
        if isinstance(part, Piece):
            pieces[side].append(part)
    client, server = (_of_datagrams(side, pieces[side], calls) for side in Side)
    return client, server


def _of_datagrams(side: Side, pieces: Sequence[Piece], calls: Sequence[SidedCall]) -> MessageStream:
    """A call takes one datagram, or the beginning of one; which one is not always known."""
    bounds = {piece.start for piece in pieces}
    messages = [Message(piece.start, piece.start + len(piece.data), piece.start) for piece in pieces]
    segments = [Span(message.start, message.end, piece.packet) for message, piece in zip(messages, pieces, strict=True)]
    moved = (_spans(calls, of, names) for of, names in ((side, SENDING), (side.other, RECEIVING)))
    sends, receives = ([span for span in spans if span.start in bounds] for spans in moved)
    return MessageStream(
        side, b"".join([piece.data for piece in pieces]), messages, segments, sends, receives, [], None
    )


class Framed(NamedTuple):
    """Both directions of a conversation by one framing; ``inference`` tells how it was found, if it was."""

    framing: str  # "" for datagrams
    inference: Inference | None
    streams: tuple[MessageStream, MessageStream]


def framed(trace: Trace, number: int, framing: str = AUTO, calls: Sequence[SidedCall] = ()) -> Framed:
    """A conversation as messages; with "auto" the framing is found. Raises UnknownFraming.

    Both directions are cut in the order in which their bytes became complete.
    """
    if trace.instance(number).protocol != TCP:
        return Framed("", None, _datagram_streams(trace, number, calls))
    parts, inference = _bounded(trace.stream(number)), None
    if framing == AUTO:
        inference = _inferred(parts)
        framing = _RAW if inference.best is None else inference.best.framing
    directions = [_Direction(framer) for framer in opener(framing)()]
    for side, part in parts:
        directions[side].add(part)
    is_framed = framing != _RAW
    streams = [directions[side].stream(side, calls)._replace(is_framed=is_framed) for side in Side]
    client, server = (each._replace(again=_again(trace, number, each)) for each in streams)
    return Framed(framing, inference, (client, server))


def _again(trace: Trace, number: int, stream: MessageStream) -> list[Span]:
    """Segments with data that is all in the stream already, by other packets."""
    brought = {span.packet: span.start for span in stream.segments}
    payloads = [payload for payload in trace.payloads(number) if payload[1] is stream.sender]
    zero = next(((seq - brought[packet]) % MODULUS for packet, _, seq, _ in payloads if packet in brought), 0)
    starts = ((packet, seq_diff(seq, zero), size) for packet, _, seq, size in payloads if packet not in brought)
    return sorted(
        Span(start, start + size, packet) for packet, start, size in starts if 0 <= start <= len(stream.data) - size
    )


def inferred(trace: Trace, number: int) -> Inference:
    """The framing of a conversation, from its bytes and from where its segments begin."""
    return _inferred(_bounded(trace.stream(number)))


def _bounded(parts: Iterable[tuple[Side, Piece | Gap]]) -> list[tuple[Side, Piece | Gap]]:
    """Each side up to the first gap that is too large to be filled, which is its last part."""
    kept: list[tuple[Side, Piece | Gap]] = []
    over: set[Side] = set()
    for side, part in parts:
        if side not in over:
            kept.append((side, part))
            if is_too_large(part):
                over.add(side)
    return kept


def is_too_large(part: Piece | Gap) -> bool:
    """Whether a part is a gap that is not worth to be filled: hostile captures claim gigabytes."""
    return isinstance(part, Gap) and part.end - part.start > _LARGEST_GAP


def _inferred(parts: Sequence[tuple[Side, Piece | Gap]]) -> Inference:
    data, starts = (bytearray(), bytearray()), ([0], [0])
    for side, part in parts:
        if not is_too_large(part):
            starts[side].append(len(data[side]))
            data[side].extend(part.data if isinstance(part, Piece) else bytes(part.end - part.start))
    to_server, to_client = ((bytes(data[side]), starts[side]) for side in Side)
    return infer(to_server, to_client)


class _Direction:
    """One side's stream while it is put together."""

    def __init__(self, framer: Framer) -> None:
        self._framer = framer
        self._data = bytearray()
        self._messages: list[Message] = []
        self._segments: list[Span] = []
        self._gaps: list[Gap] = []
        self._stops: Gap | None = None

    def add(self, part: Piece | Gap) -> None:
        if isinstance(part, Gap) and is_too_large(part):
            self._stops = part
            return
        if isinstance(part, Piece):
            data = part.data
            self._segments.append(Span(part.start, part.start + len(data), packet=part.packet))
        else:
            data = bytes(part.end - part.start)
            self._gaps.append(part)
        self._data += data
        self._messages += self._framer.feed(data)

    def stream(self, side: Side, calls: Sequence[SidedCall]) -> MessageStream:
        messages = [*self._messages, *self._framer.finish()]
        sends, receives = _spans(calls, side, SENDING), _spans(calls, side.other, RECEIVING)
        parts = (messages, self._segments, sends, receives, self._gaps)
        return MessageStream(side, bytes(self._data), *parts, self._framer.problem, self._stops)


def _spans(calls: Sequence[SidedCall], side: Side, names: frozenset[str]) -> list[Span]:
    return [
        Span(*each.offsets, call=each)
        for each in calls
        if each.side is side and each.offsets is not None and each.call.name in names
    ]
