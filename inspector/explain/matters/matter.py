"""A matter: what deserves a look in a whole capture, by key and parameters, with what it rests on."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import cached_property
from typing import NamedTuple

from inspector.explain.reason import Case
from inspector.explain.scene import ACK, RST, Moment, Scene
from inspector.tcp.findings import Finding, Kind
from inspector.tcp.report import Outcome
from inspector.tcp.states import Known, Side
from inspector.trace.conversation import ConnectionEnd, Conversation, Row
from inspector.trace.messages import Framed


class Severity(IntEnum):
    """How much a matter matters, the worst first."""

    FAILED = 0  # something did not come about, or was lost
    SLOW = 1  # time was lost
    OPEN = 2  # something was not closed
    PROGRAM = 3  # how a program reads, that may go wrong
    NOTE = 4  # worth knowing, no fault


class Reading:
    """A conversation that was read for the report. ``whole``: to its end; ``end`` is that of all of it."""

    def __init__(
        self,
        scene: Scene,
        end: ConnectionEnd | None,
        capture_end_ns: int,
        *,
        whole: bool = True,
        framed: Callable[[], Framed] | None = None,
    ) -> None:
        self.scene = scene
        self.end = end
        self.capture_end_ns = capture_end_ns
        self.whole = whole
        self._framed = framed

    @property
    def conversation(self) -> Conversation:
        """Who talks to whom."""
        return self.scene.conversation

    @property
    def outcome(self) -> Outcome | None:
        """How a connection opened and closed; None for other protocols."""
        return None if self.end is None else self.end.outcome

    @cached_property
    def only(self) -> Side | None:
        """The side whose segments alone were captured, although the other must have answered: it acknowledges."""
        seen = [side for side in Side if self.scene.own_places[side]]
        own = self.scene.own_places[seen[0]] if self.outcome is not None and len(seen) == 1 else []
        acknowledges = any(self.scene.moment(self.scene.rows[place].packet).flags & ACK for place in own)
        return seen[0] if acknowledges and len(own) > 1 else None

    @cached_property
    def framed(self) -> Framed | None:
        """Its messages beside the calls; None where no calls were recorded."""
        return self._framed() if self._framed is not None and self.scene.calls else None

    @cached_property
    def resets(self) -> list[Moment]:
        """All resets, in order."""
        return [each for each in self.scene.moments() if each.flags & RST]

    @cached_property
    def reset(self) -> Moment | None:
        """The reset that ended the connection: the first one that moved an endpoint and was not ignored."""
        moved = [each for each in self.resets if each.report is not None and each.report.transitions]
        return next((each for each in moved if not self.is_ignored(each)), None)

    def is_ignored(self, reset: Moment) -> bool:
        """Whether both sides go on after a reset: its own sends data, and the other answers it."""
        data, plain = self._data[reset.side], self._plain[reset.side.other]
        at = bisect_right(data, reset.place)
        return at < len(data) and bool(plain) and plain[-1] > data[at]

    @cached_property
    def _plain(self) -> tuple[list[int], list[int]]:
        """By side, the places of all that is no reset."""
        rows, places = self.scene.rows, self.scene.own_places
        client, server = ([at for at in own if not flags_of(rows[at]) & RST] for own in places)
        return client, server

    @cached_property
    def _data(self) -> tuple[list[int], list[int]]:
        """By side, the places of what carries data and is no copy."""
        copies = {m.place for m, _ in self.found(Kind.DUPLICATED)}
        client, server = (
            [at for at in own if self.scene.rows[at].payload_bytes and at not in copies] for own in self._plain
        )
        return client, server

    def found(self, kind: Kind) -> Iterator[tuple[Moment, Finding]]:
        """The packets of which the analysis says this."""
        for packet, findings in self.scene.findings_of.items():
            for finding in findings:
                if finding.kind is kind:
                    yield self.scene.moment(packet), finding

    def left_ns(self, moment: Moment) -> int:
        """How long the capture goes on after a packet."""
        return self.capture_end_ns - moment.row.time_ns


def flags_of(row: Row) -> int:
    """TCP's flags of a row; 0 for what is no segment."""
    return row.report.segment.flags if row.report is not None else 0


class MatterRule(NamedTuple):
    """When a matter is there. Its texts are ``report.<name>``, ``<name>_several`` (of many conversations) and
    ``<name>_change``; ``to_the_end``: it says what never came, which only a conversation read to its end can tell."""

    name: str
    severity: Severity
    topic: str
    find: Callable[[Reading], Iterator[Case]]
    to_the_end: bool = False


class Matter(NamedTuple):
    """A rule that holds for these conversations; ``parameters`` are those of the case, or of all cases together."""

    rule: MatterRule
    conversations: tuple[Conversation, ...]
    case: Case


def weakest(known: list[Known]) -> Known:
    """How surely all of it is known."""
    return max(known, key=list(Known).index, default=Known.SEEN)
