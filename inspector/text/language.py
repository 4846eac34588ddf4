"""Which language is spoken: as asked for, else as the environment says, else English."""

import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class Language(StrEnum):
    """The languages that every text is there in."""

    ENGLISH = "en"
    CHINESE = "zh"


_VARIABLES = ("LC_ALL", "LC_MESSAGES", "LANG")  # the first that is set decides: locale(7)
_spoken = Language.ENGLISH


def spoken() -> Language:
    """The language of the texts."""
    return _spoken


def speak(language: Language) -> None:
    """Say everything in this language from now on."""
    global _spoken
    _spoken = language


def preferred(environment: Mapping[str, str]) -> Language:
    """The language that the environment of a program asks for; English for one that is not spoken here."""
    name = next((environment[variable] for variable in _VARIABLES if environment.get(variable)), "")
    return next((language for language in Language if name[:2].lower() == language), Language.ENGLISH)


def users_environment() -> Mapping[str, str]:
    """Our environment, or under a sudo that leaves no word of the language in it, that of sudo itself."""
    if "SUDO_USER" not in os.environ or any(os.environ.get(variable) for variable in _VARIABLES):
        return os.environ
    try:
        entries = Path(f"/proc/{os.getppid()}/environ").read_bytes().split(b"\0")
    except OSError:
        return os.environ
    pairs = (entry.decode(errors="replace").partition("=") for entry in entries)
    return {name: value for name, _, value in pairs}
