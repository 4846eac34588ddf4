"""A whole capture: what conversations there are, and what deserves a look, the worst first."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from inspector.calls.matching import CallIndex
from inspector.explain.matters import RULES
from inspector.explain.matters.matter import Matter, MatterRule, Reading, Severity, weakest
from inspector.explain.reason import Amount, Case, Duration
from inspector.explain.scene import Scene
from inspector.tcp.report import Closing, Opening
from inspector.trace.calls import conversation_calls
from inspector.trace.conversation import ConnectionEnd, Conversation
from inspector.trace.messages import framed
from inspector.trace.trace import Trace

READ_PACKETS = 100_000  # what is read closely: some seconds
_PAYLOAD_BYTES = 256
_TOLD_ALONE = 2  # conversations in which a matter is told one by one
_EVIDENCE = 64  # packets kept of matters of many conversations

_ADDED: tuple[type[int], ...] = (int, Duration, Amount)
_ODD_OPENINGS = (Opening.REFUSED, Opening.UNANSWERED, Opening.INCOMPLETE)
_ODD_CLOSINGS = (Closing.RESET, Closing.HALF_CLOSED, Closing.UNFINISHED)

_Found = tuple[MatterRule, Conversation, Case]


class Report(NamedTuple):
    """``read`` conversations and ``packets_read`` packets of all were read closely; of the others only the end is
    known. ``ends`` are those of all TCP connections by number."""

    conversations: Sequence[Conversation]
    ends: Mapping[int, ConnectionEnd]
    matters: list[Matter]
    packets: int
    read: int
    packets_read: int
    is_partial: bool

    @property
    def is_clean(self) -> bool:
        """Whether nothing deserves a look."""
        return all(matter.rule.severity is Severity.NOTE for matter in self.matters)


def report_on(
    trace: Trace, calls: CallIndex, conversations: Sequence[Conversation] | None = None, most: int = READ_PACKETS
) -> Report:
    """Read a capture, or some of its conversations; of more than ``most`` packets those that show trouble."""
    everything, ends, packets = trace.conversations(), trace.ends(), len(trace)
    conversations = everything if conversations is None else conversations
    if len(conversations) < len(everything):
        ends = {each.number: ends[each.number] for each in conversations if each.number in ends}
        packets = sum(each.packets for each in conversations)
    is_partial = packets > most
    chosen = _troubled(trace, conversations, ends) if is_partial and len(conversations) > 1 else conversations
    end_ns = max((each.end_ns for each in everything), default=0)
    found: list[_Found] = []
    read, left = 0, most
    for conversation in chosen:
        if left <= 0:
            break
        rows, _ = trace.rows(conversation.number, _PAYLOAD_BYTES, left if is_partial else None)
        sided = conversation_calls(calls, conversation, rows)
        scene = Scene(conversation, rows, ends.get(conversation.number), sided)
        whole = not is_partial or len(rows) < left
        messages = partial(framed, trace, conversation.number, calls=sided)
        if rows:
            found += _found(Reading(scene, scene.end, end_ns, whole=whole, framed=messages))
        read += 1
        left -= len(rows)
    return Report(conversations, ends, _gathered(found), packets, read, most - left, is_partial)


def _troubled(
    trace: Trace, conversations: Sequence[Conversation], ends: Mapping[int, ConnectionEnd]
) -> list[Conversation]:
    """The conversations that show trouble in their headers or at their end, the short first: so most are read."""
    troubles = trace.troubles()
    troubled = [each for each in conversations if troubles[each.number] or _ends_oddly(ends.get(each.number))]
    return sorted(troubled, key=lambda each: each.packets)


def _ends_oddly(end: ConnectionEnd | None) -> bool:
    return end is not None and (end.outcome.opening in _ODD_OPENINGS or end.outcome.closing in _ODD_CLOSINGS)


def _found(reading: Reading) -> Iterator[_Found]:
    tells_end = reading.whole and reading.only is None
    for rule in RULES:
        if tells_end or not rule.to_the_end:
            for case in rule.find(reading):
                yield rule, reading.conversation, case


def _gathered(found: Iterable[_Found]) -> list[Matter]:
    """The matters, the worst first; one that many conversations have is told once."""
    by_rule: dict[str, list[_Found]] = {}
    calls_told = set()
    for each in found:
        rule, _, case = each
        told = rule.name, case.calls[0].call if case.calls else None
        if case.calls and told in calls_told:  # a listener's calls belong to all of its connections
            continue
        calls_told.add(told)
        by_rule.setdefault(rule.name, []).append(each)
    matters = []
    for group in by_rule.values():
        if len({conversation.number for _, conversation, _ in group}) > _TOLD_ALONE:
            matters.append(_of_many(group))
        else:
            matters += [Matter(rule, (conversation,), case) for rule, conversation, case in group]
    return sorted(matters, key=_weight)


def _of_many(group: list[_Found]) -> Matter:
    """Numbers are added up; the rest is that of the conversations, each once."""
    rule = group[0][0]
    conversations = {conversation.number: conversation for _, conversation, _ in group}
    cases = [case for *_, case in group]
    totals: dict[str, object] = {}
    for name, value in cases[0].parameters.items():
        for kind in _ADDED:
            if type(value) is kind:
                totals[name] = kind(sum(int(str(case.parameters.get(name, 0))) for case in cases))
    packets = tuple(packet for case in cases for packet in case.packets)[:_EVIDENCE]
    calls = tuple(call for case in cases for call in case.calls)[:_EVIDENCE]
    known = weakest([case.known for case in cases])
    return Matter(rule, tuple(conversations.values()), Case(totals, packets, calls, known))


def _weight(matter: Matter) -> tuple[int, int, int, int]:
    """The worst first; of those that cost time, what cost most; of others, what most conversations have."""
    time = matter.case.parameters.get("time", 0)
    time_ns = int(time) if isinstance(time, Duration) and matter.rule.severity is Severity.SLOW else 0
    return matter.rule.severity, -time_ns, -len(matter.conversations), matter.conversations[0].number
