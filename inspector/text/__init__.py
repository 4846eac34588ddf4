"""Every sentence a user reads, by key and parameters, one text per language side by side; and the language spoken.

A key is ``area.name``; the area names a TOML file in this folder, or with dots in a folder below it, read when its
first key is asked for. An entry has one text per language (``en``, ``zh``); where a count decides the grammar it has a
second one (``en_one``) that is taken when the parameter ``count`` is 1.
"""

import tomllib
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from inspector.text import language
from inspector.text.language import Language

_FOLDER = Path(__file__).parent
_FOREIGN = "foreign"
_BETWEEN_ITEMS = {Language.ENGLISH: ", ", Language.CHINESE: "、"}
_BETWEEN_CLAUSES = {Language.ENGLISH: "; ", Language.CHINESE: "；"}


@cache
def _area(name: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((_FOLDER / f"{name.replace('.', '/')}.toml").read_text(encoding="utf-8"))


def say(key: str, /, **parameters: object) -> str:
    """The text of a key with its parameters filled in; a missing key or parameter raises KeyError."""
    area, _, name = key.rpartition(".")
    entry, spoken = _area(area)[name], language.spoken()
    one = f"{spoken}_one"
    template = entry[one] if parameters.get("count") == 1 and one in entry else entry[spoken]
    return template.format_map(parameters)


def listed(items: Iterable[object]) -> str:
    """Several things of a kind, as they stand within a sentence."""
    return _BETWEEN_ITEMS[language.spoken()].join(map(str, items))


def clauses(parts: Iterable[str]) -> str:
    """Several statements as one."""
    return _BETWEEN_CLAUSES[language.spoken()].join(parts)


def translated(words: str) -> str:
    """What the system or a library says in English, in the language spoken, as far as it is known there.

    Of ``operation: reason`` the reason may be.
    """
    spoken = language.spoken()
    if spoken is Language.ENGLISH:
        return words
    known = {entry["en"]: entry[spoken] for entry in _area(_FOREIGN).values()}
    before, colon, reason = words.rpartition(": ")
    return known.get(words.strip()) or f"{before}{colon}{known.get(reason, reason)}"


def has(key: str) -> bool:
    """Whether there is a text of that key, in an area that exists."""
    area, _, name = key.rpartition(".")
    return name in _area(area)


def load_all() -> None:
    """Read every text now, for a process that will lose the right to read its own files."""
    for file in _FOLDER.rglob("*.toml"):
        _area(".".join(file.relative_to(_FOLDER).with_suffix("").parts))
