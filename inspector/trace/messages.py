"""One direction of a conversation as its messages, beside the segments and the calls that carried them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from inspector.calls.call import RECEIVING, SENDING
from inspector.calls.matching import SidedCall
from inspector.framing.framer import Framer, FramingError, Message
from inspector.framing.infer import Inference, infer
from inspector.tcp.reassembly import Gap, Piece
from inspector.tcp.states import Side
from inspector.trace.trace import Trace

_LARGEST_GAP = 1 << 20  # hostile captures claim gigabytes


class Span(NamedTuple):
    """Bytes of the stream from, up to, and what carried them: a packet's number or a call."""

    start: int
    end: int
    packet: int | None = None
    call: SidedCall | None = None


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


def datagram_streams(trace: Trace, number: int, calls: Sequence[SidedCall]) -> tuple[MessageStream, MessageStream]:
    """Both directions of datagrams: each is a message, and a segment of its own."""
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    for side, part in trace.stream(number):
        if isinstance(part, Piece):
            pieces[side].append(part)
    client, server = (_of_datagrams(side, pieces[side], calls) for side in Side)
    return client, server


def _of_datagrams(side: Side, pieces: Sequence[Piece], calls: Sequence[SidedCall]) -> MessageStream:
    """Calls are only shown as far as they take whole datagrams: what is cut off or dropped leaves no offsets."""
    bounds = {0, *(piece.start + len(piece.data) for piece in pieces)}
    messages = [Message(piece.start, piece.start + len(piece.data), piece.start) for piece in pieces]
    segments = [Span(message.start, message.end, piece.packet) for message, piece in zip(messages, pieces, strict=True)]
    moved = (_spans(calls, of, names) for of, names in ((side, SENDING), (side.other, RECEIVING)))
    sends, receives = ([span for span in spans if {span.start, span.end} <= bounds] for spans in moved)
    return MessageStream(
        side, b"".join([piece.data for piece in pieces]), messages, segments, sends, receives, [], None
    )


def inferred(trace: Trace, number: int) -> Inference:
    """The framing of a conversation, from its bytes and from where its segments begin."""
    data, starts = (bytearray(), bytearray()), ([0], [0])
    over: set[Side] = set()
    for side, part in trace.stream(number):
        size = len(part.data) if isinstance(part, Piece) else part.end - part.start
        if size > _LARGEST_GAP and isinstance(part, Gap):
            over.add(side)
        if side not in over:
            starts[side].append(len(data[side]))
            data[side].extend(part.data if isinstance(part, Piece) else bytes(size))
    to_server, to_client = ((bytes(data[side]), starts[side]) for side in Side)
    return infer(to_server, to_client)


def message_streams(
    trace: Trace, number: int, opener: Callable[[], tuple[Framer, Framer]], calls: Sequence[SidedCall]
) -> tuple[MessageStream, MessageStream]:
    """Both directions of a conversation, cut in the order in which their bytes became complete."""
    directions = [_Direction(framer) for framer in opener()]
    for side, part in trace.stream(number):
        directions[side].add(part)
    client, server = (directions[side].stream(side, calls) for side in Side)
    return client, server


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
        if isinstance(part, Gap) and part.end - part.start > _LARGEST_GAP:
            self._stops = self._stops or part
        if self._stops is not None:
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
