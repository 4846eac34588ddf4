"""All rules, in one table: what each says is ``reasons.<name>``, what makes it true a function of one moment."""

from collections.abc import Iterable, Sequence

from inspector.explain.reason import Part, Reason, Rule
from inspector.explain.rules import changes, closing, data, findings, opening, programs
from inspector.explain.scene import Moment

RULES: tuple[Rule, ...] = (
    *opening.RULES,
    *data.RULES,
    *closing.RULES,
    *findings.RULES,
    *programs.RULES,
    *changes.RULES,
)
_ORDER = {part: place for place, part in enumerate(Part)}


def reasons(moment: Moment, rules: Sequence[Rule] = RULES) -> list[Reason]:
    """Every rule that holds for a packet, by the question it answers."""
    return in_order(Reason(moment.row.packet, rule, case) for rule in rules for case in rule.find(moment))


def in_order(found: Iterable[Reason]) -> list[Reason]:
    """By the question that they answer."""
    return sorted(found, key=lambda reason: _ORDER[reason.rule.part])
