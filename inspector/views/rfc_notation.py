"""The notation of RFC 9293 section 3.5: ``SYN-SENT --> <SEQ=100><CTL=SYN> --> SYN-RECEIVED``, in columns."""

from collections.abc import Sequence

from inspector.tcp.segment import Flag
from inspector.tcp.states import EndpointState, Known, Side, TcpState
from inspector.text import say
from inspector.trace.conversation import Row
from inspector.views.labels import finding_words, flag_names
from inspector.views.ladder_layout import wrapped
from inspector.views.line import Span
from inspector.views.safe_text import cells

_STATE = 14
_ARROW = {Side.CLIENT: " --> ", Side.SERVER: " <-- "}
_ARROW_CELLS = 5


def begin(digits: int, width: int, states: Sequence[EndpointState] | None) -> list[list[Span]]:
    """Column titles, and the states before the first segment."""
    titles = [Span(say("ladder.client"), "title"), Span(say("ladder.server"), "title")]
    lines = [_columns("", titles[0], "", "", titles[1], digits, width)]
    if states is not None:
        client, server = map(_state, states)
        lines.append(_columns("", client, "", "", server, digits, width))
    return lines


def packet(
    row: Row, states: Sequence[EndpointState], digits: int, width: int, *, raw_numbers: bool
) -> list[list[Span]]:
    """One segment between the states of both sides after it; further lines for what finds no room."""
    report = row.report
    assert report is not None
    segment = report.segment
    seq, ack = (segment.seq, segment.ack) if raw_numbers else (report.relative_seq, report.relative_ack)
    fields = [f"<SEQ={seq}>"]
    if segment.flags & Flag.ACK:
        fields.append(f"<ACK={ack}>")
    fields.append(f"<CTL={','.join(flag_names(segment.flags))}>")
    if segment.payload_bytes:
        fields.append(f"<DATA={segment.payload_bytes}>")
    room = _middle(digits, width)
    first, *more = wrapped(fields, room, "")
    client, server = map(_state, states)
    arrow = _ARROW[row.side]
    style = "arrow.reset" if segment.flags & Flag.RST else "arrow.data" if segment.payload_bytes else "arrow.control"
    lines = [_columns(f"{row.packet}.", client, arrow, first, server, digits, width, style)]
    margin = Span(" " * (digits + 2 + _STATE + _ARROW_CELLS))
    findings = wrapped([f"({words})" for words, _ in finding_words(report)], room, " ")
    return lines + [[margin, Span(text, "label.problem")] for text in (*more, *findings) if text]


def folded(words: str, digits: int) -> list[Span]:
    """One line for many segments."""
    return [Span(" " * (digits + 2 + _STATE + _ARROW_CELLS)), Span(f"... {words} ...", "fold")]


def _middle(digits: int, width: int) -> int:
    return width - (digits + 2) - 2 * _STATE - 2 * _ARROW_CELLS


def _columns(
    number: str,
    client: Span,
    arrow: str,
    middle: str,
    server: Span,
    digits: int,
    width: int,
    style: str = "",
) -> list[Span]:
    room = min(_middle(digits, width), 60)
    return [
        Span(f"{number:<{digits + 1}} ", "number"),
        Span(client.text, client.style),
        Span(" " * (_STATE - cells(client.text))),
        Span(f"{arrow:{_ARROW_CELLS}}", style),
        Span(middle),
        Span(" " * (room - cells(middle))),
        Span(f"{arrow:{_ARROW_CELLS}}", style),
        server,
    ]


def _state(state: EndpointState) -> Span:
    if state.state is TcpState.UNKNOWN:
        return Span(say("ladder.unknown_state"), "state.unknown")
    if state.known is Known.SEEN:
        return Span(state.state.value, "state")
    return Span(f"({state.state.value})", "state.inferred")
