"""All rules, in one table: what each says is ``reasons.<name>``, what makes it true a function of one moment."""

from collections.abc import Iterable, Sequence

from inspector.explain.frame import CapturedFrame
from inspector.explain.reason import Part, Reason, Rule
from inspector.explain.rules import (
    changes,
    closing,
    data,
    datagrams,
    findings,
    flights,
    frames,
    icmp,
    opening,
    programs,
    resets,
)
from inspector.explain.scene import Moment

RULES: tuple[Rule, ...] = (
    *opening.RULES,
    *data.RULES,
    *closing.RULES,
    *resets.RULES,
    *findings.RULES,
    *flights.RULES,
    *datagrams.RULES,
    *icmp.RULES,
    *programs.RULES,
    *changes.RULES,
)
FRAME_RULES: tuple[Rule, ...] = frames.RULES
"""Of one frame: for a packet that is explained alone, also one of no conversation."""
_ORDER = {part: place for place, part in enumerate(Part)}


def reasons(moment: Moment, rules: Sequence[Rule] = RULES) -> list[Reason]:
    """Every rule that holds for a packet, by the question it answers."""
    return in_order(Reason(moment.row.packet, rule, case) for rule in rules for case in rule.find(moment))


def frame_reasons(frame: CapturedFrame) -> list[Reason]:
    """All that is known of one packet: of its place in its conversation, if it has one, and of its frame."""
    own = [Reason(frame.packet, rule, case) for rule in FRAME_RULES for case in rule.find(frame)]
    return in_order([*([] if frame.moment is None else reasons(frame.moment)), *own])


def in_order(found: Iterable[Reason]) -> list[Reason]:
    """By the questions that they answer, in the order in which these are asked."""
    return sorted(found, key=lambda reason: _ORDER[reason.rule.part])
