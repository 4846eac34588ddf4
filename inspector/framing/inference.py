"""Which framing a stream has, from its bytes alone.

Every framing is tried on both directions, and a length prefix in all its forms. What speaks for one is counted in bits:
how unlikely it is that bytes of another kind would fit it as well. A length of four bytes that leads exactly to the
next one is worth most of its 32 bits; one of a single byte says next to nothing, unless segments begin where messages
do.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from itertools import compress, product
from math import log2
from typing import NamedTuple

from inspector.framing.framer import Framer, Message
from inspector.framing.recognise import recognised
from inspector.framing.registry import opener

_ENOUGH_BITS = 22.0  # some thirty framings are tried: by chance one of them fits in less than a stream of 10,000
_WORTH_TRYING = 9.0
MOST_BYTES = 1 << 18  # of each direction are looked at
_LEAST_MESSAGES, _MOST_MESSAGES = 2, 1_000
_STEP_BYTES = 1 << 12
_WIDTHS = {"B": 1, "H": 2, "I": 4, "Q": 8}
_LENGTHS = [
    f"length:{order}{letter}{counts}"
    for letter, order, counts in product(_WIDTHS, "!<", ("", ",header"))
    if letter != "B" or order == "!"
]
_BITS_A_MESSAGE = {"http": 60.0, "tls": 24.0, "resp": 15.0, "json-lines": 40.0, "dns": 30.0}
_SHORT_BITS = 3.0  # small numbers are everywhere in binary headers: a length of one byte must fit better
_NESTED_BITS = 40.0  # of a RESP message with lengths in it
_NESTED = b"*$%~>|="
_NOT_IN_TEXT = bytes(set(range(0x20)) - set(b"\t\n\r"))


class Extent(StrEnum):
    """How far a framing explains what was said."""

    WHOLE = "whole"  # to the last byte of both directions
    CUT_OFF = "cut_off"  # but for a last message that is not complete
    BEGINNING = "beginning"  # as far as was looked: the streams are longer, or something in them is missing


class Candidate(NamedTuple):
    """A framing that was tried: how many complete messages it makes of both directions, and what speaks for it."""

    framing: str
    messages: int
    bits: float
    extent: Extent


class Inference(NamedTuple):
    """The framing that fits, None when none does; ``next_best`` is the one after it."""

    best: Candidate | None
    next_best: Candidate | None

    @property
    def perhaps(self) -> str:
        """A framing that is not sure and yet worth a try, "" for none: a length of one byte fits too much."""
        other = self.next_best
        is_short = other is not None and other.framing.startswith("length:!B")
        return "" if self.best is not None or other is None or is_short or other.bits < _WORTH_TRYING else other.framing


class Direction(NamedTuple):
    """The bytes, and the offsets at which segments begin. ``goes_on``: these are not all bytes of the direction."""

    data: bytes
    starts: Sequence[int] = ()
    goes_on: bool = False


class _Cut(NamedTuple):
    """What was looked at of a direction, cut into messages: those that are complete, and one that is under way."""

    direction: Direction
    complete: list[Message]
    under_way: Message | None


Given = bytes | Direction | tuple[bytes, Sequence[int]]


def infer(to_server: Given, to_client: Given = b"") -> Inference:
    """The framing of a conversation from the bytes of its directions and, where known, where their segments begin."""
    given = (Direction(each) if isinstance(each, bytes) else Direction(*each) for each in (to_server, to_client))
    directions = [_looked_at(each) for each in given]
    candidates = sorted(_candidates(directions), key=lambda candidate: -candidate.bits)
    fitting = [candidate for candidate in candidates if candidate.bits >= _ENOUGH_BITS]
    best = fitting[0] if fitting else None
    others = [candidate for candidate in candidates if candidate is not best]
    return Inference(best, others[0] if others else None)


def _looked_at(direction: Direction) -> Direction:
    data, starts, goes_on = direction
    starts = [start for start in starts if 0 < start < MOST_BYTES]
    return Direction(data[:MOST_BYTES], starts, goes_on or len(data) > MOST_BYTES)


def _candidates(directions: Sequence[Direction]) -> Iterator[Candidate]:
    spoken = [bool(direction.data) for direction in directions]
    for framing in ("websocket", *_BITS_A_MESSAGE, "line", "size-then-body", *_LENGTHS):
        both = compress(zip(opener(framing)(), directions, strict=True), spoken)
        cuts = [_cut(framing, framer, direction) for framer, direction in both]
        counted = [(cut, _bits(framing, cut)) for cut in cuts if cut is not None]
        if len(counted) < sum(spoken) or any(bits is None for _, bits in counted):
            continue
        messages = sum(len(cut.complete) for cut, _ in counted)
        if messages >= (1 if framing in ("size-then-body", "http") else _LEAST_MESSAGES):
            bits = sum(each or 0.0 for _, each in counted)
            yield Candidate(framing, messages, bits, _extent([cut for cut, _ in counted]))


def _extent(cuts: Sequence[_Cut]) -> Extent:
    if any(cut.direction.goes_on for cut in cuts):
        return Extent.BEGINNING
    return Extent.CUT_OFF if any(cut.under_way is not None for cut in cuts) else Extent.WHOLE


def _cut(framing: str, framer: Framer, direction: Direction) -> _Cut | None:
    """The messages, when the bytes fit to the last one.

    One at the end may be cut off. Alone it says nothing, unless its header tells what it is or the direction goes on.
    """
    direction, found = _fed(framer, direction)
    if direction.goes_on:
        rest = [framer.under_way] if framer.under_way.end > framer.under_way.start else []
    else:
        rest = framer.finish()
    if framer.problem is not None:
        return None
    complete = found + [message for message in rest if message.complete]
    under_way = next((message for message in rest if not message.complete), None)
    told = under_way is not None and under_way.header_end < under_way.end
    fits = bool(complete) or (told and (direction.goes_on or framing == "http"))
    return _Cut(direction, complete, under_way) if fits else None


def _fed(framer: Framer, direction: Direction) -> tuple[Direction, list[Message]]:
    """The complete messages, and how much was looked at: enough of them is enough."""
    data, starts, _ = direction
    found: list[Message] = []
    for at in range(0, len(data), _STEP_BYTES):
        found += framer.feed(data[at : at + _STEP_BYTES])
        if framer.problem is not None:
            break
        end = at + _STEP_BYTES
        if len(found) >= _MOST_MESSAGES and end < len(data):
            return Direction(data[:end], [start for start in starts if start < end], True), found
    return direction, found


def _bits(framing: str, cut: _Cut) -> float | None:
    """What a direction says for a framing; None when its bytes speak against it."""
    name, _, layout = framing.partition(":")
    data, messages = cut.direction.data, cut.complete
    if name == "length":
        return _length_bits(_WIDTHS[layout[1]], cut)
    if name == "line":
        return min(len(data), 24.0) + min(len(messages), 6.0) if _is_text(data) else None
    if name == "size-then-body":
        return 3.3 * messages[0].header_end + 6 if cut.under_way is None and messages else None
    if name == "websocket":
        return 120.0 + 4 * len(messages) if recognised(data) == name else None
    if name == "dns":
        are_dns = all(_is_dns(data[message.header_end : message.header_end + 12]) for message in messages)
        return _BITS_A_MESSAGE[name] * len(messages) if are_dns else None
    if name == "json-lines":
        return _BITS_A_MESSAGE[name] * sum(data[message.start] in b"{[" for message in messages)
    if name == "resp":
        nested = sum(data[message.start] in _NESTED for message in messages)
        return _NESTED_BITS * nested + _BITS_A_MESSAGE[name] * (len(messages) - nested)
    return _BITS_A_MESSAGE[name] * (len(messages) + (name == "http" and cut.under_way is not None))


def _length_bits(width: int, cut: _Cut) -> float:
    """What lengths are worth that lead from message to message, and to the very end.

    A signed length that is never negative is the same as an unsigned one: nothing in the bytes tells which it is.
    """
    (data, _, goes_on), messages = cut.direction, cut.complete
    empty = sum(message.end == message.header_end for message in messages)
    if 2 * empty >= len(messages):  # zeros make empty messages of anything
        return 0.0
    if _is_text(data) or (width == 1 and cut.under_way is not None and not goes_on):  # any byte is a length
        return 0.0
    size = len(data)
    to_the_end = messages[:-1] if cut.under_way is None else messages
    bits = sum(max(8 * width - log2(size - message.start + 1), 0.0) for message in to_the_end)
    if cut.under_way is None:
        bits += 8.0 * width  # the last one has exactly the length that leads to the end
    bits += _starts_bits(cut.direction, [message.start for message in messages])
    bits -= _SHORT_BITS if width == 1 else 0.0
    bodies = b"".join([data[message.header_end : message.end] for message in messages])
    if _is_text(bodies):
        bits += min(len(bodies) / 2, 20.0)
    return bits


def _starts_bits(direction: Direction, begun: Sequence[int]) -> float:
    """How much more often segments begin where messages do than by chance: the bound of Chernoff."""
    tried = len(direction.starts)
    share = len(set(begun).intersection(direction.starts)) / (tried or 1)
    chance = len(begun) / len(direction.data)
    if share <= chance:
        return 0.0
    missed = 0.0 if share == 1 else (1 - share) * log2((1 - share) / (1 - chance))
    return tried * (share * log2(share / chance) + missed)


def _is_text(data: bytes) -> bool:
    if len(data.translate(None, _NOT_IN_TEXT)) < len(data):
        return False
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.end == len(data) and error.reason == "unexpected end of data"
    return True


def _is_dns(header: bytes) -> bool:
    """A query or a response with one question, RFC 1035 section 4.1.1."""
    return len(header) == 12 and header[4:6] == b"\0\1" and header[2] >> 3 & 15 <= 5 and not header[3] & 0x40
