"""One direction of a conversation as its messages, beside the segments and the calls that carried them."""

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from operator import attrgetter
from typing import NamedTuple

from inspector.calls.call import RECEIVING, SENDING
from inspector.calls.matching import SidedCall
from inspector.framing.framer import Framer, FramingError, Message
from inspector.framing.inference import MOST_BYTES, Direction, Inference, infer
from inspector.framing.registry import AUTO, opener
from inspector.tcp.reassembly import Gap, Piece
from inspector.tcp.seqnum import MODULUS, seq_diff
from inspector.tcp.states import Side
from inspector.trace.following import Followed, Follower
from inspector.trace.grouping import TCP
from inspector.trace.trace import Trace

_LARGEST_GAP = 1 << 20
_KEPT_BYTES, _KEPT_MESSAGES = 1 << 24, 50_000  # of a long stream that is drawn
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


class Beyond(NamedTuple):
    """What of a stream is not kept: how many bytes, complete messages and segments, and the message cut off last."""

    bytes: int = 0
    messages: int = 0
    segments: int = 0
    cut_off: Message | None = None


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

    ``gaps`` were not captured; ``problem`` is where the bytes stop being of the framing. ``data`` is the stream, gaps
    filled with zeros. Of a long one that is only to be drawn the beginning is kept; what is ``beyond`` is counted.
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
    is_datagrams: bool = False
    beyond: Beyond = Beyond()

    @property
    def size(self) -> int:
        """All bytes of the stream."""
        return len(self.data) + self.beyond.bytes

    @property
    def cut_off(self) -> tuple[int, Message] | None:
        """The number of the message that the end of the stream cuts off, and the message."""
        if self.beyond.cut_off is not None:
            return len(self.messages) + self.beyond.messages + 1, self.beyond.cut_off
        last = self.messages[-1] if self.messages else None
        return None if last is None or last.complete else (len(self.messages), last)


class Framed(NamedTuple):
    """Both directions of a conversation by one framing; ``inference`` tells how it was found, if it was."""

    framing: str  # "" for datagrams
    inference: Inference | None
    streams: tuple[MessageStream, MessageStream]


def framed(
    trace: Trace, number: int, framing: str = AUTO, calls: Sequence[SidedCall] = (), *, bounded: bool = False
) -> Framed:
    """A conversation as messages; with "auto" the framing is found. Raises UnknownFraming.

    Both directions are cut in the order in which their bytes became complete. ``bounded``: of a long stream only the
    beginning is kept.
    """
    framing, inference = resolved(trace, number, framing)
    framers: Iterable[Framer | None] = opener(framing)() if framing else (None, None)
    directions = [_Direction(framer, bounded) for framer in framers]
    for side, part in trace.stream(number):
        directions[side].add(part)
    streams = [directions[side].stream(side, calls) for side in Side]
    if framing:
        is_framed = framing != _RAW
        streams = [each._replace(is_framed=is_framed, again=_again(trace, number, each)) for each in streams]
    return Framed(framing, inference, (streams[0], streams[1]))


def resolved(trace: Trace, number: int, framing: str) -> tuple[str, Inference | None]:
    """The framing to cut a conversation with, "" for datagrams, and how it was found."""
    if trace.instance(number).protocol != TCP:
        return "", None
    if framing != AUTO:
        return framing, None
    inference = inferred(trace, number)
    return (_RAW if inference.best is None else inference.best.framing), inference


def followed(trace: Trace, number: int, framing: str) -> Iterator[tuple[Side, Followed]]:
    """The messages of both sides in the order in which they became complete, at last those that are cut off.

    ``framing`` as ``resolved`` gives it. No more than a message is held at a time.
    """
    if not framing:
        for side, part in trace.stream(number):
            if isinstance(part, Piece):
                end = part.start + len(part.data)
                yield side, Followed(Message(part.start, end, part.start), part.data, ((part.start, part.packet),))
        return
    followers, over = [Follower(framer) for framer in opener(framing)()], set[Side]()
    for side, part in trace.stream(number):
        if is_too_large(part):
            over.add(side)
        if side not in over:
            yield from ((side, found) for found in followers[side].feed(part))
    for side in Side:
        yield from ((side, found) for found in followers[side].finish())


def _again(trace: Trace, number: int, stream: MessageStream) -> list[Span]:
    """Segments with data that is all in the stream already, by other packets."""
    brought = {span.packet: span.start for span in stream.segments}
    payloads = [payload for payload in trace.payloads(number) if payload[1] is stream.sender]
    zero = next(((seq - brought[packet]) % MODULUS for packet, _, seq, _ in payloads if packet in brought), 0)
    starts = ((packet, seq_diff(seq, zero), size) for packet, _, seq, size in payloads if packet not in brought)
    kept = stream.segments[-1].end if stream.segments else 0
    return sorted(Span(start, start + size, packet) for packet, start, size in starts if 0 <= start <= kept - size)


def inferred(trace: Trace, number: int) -> Inference:
    """The framing of a conversation, from its bytes and from where its segments begin."""
    return infer_parts(trace.stream(number))


def infer_parts(parts: Iterable[tuple[Side, Piece | Gap]]) -> Inference:
    """The framing of the parts of a stream, from how each side begins; what is behind a gap is not looked at."""
    data, starts, goes_on = (bytearray(), bytearray()), ([0], [0]), [False, False]
    for side, part in parts:
        if all(goes_on):
            break
        if goes_on[side] or isinstance(part, Gap):
            goes_on[side] = True
            continue
        starts[side].append(len(data[side]))
        data[side].extend(part.data)
        goes_on[side] = len(data[side]) > MOST_BYTES
    return infer(*(Direction(bytes(data[side]), starts[side], goes_on[side]) for side in Side))


def is_too_large(part: Piece | Gap) -> bool:
    """Whether a part is a gap that is not worth to be filled: hostile captures claim gigabytes."""
    return isinstance(part, Gap) and part.end - part.start > _LARGEST_GAP


class _Direction:
    """One side's stream while it is put together; without a framer its parts are datagrams, each a message."""

    def __init__(self, framer: Framer | None, bounded: bool) -> None:
        self._framer = framer
        self._most_bytes, self._most = (_KEPT_BYTES, _KEPT_MESSAGES) if bounded else (sys.maxsize, sys.maxsize)
        self._data = bytearray()
        self._size = 0
        self._messages: list[Message] = []
        self._segments: list[Span] = []
        self._beyond = Beyond()
        self._gaps: list[Gap] = []
        self._stops: Gap | None = None

    def add(self, part: Piece | Gap) -> None:
        if self._stops is not None:
            return
        if is_too_large(part):
            self._stops = part if isinstance(part, Gap) else None
            return
        data = part.data if isinstance(part, Piece) else bytes(part.end - part.start)
        end = part.start + len(data)
        if isinstance(part, Gap):
            self._gaps.append(part)
        elif len(self._segments) < self._most:
            self._segments.append(Span(part.start, end, packet=part.packet))
        else:
            self._beyond = self._beyond._replace(segments=self._beyond.segments + 1)
        self._size += len(data)
        self._data += data[: max(self._most_bytes - len(self._data), 0)]
        if self._framer is None:
            self._keep([Message(part.start, end, part.start)])
        elif isinstance(part, Gap):
            self._keep(self._framer.feed_missing(len(data)))
        else:
            self._keep(self._framer.feed(data))

    def _keep(self, found: Sequence[Message]) -> None:
        kept = max(self._most - len(self._messages), 0)
        self._messages += found[:kept]
        self._beyond = self._beyond._replace(messages=self._beyond.messages + len(found[kept:]))

    def stream(self, side: Side, calls: Sequence[SidedCall]) -> MessageStream:
        rest = [] if self._framer is None else self._framer.finish()
        self._keep([message for message in rest if message.complete])
        cut_off = next((message for message in rest if not message.complete), None)
        if cut_off is not None and not self._beyond.messages:
            self._messages.append(cut_off)
            cut_off = None
        self._messages.sort()  # one may lie within another, and is complete before it
        sends, receives = call_spans(calls, side)
        if self._framer is None:  # a call takes one datagram, or its beginning; which one is not always known
            bounds = {message.start for message in self._messages}
            sends, receives = ([span for span in spans if span.start in bounds] for spans in (sends, receives))
        parts = (self._messages, self._segments, sends, receives, self._gaps)
        problem = None if self._framer is None else self._framer.problem
        beyond = self._beyond._replace(bytes=self._size - len(self._data), cut_off=cut_off)
        stream = MessageStream(side, bytes(self._data), *parts, problem, self._stops, beyond=beyond)
        return stream._replace(is_datagrams=self._framer is None)


def call_spans(calls: Sequence[SidedCall], side: Side) -> tuple[list[Span], list[Span]]:
    """The bytes of a side's stream that its sends gave, and those that the other side's receives took."""
    return _spans(calls, side, SENDING), _spans(calls, side.other, RECEIVING)


def _spans(calls: Sequence[SidedCall], side: Side, names: frozenset[str]) -> list[Span]:
    return [
        Span(*each.offsets, call=each)
        for each in calls
        if each.side is side and each.offsets is not None and each.call.name in names
    ]
