"""What the boundaries of messages, segments and calls say to each other, in sentences."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

from inspector.framing.framer import Message
from inspector.text import say
from inspector.trace.messages import MessageStream, Span
from inspector.views.quantities import count

_MOST_OF_A_KIND = 5


def findings(stream: MessageStream) -> Iterator[str]:
    """The lessons of a stream, the most general first."""
    yield from islice(_in_one_segment(stream), _MOST_OF_A_KIND)
    yield from islice(_over_segments(stream), _MOST_OF_A_KIND)
    yield from islice(_receives(stream), _MOST_OF_A_KIND)
    for gap in islice(stream.gaps, _MOST_OF_A_KIND):
        yield say("messages.has_gap", start=count(gap.start), end=count(gap.end))
    if stream.stops is not None:
        yield say("messages.stops", start=count(stream.stops.start), bytes=count(stream.stops.end - stream.stops.start))
    if stream.problem is not None:
        yield say("messages.does_not_fit", offset=count(stream.problem.offset))
    elif stream.messages and not stream.messages[-1].complete and stream.stops is None:
        last = stream.messages[-1]
        yield say("messages.never_came", number=len(stream.messages), bytes=count(last.end - last.start))


def _in_one_segment(stream: MessageStream) -> Iterator[str]:
    """Segments that carry the beginnings of several messages."""
    for span in stream.segments:
        numbers = _touching(stream.messages, span)
        if len(numbers) > 1:
            yield say("messages.coalesced", packet=span.packet, count=len(numbers), first=numbers[0], last=numbers[-1])


def _over_segments(stream: MessageStream) -> Iterator[str]:
    starts = [span.start for span in stream.segments]
    for number, message in enumerate(stream.messages, start=1):
        first, last = bisect_right(starts, message.start), bisect_right(starts, message.end - 1)
        if first == last or first == 0:
            continue
        packets = {"first": stream.segments[first - 1].packet, "last": stream.segments[last - 1].packet}
        header_last = bisect_right(starts, max(message.header_end - 1, message.start))
        key = "messages.header_cut" if header_last > first else "messages.split"
        yield say(key, number=number, segments=last - first + 1, **packets)


def _receives(stream: MessageStream) -> Iterator[str]:
    for span in stream.receives:
        numbers = _touching(stream.messages, span)
        size = count(span.end - span.start)
        if len(numbers) > 1:
            yield say("messages.receive_several", bytes=size, count=len(numbers), first=numbers[0], last=numbers[-1])
        if _cuts_character(stream.data, span.end):
            yield say("messages.receive_cuts_character", bytes=size, offset=count(span.end))


def _touching(messages: Sequence[Message], span: Span) -> list[int]:
    """Numbers of the messages that have bytes in a span."""
    starts = [message.start for message in messages]
    first = max(bisect_right(starts, span.start) - 1, 0)
    return [
        number
        for number, message in enumerate(messages[first:], start=first + 1)
        if message.start < span.end and message.end > span.start
    ]


def _cuts_character(data: bytes, offset: int) -> bool:
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
