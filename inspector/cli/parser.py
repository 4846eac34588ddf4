"""The options of every command, as a table; only the parser of the command that is run is built."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from inspector.text import say, translated
from inspector.text.language import Language
from inspector.text.problems import UsageProblem

_MOST_PORTS = 65_535


class _Parser(argparse.ArgumentParser):
    """Tells a usage error in one line, as every other problem is told."""

    def error(self, message: str) -> NoReturn:
        raise UsageProblem("cli.usage", message=message, program=self.prog)


def _formatter(prog: str) -> argparse.HelpFormatter:
    from inspector.cli.help import HelpFormatter

    return HelpFormatter(prog)


def _speak_to_users() -> None:
    """Let argparse look its own messages up with us: it asks gettext, which would want compiled files for them."""
    vars(argparse)["_"] = lambda words: words and translated(words)  # it asks for descriptions that are None too


def _number(least: int, most: int | None = None) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isascii() or not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
            key = "cli.number_from" if most is None else "cli.number_between"
            raise argparse.ArgumentTypeError(say(key, text=text, least=least, most=most))
        return int(text)

    return number


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(say("cli.positive", text=text))
    return value


_Option = tuple[tuple[str, ...], dict[str, Any]]


def _option(*names: str, **settings: Any) -> _Option:
    return names, settings


_port = _option("--port", type=_number(1, _MOST_PORTS), action="append", metavar="N")
_host = _option("--host", metavar="ADDRESS")
_conversation = _option("--conversation", type=_number(1), metavar="N")
_json = _option("--json", action="store_true")
_write = [_option("--write", metavar="FILE"), _option("--overwrite", action="store_true")]
_drawing = [
    _option("--ascii", action="store_true"),
    _option("--color", choices=("auto", "always", "never"), default="auto"),
    _option("--width", type=_number(60, 1000), metavar="COLUMNS"),
]
_ladder = [
    _option("--absolute", action="store_true"),
    _option("--raw", action="store_true"),
    _option("--style", choices=("arrows", "rfc"), default="arrows"),
    _option("--unfold", action="store_true"),
]
_calls = [
    _option("--calls", choices=("auto", "rows", "off"), default="auto"),
    _option("--buffers", action="store_true"),
]
_layers = _option("--layers", action="store_true")
_framing = _option("--framing", metavar="SPEC", default="auto")
_file = _option("file", metavar="FILE|NAME")
_language = _option("--lang", choices=tuple(Language))  # taken out before: here it is named in the help

COMMANDS: dict[str, list[_Option]] = {
    "watch": [
        _port,
        _option("--interface", default="lo", metavar="NAME"),
        _host,
        _option("--filter", metavar="BPF"),
        *_write,
        _option("--count", type=_number(1), metavar="N"),
        _option("--duration", type=_positive, metavar="SECONDS"),
        _option("--pid", type=_number(1), metavar="PROCESS"),
        _layers,
        _option("--messages", action="store_true"),
        _framing,
        _json,
        *_ladder[:3],
        *_drawing,
    ],
    "replay": [
        _file,
        _conversation,
        _port,
        _host,
        _option("--speed", type=_positive, metavar="FACTOR"),
        _option("--step", action="store_true"),
        _layers,
        _option("--explain", action="store_true"),
        *_ladder,
        *_calls,
        *_drawing,
    ],
    "follow": [
        _file,
        _option("--conversation", type=_number(1), metavar="N", required=True),
        _option("--direction", choices=("to-server", "to-client")),
        _option("--raw", action="store_true"),
        _option("--hex", action="store_true"),
        *_drawing,
    ],
    "conversations": [_file, _port, _host, _conversation, _json, *_drawing],
    "timeline": [_file, _port, _host, _conversation, *_drawing],
    "messages": [
        _file,
        _framing,
        _option("--direction", choices=("to-server", "to-client")),
        _port,
        _host,
        _conversation,
        _json,
        *_drawing,
    ],
    "layers": [
        _file,
        _option("--packet", type=_number(1), metavar="N"),
        _option("--step", action="store_true"),
        _option("--fields", action="store_true"),
        _option("--diagram", action="store_true"),
        _option("--hex", action="store_true"),
        _option("--field", metavar="NAME"),
        _json,
        *_drawing,
    ],
    "explain": [
        _option("what", nargs="?", metavar="TOPIC|FILE|NAME"),
        _option("file", nargs="?", metavar="FILE|NAME"),
        _option("--packet", type=_number(1), metavar="N"),
        _conversation,
        _option("--live", action="store_true"),
        _option("--step", action="store_true"),
        _json,
        *_drawing,
    ],
    "quiz": [
        _option("what", nargs="?", metavar="TOPIC|FILE|NAME"),
        _option("--count", type=_number(1), metavar="N", default=8),
        _option("--seed", type=_number(0), metavar="N"),
        *_drawing,
    ],
    "calls": [_file, _port, _host, _conversation, _json, *_drawing],
    "packets": [_file, _port, _host, _conversation, _json, *_drawing],
    "demo": [
        _option("name", nargs="?", metavar="NAME"),
        _option("--list", action="store_true"),
        _option("--variant", metavar="VARIANT"),
        *_write,
        *_ladder,
        *_calls,
        *_drawing,
    ],
    "run": [
        _option("--output", metavar="FILE"),
        _option("--recorder", choices=("auto", "python", "strace", "none"), default="auto"),
        _option("--at-end", action="store_true"),
        _option("--host-network", action="store_true"),
        _port,
        *_write,
        *_ladder,
        *_calls,
        *_drawing,
        _option("programs", nargs=argparse.REMAINDER, metavar="-- PROGRAM ... [--and PROGRAM ...]"),
    ],
    "doctor": [*_drawing],
    "completion": [_option("shell", choices=("bash", "zsh", "tcsh"))],
}
_EXCLUSIVE = {
    ("replay", "--speed"),
    ("replay", "--step"),
    ("follow", "--raw"),
    ("follow", "--hex"),
    ("watch", "--pid"),
    ("watch", "--layers"),
    ("watch", "--messages"),
    ("watch", "--json"),
}
_OWN_HELP = {
    ("explain", "file"),
    ("explain", "packet"),
    ("explain", "step"),
    ("quiz", "count"),
    ("quiz", "what"),
    ("follow", "raw"),
    ("watch", "port"),
    ("watch", "json"),
    ("layers", "step"),
    ("layers", "hex"),
    ("layers", "json"),
}


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command and its options; raises UsageProblem, and SystemExit after printing help."""
    _speak_to_users()
    if arguments and arguments[0] in COMMANDS:
        command = arguments[0]
        parser = _Parser(prog=f"inspector {command}", description=say(f"cli.{command}"), formatter_class=_formatter)
        _fill(parser, command)
        options = parser.parse_args(arguments[1:])
        options.command = command
        return options
    options = _overview().parse_args(arguments or ["--help"])
    raise AssertionError(options)  # the overview knows no command that would get here


def complete_parser() -> argparse.ArgumentParser:
    """All commands with all their options, for completion scripts."""
    parser = _Parser(prog="inspector", description=say("cli.program"))
    commands = parser.add_subparsers(metavar=say("cli.command_placeholder"))
    for command in COMMANDS:
        _fill(commands.add_parser(command, help=say(f"cli.{command}")), command)
    return parser


def _overview() -> argparse.ArgumentParser:
    """What ``inspector --help`` shows: the commands, without their options."""
    parser = _Parser(
        prog="inspector", description=say("cli.program"), epilog=say("cli.more"), formatter_class=_formatter
    )
    parser.add_argument("--version", action="version", version="inspector", help=say("cli.version"))
    commands = parser.add_subparsers(title=say("cli.commands"), metavar=say("cli.command_placeholder"), required=True)
    for command in COMMANDS:
        commands.add_parser(command, help=say(f"cli.{command}"), add_help=False)
    return parser


def _fill(parser: argparse.ArgumentParser, command: str) -> None:
    either: argparse._MutuallyExclusiveGroup | None = None
    for names, settings in [*COMMANDS[command], _language]:
        group: argparse._ActionsContainer = parser
        if (command, names[0]) in _EXCLUSIVE:
            group = either = either or parser.add_mutually_exclusive_group()
        name = names[0].removeprefix("--")
        key = f"cli.{command}_{name}" if (command, name) in _OWN_HELP else f"cli.option_{name}"
        group.add_argument(*names, help=say(key), **settings)
