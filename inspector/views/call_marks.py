"""A socket call as a mark in a picture: where it opens, where it closes, or both in one place."""

from typing import NamedTuple

from inspector.calls.call import SocketCall
from inspector.text import say
from inspector.views.call_words import asked, came_back, explained, lasted, style_of
from inspector.views.safe_text import cells

_ROOM_TO_QUOTE = 16  # cells; with less, what was received stands in a line of its own


class Mark(NamedTuple):
    """What is shown of a call at one place: words, and which call opens or closes there (neither: it did both)."""

    words: tuple[str, ...]  # where it may be broken between them
    style: str
    opens: int | None = None
    closes: int | None = None
    name: str = ""  # of the call that closes


class CallMarks:
    """Makes the marks of calls for places of ``room`` cells."""

    def __init__(self, room: int, *, ascii_only: bool) -> None:
        self._room = room
        self._ascii_only = ascii_only

    def opening(self, call: SocketCall, number: int) -> Mark:
        """It is entered; ``number`` tells it apart from others that are under way."""
        return Mark((asked(call, self._room),), "call", opens=number)

    def closing(self, call: SocketCall, number: int) -> Mark:
        """It returns."""
        back = came_back(call, self._room - 2, ascii_only=self._ascii_only)
        words = say("calls.done") if not back else back if call.exit_ns is None else f"= {back}"
        return Mark((*_breakable(words, self._room), *_reason(call)), style_of(call), closes=number, name=call.name)

    def whole(self, call: SocketCall) -> Mark:
        """It is entered and returns, and nothing else is shown between."""
        words = asked(call, self._room)
        beside = self._room - cells(words) - 3
        back = came_back(call, beside if beside >= _ROOM_TO_QUOTE else self._room - 2, ascii_only=self._ascii_only)
        result = _breakable(f"= {back}", self._room) if back else []
        return Mark((words, *result, *_after(call), *_reason(call)), style_of(call))


def in_a_row(mark: Mark) -> str:
    """The words of a mark where no bracket shows what belongs together."""
    words = " ".join(mark.words)
    if mark.opens is not None:
        return f"{words} …"
    return words if mark.closes is None else f"… {mark.name}() {words}"


def _reason(call: SocketCall) -> list[str]:
    reason = explained(call)
    return f"({reason})".split(" ") if reason else []


def _after(call: SocketCall) -> list[str]:
    """How long a call blocked that is drawn without length."""
    time = lasted(call)
    return [say("calls.after", time=time)] if time else []


def _breakable(words: str, room: int) -> list[str]:
    """As one piece where it fits."""
    return [words] if cells(words) <= room else words.split(" ")
