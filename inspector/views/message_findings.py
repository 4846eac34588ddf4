"""What the boundaries of messages, segments and calls say to each other, in sentences."""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice

from inspector.text import say
from inspector.trace.messages import MessageStream, Span, cuts_character, touching
from inspector.views.quantities import count

_MOST_OF_A_KIND = 5


def findings(stream: MessageStream) -> Iterator[str]:
    """The lessons of a stream, the most general first."""
    kinds = (_in_one_segment, _over_segments, _receives) if stream.is_framed else (_across_calls, _cut_characters)
    for kind in kinds:
        yield from islice(kind(stream), _MOST_OF_A_KIND)
    for span in islice(stream.again, _MOST_OF_A_KIND):
        yield say("messages.sent_again", packet=span.packet, start=count(span.start), end=count(span.end))
    for gap in islice(stream.gaps, _MOST_OF_A_KIND):
        yield say("messages.has_gap", start=count(gap.start), end=count(gap.end))
    if stream.stops is not None:
        yield say("messages.stops", start=count(stream.stops.start), bytes=count(stream.stops.end - stream.stops.start))
    if stream.problem is not None:
        yield say("messages.does_not_fit", offset=count(stream.problem.offset))
    elif stream.is_framed and stream.messages and not stream.messages[-1].complete and stream.stops is None:
        last = stream.messages[-1]
        yield say("messages.never_came", number=len(stream.messages), bytes=count(last.end - last.start))


def _in_one_segment(stream: MessageStream) -> Iterator[str]:
    """Segments that carry the beginnings of several messages."""
    for span in stream.segments:
        numbers = _numbers(stream, span)
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
        numbers = _numbers(stream, span)
        size = count(span.end - span.start)
        if len(numbers) > 1:
            yield say("messages.receive_several", bytes=size, count=len(numbers), first=numbers[0], last=numbers[-1])
        last = stream.messages[numbers[-1] - 1] if numbers else None
        if last is not None and span.call is not None and span.call.call.protocol == "UDP" and span.end < last.end:
            yield say("messages.truncated", bytes=size, number=numbers[-1], lost=count(last.end - span.end))
    yield from _cut_characters(stream)


def _cut_characters(stream: MessageStream) -> Iterator[str]:
    for span in stream.receives:
        if cuts_character(stream.data, span.end):
            size = count(span.end - span.start)
            yield say("messages.receive_cuts_character", bytes=size, offset=count(span.end))


def _across_calls(stream: MessageStream) -> Iterator[str]:
    """Without a framing: receives that took what several sends gave, and sends that several receives took."""
    for span in stream.receives:
        sends = [stream.sends[at] for at in touching(stream.sends, span.start, span.end)]
        if len(sends) > 1:
            sizes = " + ".join(count(each.end - each.start) for each in sends[:_MOST_OF_A_KIND])
            yield say("messages.took_several", bytes=count(span.end - span.start), count=len(sends), sizes=sizes)
    for span in stream.sends:
        taken = touching(stream.receives, span.start, span.end)
        if len(taken) > 1:
            yield say("messages.taken_in_parts", bytes=count(span.end - span.start), count=len(taken))


def _numbers(stream: MessageStream, span: Span) -> range:
    """Numbers of the messages that have bytes in a span."""
    found = touching(stream.messages, span.start, span.end)
    return range(found.start + 1, found.stop + 1)
