"""Every sentence a user reads, by key and parameters, one text per language side by side.

A key is ``area.name``; the area names a TOML file in this folder, read when its first key is asked for. An entry has
one text per language (``en``); where a count decides the grammar it has a second one (``en_one``) that is taken when
the parameter ``count`` is 1.
"""

import tomllib
from functools import cache
from pathlib import Path

_DEFAULT_LANGUAGE = "en"


@cache
def _area(name: str) -> dict[str, dict[str, str]]:
    return tomllib.loads(Path(__file__).with_name(f"{name}.toml").read_text(encoding="utf-8"))


def say(key: str, /, **parameters: object) -> str:
    """The text of a key with its parameters filled in; a missing key or parameter raises KeyError."""
    area, name = key.split(".", 1)
    entry = _area(area)[name]
    one = f"{_DEFAULT_LANGUAGE}_one"
    template = entry[one] if parameters.get("count") == 1 and one in entry else entry[_DEFAULT_LANGUAGE]
    return template.format_map(parameters)


def load_all() -> None:
    """Read every text now, for a process that will lose the right to read its own files."""
    for file in Path(__file__).parent.glob("*.toml"):
        _area(file.stem)
