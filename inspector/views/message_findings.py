"""What the boundaries of messages, segments and calls say to each other, in sentences."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import islice

from inspector.framing.framer import FramingError, Message
from inspector.text import say
from inspector.trace.messages import MessageStream, Span, cuts_character, touching
from inspector.views.quantities import count

_MOST_OF_A_KIND = 5


def findings(stream: MessageStream) -> Iterator[str]:
    """The lessons of a stream, the most general first; of each kind some, and how many more there are."""
    for found in (kind(stream) for kind in _kinds(stream)):
        yield from islice(found, _MOST_OF_A_KIND)
        if more := sum(1 for _ in found):
            yield say("messages.more_of_a_kind", count=count(more))
    if stream.stops is not None:
        yield say("messages.stops", start=count(stream.stops.start), bytes=count(stream.stops.end - stream.stops.start))
    if stream.problem is not None:
        yield problem_words(stream.problem)
    elif stream.is_framed and stream.cut_off is not None and stream.stops is None:
        number, last = stream.cut_off
        never_came = say("messages.never_came", number=number, bytes=count(last.end - last.start))
        yield f"{_at(last, never_came)}. {say('messages.never_came_then')}"


def _kinds(stream: MessageStream) -> list[Callable[[MessageStream], Iterator[str]]]:
    if stream.is_datagrams:
        return [_truncated]
    framed = [_in_one_segment, _over_segments, _receives]
    return [*(framed if stream.is_framed else [_across_calls]), _cut_characters, _again, _gaps]


def _at(where: Span | Message, sentence: str) -> str:
    """A sentence with the bytes that it is about."""
    return say("messages.at_bytes", start=count(where.start), end=count(where.end), sentence=sentence)


def problem_words(problem: FramingError) -> str:
    """Why the bytes are not of the framing, from which offset on."""
    offset = count(problem.offset)
    if problem.reason == "length" and problem.limit:
        return say("messages.length_wrong", offset=offset, value=count(problem.value), limit=count(problem.limit))
    if problem.reason == "no_delimiter":
        return say("messages.no_end_mark", offset=offset, limit=count(problem.limit))
    if problem.reason == "missing":
        return say("messages.missing_header", offset=offset)
    return say("messages.does_not_fit", offset=offset)


def _in_one_segment(stream: MessageStream) -> Iterator[str]:
    """Segments that carry the beginnings of several messages."""
    for span in stream.segments:
        numbers = _numbers(stream, span)
        if len(numbers) > 1:
            of = {"count": len(numbers), "first": numbers[0], "last": numbers[-1]}
            yield _at(span, say("messages.coalesced", packet=span.packet, **of))


def _over_segments(stream: MessageStream) -> Iterator[str]:
    starts = [span.start for span in stream.segments]
    kept = stream.segments[-1].end if stream.segments else 0
    for number, message in enumerate(stream.messages, start=1):
        first, last = bisect_right(starts, message.start), bisect_right(starts, message.end - 1)
        if first == last or first == 0 or message.end > kept:
            continue
        packets = {"first": stream.segments[first - 1].packet, "last": stream.segments[last - 1].packet}
        header_last = bisect_right(starts, max(message.header_end - 1, message.start))
        key = "messages.header_cut" if header_last > first else "messages.split"
        yield _at(message, say(key, number=number, segments=last - first + 1, **packets))


def _receives(stream: MessageStream) -> Iterator[str]:
    for span in stream.receives:
        numbers = _numbers(stream, span)
        if len(numbers) > 1:
            of = {"count": len(numbers), "first": numbers[0], "last": numbers[-1]}
            yield _at(span, say("messages.receive_several", bytes=count(span.end - span.start), **of))
        elif numbers and _is_glued(span, message := stream.messages[numbers[0] - 1]):
            parts = {"number": numbers[0], "offset": count(message.header_end)}
            yield _at(span, say("messages.receive_glued", bytes=count(span.end - span.start), **parts))


def _is_glued(span: Span, message: Message) -> bool:
    """Whether header and body lie in one receive, of a framing that programs write themselves."""
    return not message.kind and message.start < message.header_end and span.start < message.header_end < span.end


def _truncated(stream: MessageStream) -> Iterator[str]:
    """Datagrams of which a receive took the beginning only."""
    for span in stream.receives:
        for at in touching(stream.messages, span.start, span.end):
            lost = stream.messages[at].end - span.end
            if lost > 0:
                size = count(span.end - span.start)
                yield say("messages.truncated", bytes=size, number=at + 1, lost=count(lost))


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
            sizes += " …" if len(sends) > _MOST_OF_A_KIND else ""
            taken = say("messages.took_several", bytes=count(span.end - span.start), count=len(sends), sizes=sizes)
            yield _at(span, taken)
    for span in stream.sends:
        receives = touching(stream.receives, span.start, span.end)
        if len(receives) > 1:
            size = count(span.end - span.start)
            yield _at(span, say("messages.taken_in_parts", bytes=size, count=len(receives)))


def _again(stream: MessageStream) -> Iterator[str]:
    for span in stream.again:
        yield say("messages.sent_again", packet=span.packet, start=count(span.start), end=count(span.end))


def _gaps(stream: MessageStream) -> Iterator[str]:
    for gap in stream.gaps:
        yield say("messages.has_gap", start=count(gap.start), end=count(gap.end))


def _numbers(stream: MessageStream, span: Span) -> range:
    """Numbers of the messages that have bytes in a span."""
    found = touching(stream.messages, span.start, span.end)
    return range(found.start + 1, found.stop + 1)
