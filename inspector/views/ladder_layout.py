"""Where everything stands in a ladder: columns, lifelines, arrows. Widths are cells of a terminal."""

import re
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple
from unicodedata import east_asian_width

from inspector.tcp.states import EndpointState, Known, Side, TcpState
from inspector.text import say
from inspector.views.labels import FittedLabel, Part
from inspector.views.line import Span
from inspector.views.quantities import duration_parts
from inspector.views.safe_text import cells, padded

NARROWEST, WIDEST = 60, 160
_ROOMY = 96  # from here on there is room for the longest state in parentheses
_TIME, _CLOCK = 10, 15
_NS_PER_DAY = 86_400 * 10**9
_DAYS_FROM_NS = 99_999 * 10**9  # a longer time in seconds is wider than its column
_STATE, _STATE_ROOMY, _NO_STATE = 13, 14, 6
_SHORT = {TcpState.SYN_RECEIVED: "SYN-RCVD"}
_LONELY = 12  # a last line of fewer cells looks forgotten
NO_BREAK = "\xa0"
_REFERENCE = re.compile(r"(?<=RFC) (?=\d)")
# English breaks at spaces; Chinese has none, and breaks between any two characters but for punctuation (避头尾).
_NEVER_FIRST = frozenset("，。；：、？！）》〉】』」”’％…·),.;:!?]}%")
_NEVER_LAST = frozenset("（《〈【『「“‘([{")


class Stroke(StrEnum):
    """How an arrow is drawn; the value is the name of its style."""

    DATA = "arrow.data"
    CONTROL = "arrow.control"
    RESENT_DATA = "arrow.problem"
    RESENT_CONTROL = "arrow.problem.control"
    RESET = "arrow.reset"


# Lines and heads: (leaving to the right, line, leaving to the left, arriving at the right, arriving at the left).
_GLYPHS = {
    Stroke.DATA: ("┝", "━", "┥", "▶", "◀"),
    Stroke.CONTROL: ("├", "─", "┤", "▶", "◀"),
    Stroke.RESENT_DATA: ("┝", "╍", "┥", "▶", "◀"),
    Stroke.RESENT_CONTROL: ("├", "╌", "┤", "▶", "◀"),
    Stroke.RESET: ("├", "─", "┤", "╳", "╳"),
}


class Layout(NamedTuple):
    """The columns of a ladder: number, time, state, lifeline, arrows, lifeline, state; one space between the outer."""

    number: int
    time: int
    client: int
    inner: int  # between the lifelines
    server: int

    @classmethod
    def of(cls, width: int, digits: int, *, absolute_time: bool, states: bool) -> "Layout":
        """The layout for a width in cells and packet numbers of so many digits."""
        number = max(digits, 3 if width < _ROOMY else 4)
        time = _CLOCK if absolute_time else _TIME
        side = (_STATE if width < _ROOMY else _STATE_ROOMY) if states else _NO_STATE
        inner = width - (number + 1 + time + 1 + side + 1 + 1) - (1 + 1 + side)
        return cls(number, time, side, inner, side)

    @property
    def label_room(self) -> int:
        """Cells that a label may take on an arrow."""
        return self.inner - 5

    def row(self, number: str, time: str, client: Span, middle: list[Span], server: Span) -> list[Span]:
        """A whole row; ``middle`` begins and ends with the lifelines."""
        return [
            Span(f"{number:>{self.number}} ", "number"),
            Span(" " * (self.time - cells(time)) + time + " ", "time"),
            Span(" " * (self.client - cells(client.text)) + client.text, client.style),
            Span(" "),
            *middle,
            Span(" "),
            server,
        ]

    def lifelines(self) -> list[Span]:
        """Nothing between the lifelines."""
        return [Span("│", "lifeline"), Span(" " * self.inner), Span("│", "lifeline")]

    def titles(self) -> list[Span]:
        """The names of the columns."""
        client, server = Span(say("ladder.client"), "title"), Span(say("ladder.server"), "title")
        middle = [Span(" " * (self.inner + 2))]
        number, time, *rest = self.row(say("ladder.number"), say("ladder.time"), client, middle, server)
        return [Span(number.text, "title"), Span(time.text, "title"), *rest]

    def initial(self, client: Span, server: Span) -> list[Span]:
        """The states before the first packet."""
        return self.row("", "", client, [Span(" " * (self.inner + 2))], server)

    def arrow(self, side: Side, stroke: Stroke, label: FittedLabel) -> list[Span]:
        """An arrow from its sender to the other lifeline, label near the sender."""
        leave_right, line, leave_left, right, left = _GLYPHS[stroke]
        fill = line * (self.inner - label.width - (4 if label.spans else 2))
        style = stroke.value
        gap = [Span(" ")] if label.spans else []
        if side is Side.CLIENT:
            tail = [Span(f"{leave_right}{line}", style), *gap, *label.spans, *gap]
            return [*tail, Span(f"{fill}{right}", style), Span("│", "lifeline")]
        tail = [*gap, *label.spans, *gap, Span(f"{line}{leave_left}", style)]
        return [Span("│", "lifeline"), Span(f"{left}{fill}", style), *tail]

    def note(self, parts: Sequence[Part], side: Side) -> list[list[Span]]:
        """Lines below an arrow, with what found no room on it, at its sender's side."""
        if not parts:
            return []
        lines = []
        for words in wrapped([word for part in parts for word in part.text.split(" ")], self.inner - 4, " "):
            free = self.inner - 2 - cells(words)
            before, after = (2, free) if side is Side.CLIENT else (free, 2)
            text = [Span(" " * before), Span(words, parts[0].style), Span(" " * after)]
            lines.append(self.row("", "", Span(""), [Span("│", "lifeline"), *text, Span("│", "lifeline")], Span("")))
        return lines

    def folded(self, words: str, time: str) -> list[Span]:
        """A row for many."""
        text = clipped(words, self.inner - 2)
        free = self.inner - cells(text)
        middle = [Span(" " * (free // 2)), Span(text, "fold"), Span(" " * (free - free // 2))]
        return self.row("⋮", time, Span(""), [Span("│", "lifeline"), *middle, Span("│", "lifeline")], Span(""))

    def state(self, state: EndpointState) -> Span:
        """A state as it stands beside a lifeline: in parentheses when it is inferred."""
        if state.state is TcpState.UNKNOWN:
            return Span(say("ladder.unknown_state"), "state.unknown")
        text, style = state.state.value, "state"
        if state.known is not Known.SEEN:
            text, style = f"({text})", "state.inferred"
        if len(text) > self.client:
            text = text.replace(state.state.value, _SHORT.get(state.state, state.state.value))
        return Span(text, style)


def rule(title: str, figure: str, width: int) -> list[Span]:
    """A phase ruled off: its name at the left, its figure at the right where there is room."""
    width = min(width, WIDEST)
    title = clipped(title, width - 6)
    spans = [Span("── ", "rule"), Span(title, "phase"), Span(" ")]
    free = width - cells(title) - 4
    if figure and free >= cells(figure) + 6:
        fill = free - cells(figure) - 4
        return [*spans, Span("─" * fill, "rule"), Span(f" {figure} ", "phase.figure"), Span("──", "rule")]
    return [*spans, Span("─" * free, "rule")]


def relative_time(delta_ns: int) -> str:
    """A time since the row before, units below each other, in the cells of its column even if it is years."""
    number, unit = duration_parts(delta_ns)
    if abs(delta_ns) >= _DAYS_FROM_NS:
        number, unit = f"{delta_ns / _NS_PER_DAY:.0f}", say("ladder.days")
    return f"{number if number.startswith('-') else '+' + number} {padded(unit, 2)}"


def wrapped(words: list[str], width: int, separator: str) -> list[str]:
    """Words joined to lines of at most ``width`` cells; Chinese breaks within them too where spaces separate words.

    What is longer than a line and cannot be broken is cut into pieces.
    """
    lines: list[str] = []
    for word in words:
        for at, part in enumerate(_parts(word) if separator == " " or cells(word) > width else [word]):
            glue = "" if at else separator
            if lines and cells(lines[-1]) + cells(glue) + cells(part) <= width:
                lines[-1] += glue + part
            else:
                lines.extend(_pieces(part, width))
    return lines or [""]


def filled(text: str, width: int) -> list[str]:
    """A paragraph in lines; the last is no lonely word where shorter lines leave more for it.

    A no-break space holds together what is typed as a whole.
    """
    words = _REFERENCE.sub(NO_BREAK, text).split(" ")
    lines = wrapped(words, width, " ")
    if len(lines) > 1 and cells(lines[-1]) < _LONELY:
        for narrower in range(width - 2, width * 3 // 4, -2):
            shorter = wrapped(words, narrower, " ")
            if len(shorter) > len(lines):
                break
            if cells(shorter[-1]) >= _LONELY:
                lines = shorter
                break
    return [line.replace(NO_BREAK, " ") for line in lines]


def clipped(text: str, width: int) -> str:
    """The text, or its beginning and "…"."""
    return text if cells(text) <= width else _pieces(text, max(width - 1, 1))[0] + "…"


def _parts(word: str) -> list[str]:
    """A word at all places where a line may end within it."""
    if word.isascii():
        return [word]
    parts = [word[:1]]
    for before, char in pairwise(word):
        if _breakable(before, char):
            parts.append(char)
        else:
            parts[-1] += char
    return parts


def _breakable(before: str, after: str) -> bool:
    return (_is_wide(before) or _is_wide(after)) and before not in _NEVER_LAST and after not in _NEVER_FIRST


def _is_wide(char: str) -> bool:
    return east_asian_width(char) in "WF"


def _pieces(word: str, width: int) -> list[str]:
    pieces = [""]
    for char in word:
        if cells(pieces[-1]) + cells(char) > width:
            pieces.append("")
        pieces[-1] += char
    return pieces
