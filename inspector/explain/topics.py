"""The topics: what learners ask about, as data (``topics.toml``). Their texts are ``topics.<area>.<entry>``."""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from inspector.explain.reason import Part, Rule
from inspector.explain.rules import RULES
from inspector.text import say

GROUPS = ("basics", "tcp", "closing", "trouble", "flow", "udp", "programs", "more")
PICTURES = ("ladder", "messages", "layers", "none")
# A ladder's row has the state itself, which a later packet shows, and none where nothing shows it.
_TOLD_OTHERWISE = ("arrived", "expected")
_OFFERED = ("sack_permitted", "timestamps")  # in nearly every SYN, whatever comes of it
_NEAREST = 3


class Variant(NamedTuple):
    """One picture of a topic: a conversation of a bundled capture, or one packet of it."""

    name: str
    capture: str
    conversation: int = 1
    packet: int | None = None

    def command(self, picture: str) -> str:
        """What shows it by itself."""
        if picture == "layers":
            return f"inspector layers {self.capture} --packet {self.packet}"
        words = f"inspector {'messages' if picture == 'messages' else 'replay'} {self.capture}"
        return words if self.conversation == 1 else f"{words} --conversation {self.conversation}"


class Topic(NamedTuple):
    """What is the same in every language. ``rules`` mark and narrate rows of its pictures."""

    name: str
    group: str
    picture: str
    variants: tuple[Variant, ...]
    rules: tuple[Rule, ...]
    demo: str | None
    demo_variant: str | None
    code: str
    see: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def area(self) -> str:
        """Where its texts are, below ``topics``."""
        return area_of(self.name)

    @property
    def deciding(self) -> Sequence[Rule]:
        """Those of the rules that tell whether a conversation shows the topic at all.

        A state alone does not (CLOSED is where a refused connection ends, too), nor what is only offered, nor what
        belongs to another topic.
        """
        own = [rule for rule in self.rules if rule.topic == self.name and rule.name not in _OFFERED]
        return [rule for rule in own if rule.part is not Part.CHANGES] or own or self.rules


def area_of(name: str) -> str:
    """The name of a topic's texts."""
    return name.replace("-", "_")


@cache
def topics() -> Mapping[str, Topic]:
    """All of them by name, in the order in which they are listed."""
    text = Path(__file__).with_name("topics.toml").read_text(encoding="utf-8")
    read = [_topic(name, entry) for name, entry in tomllib.loads(text).items()]
    return {topic.name: topic for group in GROUPS for topic in read if topic.group == group}


def nearest(name: str, others: Iterable[str] = ()) -> list[str]:
    """Names of topics that are called so in the language spoken, or are spelt like it, as others may be."""
    called = [topic.name for topic in topics().values() if name and name in say(f"topics.{topic.area}.title")]
    spelt = get_close_matches(name.lower().replace("_", "-"), {*topics(), *others}, _NEAREST, 0.5)
    return list(dict.fromkeys([*called, *spelt]))[:_NEAREST]


def _topic(name: str, entry: Mapping[str, Any]) -> Topic:
    also = entry.get("rules", ())  # rules of other topics that belong to these pictures
    return Topic(
        name=name,
        group=entry["group"],
        picture=entry["picture"],
        variants=tuple(Variant(**variant) for variant in entry.get("variants", ())),
        rules=tuple(
            rule for rule in RULES if rule.name in also or (rule.topic == name and rule.key not in _TOLD_OTHERWISE)
        ),
        demo=entry.get("demo"),
        demo_variant=entry.get("demo_variant"),
        code=entry.get("code", "").strip("\n"),
        see=tuple(entry.get("see", ())),
        sources=tuple(entry.get("sources", ())),
    )
