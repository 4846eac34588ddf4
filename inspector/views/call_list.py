"""The socket calls of a capture, one line each, with the packets that belong to them and how that is known."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from inspector.calls.matching import SidedCall
from inspector.tcp.states import Known
from inspector.text import say
from inspector.views.call_words import NOT_YET, asked, came_back, explained
from inspector.views.ladder_layout import clipped, relative_time
from inspector.views.line import Line, Span, line_of
from inspector.views.quantities import duration
from inspector.views.safe_text import cells

_PACKETS_NAMED = 4
_LONG_NS = 10_000_000


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
        head = f"{time:>10} {number:>3} {call.process:>7} {say('ladder.server' if side else 'ladder.client'):<6} "
        links = _links(packets, known)
        room = max(width - cells(head) - cells(links) - 1, 20)
        words = asked(call, room)
        back = came_back(call, room - cells(words) - 3, ascii_only=ascii_only)
        text = clipped(f"{words} = {back}" if back else words, room)
        reason = explained(call)
        if reason and cells(text) + cells(reason) + 3 <= room:
            text += f" ({reason})"
        lasted_ns = 0 if call.exit_ns is None else call.exit_ns - call.enter_ns
        lasted = f"  {duration(lasted_ns)}" if lasted_ns >= _LONG_NS else ""
        if cells(text) + cells(lasted) <= room:
            text += lasted
        style = "call.error" if call.error and call.error not in NOT_YET else "call"
        padding = " " * (room - cells(text) + 1)
        yield line_of([Span(head, "time"), Span(text, style), Span(padding), Span(links, "note")], number)


def _links(packets: tuple[int, ...], known: Known) -> str:
    if not packets:
        return ""
    named = " ".join(f"#{packet}" for packet in packets[:_PACKETS_NAMED])
    more = "…" if len(packets) > _PACKETS_NAMED else ""
    return f"{named}{more} {say(f'calls.link_{known}')}"
