"""Reasons in words: one packet explained in full, or in short below its row of a ladder."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from inspector.calls.matching import SidedCall
from inspector.decode.protocols import protocol_name
from inspector.explain.frame import CapturedFrame
from inspector.explain.reason import Amount, Duration, Numbers, Reason
from inspector.explain.scene import Scene
from inspector.tcp.states import Side
from inspector.text import listed, say
from inspector.views.call_words import asked
from inspector.views.ladder_layout import NO_BREAK, filled, rule, wrapped
from inspector.views.line import Line, Span, line_of
from inspector.views.phases import side_name
from inspector.views.quantities import data_bytes, duration
from inspector.views.safe_text import cells

_SENTENCE_BEGINS = re.compile(r"(^|[.] )the ")
_WIDEST = 100  # longer lines are hard to read
_CALL_CELLS = 48
_NUMBERS_TOLD = 6
_INDENT = "  "
_BELOW_ROW = "     "


def sentence(reason: Reason) -> str:
    """What it says, in the language spoken."""
    return said(f"reasons.{reason.rule.key}", reason.case.parameters)


def said(key: str, parameters: Mapping[str, object]) -> str:
    """A text with its parameters in the words of the language."""
    text = say(key, **{name: value if type(value) is int else _worded(value) for name, value in parameters.items()})
    return _SENTENCE_BEGINS.sub(r"\1The ", text)


def marks(reason: Reason) -> str:
    """How it is known, and who wrote the rule."""
    return f"{say(f'explain.known_{reason.case.known}')} · {reason.rule.source}"


def evidence(reason: Reason) -> str:
    """The same, with the packets and calls that it rests on, and the topic that tells more."""
    packets = tuple(sorted({reason.packet, *reason.case.packets}))
    parts = [
        say(f"explain.known_{reason.case.known}"),
        say("explain.evidence_packets", packets=_worded(Numbers(packets)), count=len(packets)),
        *(_worded(each) for each in reason.case.calls[:_NUMBERS_TOLD]),
        reason.rule.source,
        topic_command(reason.rule.topic),
    ]
    return " · ".join(parts)


def topic_command(topic: str) -> str:
    """What tells more, for ``indented``: it stays on one line."""
    return f"inspector explain {topic}".replace(" ", NO_BREAK)


def packet_page(scene: Scene, packet: int, reasons: Sequence[Reason], width: int) -> Iterator[Line]:
    """One packet explained, by the questions that a learner asks."""
    yield from _heading(scene, packet, width)
    yield from _answers(reasons, width)


def frame_page(frame: CapturedFrame, reasons: Sequence[Reason], width: int) -> Iterator[Line]:
    """A packet of no conversation."""
    values = frame.values
    protocol = protocol_name(values.network, values.protocol)
    text = say("explain.heading_alone", packet=frame.packet, protocol=protocol, bytes=data_bytes(values.wire_bytes))
    yield from indented(text, "head", _INDENT, width)
    yield from _answers(reasons, width)


def _answers(reasons: Sequence[Reason], width: int) -> Iterator[Line]:
    for part, own in groupby(reasons, key=lambda reason: reason.rule.part):
        yield line_of(rule(say(f"explain.part_{part}"), "", width))
        for reason in own:
            yield from indented(f"· {sentence(reason)}", "", "  ", width)
            yield from indented(evidence(reason), "legend", "    ", width, first="    ")
    if not reasons:
        yield from indented(say("explain.nothing_known"), "legend", "", width)


def below_row(reasons: Sequence[Reason], width: int) -> Iterator[Line]:
    """The reasons of a packet in short, to stand below its row."""
    room = min(width, _WIDEST) - len(_BELOW_ROW) - len(_INDENT)
    for reason in reasons:
        known = Span(f"[{marks(reason)}]", "legend")
        *lines, last = [[Span(text, "narration")] for text in wrapped(f"· {sentence(reason)}".split(" "), room, " ")]
        fits = cells(last[0].text) + 1 + cells(known.text) <= room
        lines += [[*last, Span(" "), known]] if fits else [last, [known]]
        for at, spans in enumerate(lines):
            yield line_of([Span(f"{_BELOW_ROW}{_INDENT}" if at else _BELOW_ROW, "narration"), *spans])


def _heading(scene: Scene, packet: int, width: int) -> Iterator[Line]:
    conversation, row = scene.conversation, scene.moment(packet).row
    ends = conversation.client, conversation.server
    text = say(
        "explain.heading",
        packet=packet,
        protocol=conversation.protocol,
        conversation=conversation.number,
        sender=side_name(Side(row.side)),
        source=ends[row.side],
        destination=ends[row.side.other],
        bytes=data_bytes(row.frame_bytes),
    )
    yield from indented(text, "head", _INDENT, width)


def indented(text: str, style: str, indent: str, width: int, *, first: str = "") -> Iterator[Line]:
    """Text wrapped to the width; ``first`` stands before its first line, ``indent`` before the others."""
    room = min(width, _WIDEST) - len(indent)
    for at, words in enumerate(filled(text, room)):
        yield line_of([Span(indent if at else first), Span(words, style)])


def _worded(value: object) -> str:
    """A parameter in the words of the language, or in units that fit."""
    if isinstance(value, Side):
        return side_name(value)
    if isinstance(value, SidedCall):
        return asked(value.call, _CALL_CELLS)
    if isinstance(value, Duration):
        return duration(value)
    if isinstance(value, Amount):
        return data_bytes(value)
    if isinstance(value, tuple) and not hasattr(value, "_fields"):
        shown = [_worded(each) for each in value[:_NUMBERS_TOLD]]
        return listed([*shown, "…"] if len(value) > len(shown) else shown)
    return str(value)
