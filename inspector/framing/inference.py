"""Which framing a stream has, from its bytes alone.

Every framing is tried on both directions, and a length prefix in all its forms. What speaks for one is counted in bits:
how unlikely it is that bytes of another kind would fit it as well. A length of four bytes that leads exactly to the
next one is worth most of its 32 bits; one of a single byte says next to nothing, unless segments begin where messages
do.
"""

from collections.abc import Iterator, Sequence
from itertools import product
from math import log2
from typing import NamedTuple

from inspector.framing.framer import Framer, Message
from inspector.framing.registry import opener

_ENOUGH_BITS = 22.0  # some thirty framings are tried: by chance one of them fits in less than a stream of 10,000
_MOST_BYTES = 1 << 18  # of each direction are looked at
_LEAST_MESSAGES = 2
_WIDTHS = {"B": 1, "H": 2, "I": 4, "Q": 8}
_LENGTHS = [
    f"length:{order}{letter}{counts}"
    for letter, order, counts in product(_WIDTHS, "!<", ("", ",header"))
    if letter != "B" or order == "!"
]
_BITS_A_MESSAGE = {"http": 60.0, "tls": 18.0, "resp": 20.0, "json-lines": 30.0, "dns": 12.0}
_TEXT_CONTROLS = frozenset(b"\t\n\r")


class Candidate(NamedTuple):
    """A framing that was tried: how many messages it makes of both directions, and what speaks for it."""

    framing: str
    messages: int
    bits: float


class Inference(NamedTuple):
    """The framing that fits, None when none does; ``next_best`` is the one after it."""

    best: Candidate | None
    next_best: Candidate | None


Direction = tuple[bytes, Sequence[int]]
"""The bytes, and the offsets at which segments begin."""


def infer(to_server: bytes | Direction, to_client: bytes | Direction = b"") -> Inference:
    """The framing of a conversation from the bytes of its directions and, where known, where their segments begin."""
    streams = [(each, (0,)) if isinstance(each, bytes) else each for each in (to_server, to_client)]
    directions = [_looked_at(stream) for stream in streams]
    cut_short = [len(stream[0]) > _MOST_BYTES for stream in streams]
    candidates = sorted(_candidates(directions, cut_short), key=lambda candidate: -candidate.bits)
    fitting = [candidate for candidate in candidates if candidate.bits >= _ENOUGH_BITS]
    best = fitting[0] if fitting else None
    others = [candidate for candidate in candidates if candidate is not best]
    return Inference(best, others[0] if others else None)


def _looked_at(direction: Direction) -> Direction:
    data, starts = direction
    return data[:_MOST_BYTES], [start for start in starts if 0 < start < _MOST_BYTES]


def _candidates(directions: Sequence[Direction], cut_short: Sequence[bool]) -> Iterator[Candidate]:
    for framing in ("websocket", *_BITS_A_MESSAGE, "line", "size-then-body", *_LENGTHS):
        messages, bits = 0, 0.0
        for framer, (data, starts), cut in zip(opener(framing)(), directions, cut_short, strict=True):
            if not data:
                continue
            found = _cut(framer, data, cut)
            if found is None:
                break
            messages += len(found)
            bits += _bits(framing, data, starts, found)
        else:
            if messages >= (1 if framing in ("size-then-body", "http") else _LEAST_MESSAGES):
                yield Candidate(framing, messages, bits)


def _cut(framer: Framer, data: bytes, cut_short: bool) -> list[Message] | None:
    """All messages when the bytes fit to the last one; a stream that was not looked at whole may end within one."""
    found = framer.feed(data)
    rest = [] if cut_short else framer.finish()
    whole = framer.problem is None and (cut_short or all(message.complete for message in rest))
    return [*found, *rest] if whole and (found or rest) else None


def _bits(framing: str, data: bytes, starts: Sequence[int], messages: Sequence[Message]) -> float:
    name, _, layout = framing.partition(":")
    if name == "length":
        return _length_bits(_WIDTHS[layout[1]], data, starts, messages)
    if name == "line":
        return min(float(len(data)), 40.0 + len(messages)) if _is_text(data) else 0.0
    if name == "size-then-body":
        return 3.3 * messages[0].header_end + 6
    if name == "websocket":
        return 60.0 + 4 * len(messages) if data.startswith((b"GET ", b"HTTP/1.1 101")) else 0.0
    if name == "dns":
        return sum(30.0 for message in messages if _is_dns(data[message.header_end : message.header_end + 12]))
    if name == "json-lines":
        objects = sum(data[message.start] in b"{[" for message in messages)
        return _BITS_A_MESSAGE[name] * objects
    return _BITS_A_MESSAGE[name] * len(messages)


def _length_bits(width: int, data: bytes, starts: Sequence[int], messages: Sequence[Message]) -> float:
    """What lengths are worth that lead from message to message, and to the very end."""
    empty = sum(message.end == message.header_end for message in messages)
    if 2 * empty >= len(messages):  # zeros make empty messages of anything
        return 0.0
    size = len(data)
    bits = sum(max(8 * width - log2(size - message.start + 1), 0.0) for message in messages[:-1])
    bits += 8.0 * width  # the last one has exactly the length that leads to the end
    begun = {message.start for message in messages}
    bits += log2(size / len(messages) + 1) * sum(start in begun for start in starts)
    bodies = b"".join([data[message.header_end : message.end] for message in messages])
    if not _is_text(data) and _is_text(bodies):
        bits += min(len(bodies) / 2, 20.0)
    return bits


def _is_text(data: bytes) -> bool:
    if any(byte < 0x20 and byte not in _TEXT_CONTROLS for byte in data):
        return False
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.end == len(data) and error.reason == "unexpected end of data"
    return True


def _is_dns(header: bytes) -> bool:
    """A query or a response with one question, RFC 1035 section 4.1.1."""
    return len(header) == 12 and header[4:6] == b"\0\1" and header[2] >> 3 & 15 <= 5 and not header[3] & 0x40
