"""What can go wrong with files, rights, options and tools: exceptions that name operation, object and remedy by key."""

from functools import partial

from inspector.text import say, translated


class Problem(Exception):
    """A failure to be told to the user in one line. ``key`` names the text (``problem.*``), the rest fills it in.

    ``exit_status`` is what the command ends with: 1 failed, 2 usage, 3 input damaged but shown as far as it goes.
    """

    exit_status = 1

    def __init__(self, key: str, /, **parameters: object) -> None:
        super().__init__(key, parameters)
        self.key = key
        self.parameters = parameters

    def __reduce__(self) -> tuple[partial["Problem"], tuple[str]]:
        return partial(type(self), **self.parameters), (self.key,)

    def __str__(self) -> str:
        given = self.parameters.get("reason")
        reason = {"reason": translated(given)} if isinstance(given, str) else {}
        return say(self.key, **self.parameters | reason)


class FileProblem(Problem):
    """A file cannot be opened, read or written, or is no capture at all."""


class DamageProblem(Problem):
    """A capture stops making sense at some point; what came before it has been read."""

    exit_status = 3


class RightProblem(Problem):
    """The right to capture, or to make a private network, is missing."""


class LiveProblem(Problem):
    """An interface, a program or a tool needed for a live capture is missing or went away."""


class UsageProblem(Problem):
    """An option's value cannot be used."""

    exit_status = 2
