"""The command ``inspector``: what was asked for is read here, done in a module of its own, and ends in an exit status.

0 done, 1 failed, 2 usage, 3 input damaged but shown as far as it goes, 130 interrupted.
"""

import os
import sys

from inspector import __version__

_INTERRUPTED = 130
_TRACEBACK_VARIABLE = "INSPECTOR_TRACEBACK"


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit status. Nothing is imported before it is known to be needed."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments == ["--version"]:
        print(f"inspector {__version__}")
        return 0
    from inspector.text.problems import Problem

    try:
        status = _run(arguments)
        sys.stdout.flush()
        return status
    except Problem as problem:
        return _failed(str(problem), problem.exit_status)
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        # Who read our output has gone (head, less): that is no error, nor may the interpreter's last flush tell of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get(_TRACEBACK_VARIABLE):
            raise
        from inspector.text import say

        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}" if place else ""
        kind = type(error).__name__
        return _failed(say("cli.bug", error=f"{kind}: {error}", where=where, variable=_TRACEBACK_VARIABLE), 1)


def _run(arguments: list[str]) -> int:
    # numpy starts a thread a core for linear algebra, of which there is none here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from inspector.cli.parser import parse

    options = parse(arguments)
    from importlib import import_module

    status: int = import_module(f"inspector.cli.{options.command}").run(options)
    return status


def _failed(sentence: str, status: int) -> int:
    sys.stdout.flush()
    print(f"inspector: {sentence}", file=sys.stderr)
    return status
