"""The report on a whole capture in words: its conversations, and what deserves a look."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby

from inspector.explain.matters.matter import Matter
from inspector.explain.reason import Numbers
from inspector.explain.report import Report
from inspector.tcp.report import Closing, Opening
from inspector.text import say
from inspector.trace.conversation import ConnectionEnd, Conversation
from inspector.views.call_words import asked
from inspector.views.explanation import indented, said, topic_command
from inspector.views.ladder import head_lines
from inspector.views.ladder_layout import rule
from inspector.views.line import Line, line_of
from inspector.views.quantities import count, data_bytes, duration
from inspector.views.safe_text import safe_text

_MOST_LINES = 12  # conversations that have a line each
_COUNTED = ("times", "tries", "resets")  # parameters whose number decides the grammar of a sentence
_CALLS_TOLD = 3
_LARGE = 1000
_CALL_CELLS = 48
_OPENINGS = {Opening.REFUSED: "refused", Opening.UNANSWERED: "unanswered", Opening.INCOMPLETE: "incomplete"}
_CLOSINGS = {
    Closing.RESET: "reset",
    Closing.HALF_CLOSED: "half_closed",
    Closing.UNFINISHED: "closed",
    Closing.OPEN: "open",
}


def report_lines(report: Report, name: str, width: int) -> Iterator[Line]:
    """All of it, or why there is none."""
    if not report.conversations:
        key = "report.no_conversations" if report.packets else "report.empty"
        yield from indented(say(key, count=report.packets), "legend", "", width)
        return
    yield from indented(_heading(report, name), "head", "", width)
    yield Line()
    yield from _conversations(report, width)
    yield Line()
    if report.is_clean:
        yield from indented(_clean(report), "", "", width)
    for severity, matters in groupby(report.matters, key=lambda matter: matter.rule.severity):
        yield line_of(rule(say(f"report.severity_{severity}"), "", width))
        for matter in matters:
            yield from _matter(matter, width)
    yield from _rest(report, width)


def sentence(matter: Matter) -> str:
    """What it says, with the numbers of this capture."""
    first, many = matter.conversations[0], len(matter.conversations) > 1
    parameters: dict[str, object] = {
        **{name: _spelled(value) for name, value in matter.case.parameters.items()},
        "client": first.client,
        "server": first.server,
        "servers": tuple(dict.fromkeys(each.server for each in matter.conversations)),
    }
    if not many:
        number = next((parameters[name] for name in _COUNTED if name in parameters), None)
        return said(f"report.{matter.rule.name}", {"count": number, **parameters})
    return said(f"report.{matter.rule.name}_several", {**parameters, "count": count(len(matter.conversations))})


def _spelled(value: object) -> object:
    """Large numbers with separators; small ones stay numbers, which decide the grammar."""
    return count(value) if type(value) is int and value >= _LARGE else value


def change(matter: Matter) -> str:
    """What to change in the program."""
    return say(f"report.{matter.rule.name}_change")


def _heading(report: Report, name: str) -> str:
    begins = min(each.start_ns for each in report.conversations)
    ends = max(each.end_ns for each in report.conversations)
    many = len(report.conversations)
    return say(
        "report.heading",
        file=safe_text(name),
        count=many,
        conversations=count(many),
        packets=_packets(report.packets),
        time=duration(ends - begins),
    )


def _packets(number: int) -> str:
    return say("ladder.packets", count=number, packets=count(number))


def _conversations(report: Report, width: int) -> Iterator[Line]:
    """A line each, or when they are many a line for each protocol."""
    if len(report.conversations) <= _MOST_LINES:
        for each in report.conversations:
            yield from head_lines(each, report.ends.get(each.number), width)
        return
    protocols = Counter(each.protocol for each in report.conversations)
    for protocol, many in protocols.most_common():
        own = [each for each in report.conversations if each.protocol == protocol]
        parts = [_protocol_line(own, many), *_courses(own, report)]
        yield from indented(" · ".join(parts), "", "  ", width)


def _protocol_line(own: list[Conversation], many: int) -> str:
    return say(
        "report.protocol_line",
        protocol=own[0].protocol,
        count=many,
        conversations=count(many),
        packets=_packets(sum(each.packets for each in own)),
        bytes=data_bytes(sum(each.payload_bytes for each in own)),
    )


def _courses(own: list[Conversation], report: Report) -> Iterator[str]:
    """How many connections went which way."""
    ends = [report.ends[each.number] for each in own if each.number in report.ends]
    for how, many in Counter(map(_course, ends)).most_common():
        yield say(f"report.how_{how}", count=count(many))


def _course(end: ConnectionEnd) -> str:
    opening, closing = end.outcome.opening, end.outcome.closing
    if closing is Closing.NEVER_OPENED:
        return _OPENINGS.get(opening, "incomplete")
    return _CLOSINGS.get(closing, "closed")


def _clean(report: Report) -> str:
    if report.matters:
        return say("report.clean_but")
    return say("report.clean" if report.ends else "report.clean_no_tcp")


def _matter(matter: Matter, width: int) -> Iterator[Line]:
    yield from indented(f"· {sentence(matter)}", "", "  ", width)
    yield from indented(_evidence(matter), "legend", "    ", width, first="    ")
    yield from indented(say("report.change", change=change(matter)), "note", "    ", width, first="    ")


def _evidence(matter: Matter) -> str:
    """How it is known, where it is seen, and the topic that tells more."""
    numbers = Numbers(sorted(each.number for each in matter.conversations))
    packets = Numbers(sorted(set(matter.case.packets)))
    told = matter.case.calls[:_CALLS_TOLD] if len(matter.conversations) == 1 else ()
    calls = dict.fromkeys(asked(each.call, _CALL_CELLS) for each in told)
    parts = [
        say(f"explain.known_{matter.case.known}"),
        said("report.conversation", {"protocol": matter.conversations[0].protocol, "numbers": numbers}),
        said("explain.evidence_packets", {"packets": packets, "count": len(packets)}),
        *calls,
        topic_command(matter.rule.topic),
    ]
    return " · ".join(parts)


def _rest(report: Report, width: int) -> Iterator[Line]:
    """What is normal, and what was not looked at."""
    concerned = {each.number for matter in report.matters for each in matter.conversations}
    normal = len(report.conversations) - len(concerned)
    if report.is_partial:
        numbers = {name: count(getattr(report, name)) for name in ("packets", "packets_read", "read")}
        yield Line()
        text = say("report.partial", conversations=count(len(report.conversations)), **numbers)
        yield from indented(text, "legend", "", width)
    elif concerned and normal and not report.is_clean:
        yield Line()
        text = say("report.normal", count=normal, normal=count(normal), conversations=count(len(report.conversations)))
        yield from indented(text, "legend", "", width)
