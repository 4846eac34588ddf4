"""Which rows of a conversation show a topic, and what is told of each of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import islice
from typing import NamedTuple

from inspector.explain.reason import Part, Reason, Rule
from inspector.explain.rules import RULES, findings, in_order, reasons
from inspector.explain.scene import Scene

_TOLD_TIMES = 2  # what has been told of two rows is known
_MARKED_MOST = 40
_SHOWN_IN_LADDER = ("to_", "arrived", "expected")  # a ladder has the states beside its lines
_FINDINGS = frozenset(rule.name for rule in findings.RULES if rule.part is not Part.NUMBERS)


class Narration(NamedTuple):
    """The rows to be marked, and what stands below a row, both by packet."""

    marked: frozenset[int]
    told: Mapping[int, Sequence[Reason]]


def holds(scene: Scene, rules: Sequence[Rule], most: int | None = None) -> bool:
    """Whether any rule is true of any packet, or of the first ones when only so many are looked at."""
    return any(True for moment in islice(scene.moments(), most) for rule in rules for _ in rule.find(moment))


def narrated(scene: Scene, rules: Sequence[Rule]) -> Narration:
    """A conversation told by the rules of a topic."""
    told: dict[int, list[Reason]] = {}
    times: Counter[object] = Counter()  # by rule, and by what is said
    places = _places_of_states(scene)
    for reason in (reason for moment in scene.moments() for reason in reasons(moment, rules)):
        side, after = (reason.case.parameters.get(name) for name in ("side", "after"))
        place = places.get((reason.packet, side, after), reason.packet)
        if place not in told and len(told) == _MARKED_MOST:
            break
        below = told.setdefault(place, [])
        sentence = reason.rule.key, str(reason.case.parameters)
        times.update([reason.rule.name, sentence])
        if times[reason.rule.name] <= _TOLD_TIMES and times[sentence] == 1:
            below.append(reason)
    return Narration(frozenset(told), {place: in_order(found) for place, found in told.items()})


def _places_of_states(scene: Scene) -> dict[tuple[int, object, object], int]:
    """Where a ladder draws the states that each packet shows: at their cause, unless a later state of the side stands
    below that already (two FINs that crossed)."""
    places: dict[tuple[int, object, object], int] = {}
    lowest = [0, 0]
    for row in scene.rows:
        for move in row.report.transitions if row.report is not None else ():
            place = row.packet if move.cause < lowest[move.side] else move.cause
            lowest[move.side] = place
            places[row.packet, move.side, move.after] = place
    return places


def of_row(scene: Scene, packet: int) -> list[Reason]:
    """What a ladder does not show of a packet: why it was sent, what the programs notice, what was found."""
    return reasons(scene.moment(packet), _worth_telling())


@cache
def _worth_telling() -> Sequence[Rule]:
    return [rule for rule in RULES if _is_worth_telling(rule)]


def _is_worth_telling(rule: Rule) -> bool:
    if rule.name in _FINDINGS or rule.part in (Part.WHY, Part.PROGRAMS):
        return True
    return rule.part is Part.CHANGES and not rule.name.startswith(_SHOWN_IN_LADDER)
