"""Every sentence a user reads, by key and parameters, one text per language side by side; and the language spoken.

A key is ``area.name``; the area names a TOML file in this folder, or with dots in a folder below it, read when its
first key is asked for. An entry has one text per language (``en``, ``zh``); where a count decides the grammar it has a
second one (``en_one``) that is taken when the parameter ``count`` is 1.
"""

import tomllib
from functools import cache
from pathlib import Path

from inspector.text import language

_FOLDER = Path(__file__).parent


@cache
def _area(name: str) -> dict[str, dict[str, str]]:
    return tomllib.loads((_FOLDER / f"{name.replace('.', '/')}.toml").read_text(encoding="utf-8"))


def say(key: str, /, **parameters: object) -> str:
    """The text of a key with its parameters filled in; a missing key or parameter raises KeyError."""
    area, _, name = key.rpartition(".")
    entry = _area(area)[name]
    spoken = language.spoken() if language.spoken() in entry else "en"
    one = f"{spoken}_one"
    template = entry[one] if parameters.get("count") == 1 and one in entry else entry[spoken]
    return template.format_map(parameters)


def load_all() -> None:
    """Read every text now, for a process that will lose the right to read its own files."""
    for file in _FOLDER.rglob("*.toml"):
        _area(".".join(file.relative_to(_FOLDER).with_suffix("").parts))
