"""The socket calls of a capture, one line each, with the packets that belong to them and how that is known."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from inspector.calls.matching import SidedCall
from inspector.tcp.states import Known
from inspector.text import say
from inspector.views.call_words import asked, came_back, explained, lasted, style_of
from inspector.views.ladder_layout import clipped, relative_time
from inspector.views.line import Line, Span, line_of
from inspector.views.safe_text import cells

_PACKETS_NAMED = 4
_SIDE_CELLS = 6


class ListedCall(NamedTuple):
    """A call in its conversation."""

    conversation: int
    sided: SidedCall


def call_lines(calls: Iterable[ListedCall], width: int, *, ascii_only: bool) -> Iterator[Line]:
    """Lines in the order given: time since the call before, conversation, process, side, call, result, packets."""
    last_ns: int | None = None
    for number, (side, call, _, packets, known) in calls:
        time = "0 s " if last_ns is None else relative_time(call.enter_ns - last_ns)
        last_ns = call.enter_ns
        who = say("ladder.server" if side else "ladder.client")
        head = f"{time:>10} {number:>3} {call.process:>7} {who}{' ' * (_SIDE_CELLS - cells(who))} "
        links = _links(packets, known)
        room = max(width - cells(head) - cells(links) - 1, 20)
        words = asked(call, room)
        back = came_back(call, room - cells(words) - 3, ascii_only=ascii_only)
        text = clipped(f"{words} = {back}" if back else words, room)
        reason = explained(call)
        if reason and cells(text) + cells(reason) + 3 <= room:
            text += f" ({reason})"
        time = lasted(call)
        if time and cells(text) + cells(time) + 2 <= room:
            text += f"  {time}"
        padding = " " * (room - cells(text) + 1)
        yield line_of([Span(head, "time"), Span(text, style_of(call)), Span(padding), Span(links, "note")], number)


def _links(packets: tuple[int, ...], known: Known) -> str:
    if not packets:
        return ""
    named = " ".join(f"#{packet}" for packet in packets[:_PACKETS_NAMED])
    more = "…" if len(packets) > _PACKETS_NAMED else ""
    return f"{named}{more} {say(f'calls.link_{known}')}"
