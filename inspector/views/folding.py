"""Long runs of like packets, as one row."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from inspector.calls.matching import SidedCall
from inspector.tcp.segment import Flag
from inspector.text import say
from inspector.trace.conversation import Row
from inspector.views.placement import Marks
from inspector.views.quantities import count, data_bytes

_SHORTEST_RUN = 13  # more than twelve
_SHOWN_AT_EACH_END = 2
_AROUND_MARKED = 3  # rows shown before and after one that matters
_SHORTEST_BETWEEN = 5
_EVENTFUL_FLAGS = ~int(Flag.ACK | Flag.PSH)


class Fold(NamedTuple):
    """Rows ``start`` up to, not including, ``end`` are drawn as one."""

    start: int
    end: int


def folds(rows: Sequence[Row], marks: Sequence[Marks], starts: frozenset[int]) -> dict[int, Fold]:
    """What to fold, by its first row; a run does not go beyond a row where a phase ``starts``.

    The first and last rows of a run stay, as examples of the rest.
    """
    found: dict[int, Fold] = {}
    start = 0
    for at in range(len(rows) + 1):
        ends = at == len(rows) or not _is_uneventful(rows[at], marks[at])
        if not ends and at not in starts:
            continue
        if at - start >= _SHORTEST_RUN:
            fold = Fold(start + _SHOWN_AT_EACH_END, at - _SHOWN_AT_EACH_END)
            found[fold.start] = fold
        start = at + 1 if ends else at
    return found


def folds_between(rows: Sequence[Row], marked: frozenset[int], starts: frozenset[int] = frozenset()) -> dict[int, Fold]:
    """What to fold where the rows of ``marked`` packets matter and what is far from them does not; none across a row
    where a phase ``starts``."""
    if not marked:
        return {}
    shown = {-1 - _AROUND_MARKED, len(rows) + _AROUND_MARKED}  # nothing stays for the ends
    shown.update(at for at, row in enumerate(rows) if row.packet in marked)
    found = []
    for before, after in pairwise(sorted(shown)):
        start, end = before + _AROUND_MARKED + 1, after - _AROUND_MARKED
        cuts = [start, *sorted(at for at in starts if start < at < end), end]
        found += [Fold(*fold) for fold in pairwise(cuts)]
    return {fold.start: fold for fold in found if fold.end - fold.start >= _SHORTEST_BETWEEN}


def outside_of(folded: Mapping[int, Fold], rows: Sequence[Row], calls: Sequence[SidedCall]) -> list[SidedCall]:
    """The calls that did not pass wholly within folded rows."""
    spans = [(rows[start].time_ns, rows[end - 1].time_ns) for start, end in folded.values()]
    return [
        each
        for each in calls
        if not any(
            begins <= each.call.enter_ns and each.call.exit_ns is not None and each.call.exit_ns <= ends
            for begins, ends in spans
        )
    ]


def folded_words(rows: Sequence[Row]) -> str:
    """What folded rows have in common: "38 segments · 55,024 B · ACKs 19"."""
    if rows[0].report is None:
        words = [say("ladder.folded_datagrams", count=count(len(rows)))]
    else:
        words = [say("ladder.folded_segments", count=count(len(rows)))]
    words.append(data_bytes(sum([row.payload_bytes for row in rows])))
    acks = sum([not row.payload_bytes and _is_plain(row) for row in rows])
    if acks:
        words.append(say("ladder.folded_acks", acks=count(acks)))
    return " · ".join(words)


def _is_plain(row: Row) -> bool:
    """A segment with none of the flags that open, close or reset."""
    return row.report is not None and not row.report.segment.flags & _EVENTFUL_FLAGS


def _is_uneventful(row: Row, marks: Marks) -> bool:
    if any(marks) or row.notice is not None or row.comment or row.fragment:
        return False
    report = row.report
    return report is None or not (report.findings or report.segment.flags & _EVENTFUL_FLAGS)
