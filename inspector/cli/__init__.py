"""The command ``inspector``: what was asked for is read here, done in a module of its own, and ends in an exit status.

0 done, 1 failed, 2 usage, 3 input damaged but shown as far as it goes, 130 interrupted.
"""

import gc
import os
import sys
from io import TextIOWrapper

from inspector import __version__

_INTERRUPTED = 130
_TRACEBACK_VARIABLE = "INSPECTOR_TRACEBACK"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status. Nothing is imported before it is known to be needed."""
    _prepare_streams()
    try:
        status = _run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:  # who read our output has gone (head, less): that is no error
        _give_up_output()
        return 0
    except Exception as error:
        if os.environ.get(_TRACEBACK_VARIABLE):
            raise
        return _told(error)


def _run(arguments: list[str]) -> int:
    if arguments == ["--version"]:
        print(f"inspector {__version__}")
        return 0
    from inspector.cli.language import choose

    arguments = choose(arguments)
    # Objects are many here and hardly ever in cycles: looking for these takes a quarter of the time of a large file.
    gc.set_threshold(100_000, 50, 100)
    # numpy starts a thread a core for linear algebra, of which there is none here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from inspector.cli.parser import parse

    options = parse(arguments)
    from importlib import import_module

    status: int = import_module(f"inspector.cli.{options.command}").run(options)
    return status


def _told(error: Exception) -> int:
    """Say in one line on stderr what went wrong; the exit status that belongs to it."""
    from inspector.text import say, translated
    from inspector.text.problems import Problem
    from inspector.views.safe_text import safe_text  # what was typed may have been pasted from anywhere

    status = 1
    if isinstance(error, Problem):
        sentence, status = str(error), error.exit_status
    elif isinstance(error, OSError):  # those of files, sockets and programs are Problems: this one is of our output
        _give_up_output()
        sentence = say("cli.output", reason=translated(error.strerror or str(error)))
    else:
        sentence = say("cli.bug", error=f"{type(error).__name__}: {error}", variable=_TRACEBACK_VARIABLE)
    sys.stdout.flush()
    print(f"inspector: {safe_text(sentence)}", file=sys.stderr)
    return status


def _prepare_streams() -> None:
    """A stream that the shell closed (``>&-``, ``<&-``) takes everything and shows nothing; whatever is typed can be
    read."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: PTH123, SIM115 - it lives as long as the program
    elif isinstance(sys.stdin, TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115


def _give_up_output() -> None:
    """Nothing more goes to standard output, nor may the interpreter's last flush of it fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
