"""A reason: one sentence by key and parameters, with what it rests on. The language is chosen when it is said."""

from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from inspector.calls.matching import SidedCall
from inspector.tcp.states import Known


class Part(StrEnum):
    """Which question about a packet a reason answers, in the order in which they are asked."""

    WHAT = "what"  # it is
    WHY = "why"  # it was sent
    NUMBERS = "numbers"  # where its numbers come from
    CHANGES = "changes"  # of the states at both ends
    PROGRAMS = "programs"  # what they notice
    NEXT = "next"  # what it makes happen, or what is missing


class Duration(int):
    """Nanoseconds, as a parameter: said in a unit that fits."""


class Amount(int):
    """Bytes, as a parameter."""


class Numbers(tuple[int, ...]):
    """Packet numbers, as a parameter."""

    __slots__ = ()


class Case(NamedTuple):
    """What a rule found: ``parameters`` fill in its text; ``packets`` and ``calls`` are the evidence besides the packet
    itself."""

    parameters: Mapping[str, object] = {}
    packets: tuple[int, ...] = ()
    calls: tuple[SidedCall, ...] = ()
    known: Known = Known.SEEN


class Rule(NamedTuple):
    """When a sentence is true of a packet. ``source`` says who wrote the rule; ``text``, where rules share one, is the
    name of its text.

    ``find`` takes the Moment of a packet in its conversation; those of ``rules.FRAME_RULES`` take its CapturedFrame.
    """

    name: str
    part: Part
    topic: str
    source: str
    find: Callable[[Any], Iterator[Case]]
    text: str = ""

    @property
    def key(self) -> str:
        """The name of its text in the area ``reasons``."""
        return self.text or self.name


class Reason(NamedTuple):
    """A rule that holds for ``packet``."""

    packet: int
    rule: Rule
    case: Case
