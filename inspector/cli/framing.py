"""The option ``--framing``."""

from inspector.framing.registry import AUTO, Opener, UnknownFraming, names, opener
from inspector.text import listed
from inspector.text.problems import UsageProblem


def framing_opener(framing: str) -> Opener | None:
    """What cuts a conversation into messages; None when it is to be found. Raises UsageProblem for an unknown one."""
    try:
        return None if framing == AUTO else opener(framing)
    except UnknownFraming:
        raise UsageProblem("messages.unknown", framing=framing, names=listed([AUTO, *names()])) from None
