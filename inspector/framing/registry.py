"""Framings by name: ``length:!I``, ``line``, ``http`` ... A third party adds one as an entry point of its package.

The group is ``packet_inspector.framings``; an entry is a function that takes what stands after the colon, "" for
nothing, and gives a function that makes the framers of both directions: to the server, to the client.
"""

import codecs
import struct
from collections import deque
from collections.abc import Callable

from inspector.framing.delimiter import DelimiterFramer
from inspector.framing.dns import DnsFramer
from inspector.framing.fixed import FixedFramer
from inspector.framing.framer import Framer
from inspector.framing.http import HttpFramer
from inspector.framing.json_lines import JsonLinesFramer
from inspector.framing.length import FORMATS, LONGEST, LengthFramer
from inspector.framing.line import LineFramer
from inspector.framing.raw import RawFramer
from inspector.framing.resp import RespFramer
from inspector.framing.size_then_body import SizeThenBodyFramer
from inspector.framing.tls import TlsFramer
from inspector.framing.websocket import WebSocketFramer

GROUP = "packet_inspector.framings"
AUTO = "auto"  # no framing: it is to be found

Pair = tuple[Framer, Framer]
Opener = Callable[[], Pair]


class UnknownFraming(ValueError):
    """A framing that does not exist, or an argument that it does not take; the text of it."""


def opener(spec: str) -> Opener:
    """What makes the framers of a conversation for ``NAME`` or ``NAME:ARGUMENT``; raises UnknownFraming."""
    name, _, argument = spec.partition(":")
    factory = _FRAMINGS.get(name) or _third_party(name)
    if factory is None:
        raise UnknownFraming(spec)
    try:
        return factory(argument)
    except (ValueError, struct.error):
        raise UnknownFraming(spec) from None


def names() -> list[str]:
    """The names of the framings that come with the program."""
    return sorted(_FRAMINGS)


def _third_party(name: str) -> Callable[[str], Opener] | None:
    from importlib.metadata import entry_points

    for entry in entry_points(group=GROUP, name=name):
        factory: Callable[[str], Opener] = entry.load()
        return factory
    return None


def _length(argument: str) -> Opener:
    layout, *options = argument.split(",")
    if layout[-1:] not in FORMATS or layout[:-1] not in ("", "!", "<", ">", "=", "@"):
        raise ValueError(layout)
    settings = {"offset": 0, "after": 0, "max": LONGEST}
    for option in options:
        key, _, value = option.partition("=")
        if option != "header":
            settings[{"offset": "offset", "after": "after", "max": "max"}.get(key, "")] = int(value)
    if "" in settings or min(settings.values()) < 0:
        raise ValueError(argument)

    def framer() -> LengthFramer:
        return LengthFramer(
            layout,
            counts_header="header" in options,
            offset=settings["offset"],
            after=settings["after"],
            longest=settings["max"],
        )

    return lambda: (framer(), framer())


def _delimiter(argument: str) -> Opener:
    delimiter = codecs.escape_decode(argument.encode())[0]
    if not delimiter:
        raise ValueError(argument)
    return lambda: (DelimiterFramer(delimiter), DelimiterFramer(delimiter))


def _fixed(argument: str) -> Opener:
    size = int(argument)
    if size < 1:
        raise ValueError(argument)
    return lambda: (FixedFramer(size), FixedFramer(size))


def _http() -> Pair:
    methods: deque[str] = deque()
    return HttpFramer(methods), HttpFramer(methods)


def _plain(pair: Opener) -> Callable[[str], Opener]:
    """A framing that takes no argument."""

    def factory(argument: str) -> Opener:
        if argument:
            raise ValueError(argument)
        return pair

    return factory


def _both(framer: Callable[[], Framer]) -> Callable[[str], Opener]:
    return _plain(lambda: (framer(), framer()))


_FRAMINGS: dict[str, Callable[[str], Opener]] = {
    "length": _length,
    "line": _both(LineFramer),
    "delimiter": _delimiter,
    "fixed": _fixed,
    "size-then-body": _both(SizeThenBodyFramer),
    "http": _plain(_http),
    "tls": _both(TlsFramer),
    "dns": _both(DnsFramer),
    "websocket": _both(WebSocketFramer),
    "resp": _both(RespFramer),
    "json-lines": _both(JsonLinesFramer),
    "raw": _both(RawFramer),
}
