"""The option ``--lang``, which every command takes: it is read before any text is said, that of ``--help`` too."""

import sys

from inspector.text import language, listed
from inspector.text.language import Language
from inspector.text.problems import UsageProblem

_OPTION = "--lang"
_CHINESE = "中文，"


def choose(arguments: list[str]) -> list[str]:
    """Speak the language asked for, or that of the environment; returns the arguments without the option.

    What follows ``--`` are programs with options of their own. Raises UsageProblem.
    """
    _speak(language.preferred(language.users_environment()))
    end = arguments.index("--") if "--" in arguments else len(arguments)
    rest, asked = [], None
    own = iter(arguments[:end])
    for argument in own:
        if argument == _OPTION:
            asked = next(own, "")
        elif argument.startswith(f"{_OPTION}="):
            asked = argument.partition("=")[2]
        else:
            rest.append(argument)
    if asked is not None:
        if not asked:
            raise UsageProblem("cli.no_language", known=listed(Language))
        if asked not in tuple(Language):
            raise UsageProblem("cli.unknown_language", language=asked, known=listed(Language))
        _speak(Language(asked))
    return rest + arguments[end:]


def _speak(wanted: Language) -> None:
    """Speak it where the streams can show it, else English: escaped Chinese can be read by nobody."""
    try:
        for stream in (sys.stdout, sys.stderr):
            _CHINESE.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        wanted = Language.ENGLISH
    language.speak(wanted)
