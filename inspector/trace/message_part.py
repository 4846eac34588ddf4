"""The application message that a payload is part of, from the stream of its conversation."""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from inspector.decode.dissect import Field, Header, dissect_dns
from inspector.decode.header_names import APPLICATION, PRESENTATION
from inspector.framing.framer import Message
from inspector.framing.registry import opener
from inspector.tcp.reassembly import Gap, Piece
from inspector.tcp.states import Side
from inspector.trace.following import Follower
from inspector.trace.messages import is_too_large

_WHOLE = frozenset(("dns",))  # all of the message is fields
_TLS_RECORD = (("type", 0, 1), ("version", 1, 2), ("length", 3, 2))
_TOKEN = re.compile(rb"[0-9A-Za-z_-]+")  # what a header's name is made of, and can be shown and asked for
_REQUEST_LINE = ("method", "target", "version")
_STATUS_LINE = ("version", "status", "reason")

Parts = Iterable[tuple[Side, Piece | Gap]]


class MessagePart(NamedTuple):
    """The application messages that a payload has bytes of: their framing, and the first of them with its number, as an
    interval of the stream; ``offset`` is where the payload begins in the stream.

    ``header`` is the first one's; ``packets`` are those that brought it.
    """

    framing: str
    offset: int
    number: int
    messages: int
    message: Message
    header: Header | None
    packets: tuple[int, ...]
    first_bytes: bytes  # of that message


def message_part(parts: Parts, packet: int, sender: Side, framing: str) -> MessagePart | None:
    """The messages that a payload has bytes of, from both streams of its conversation, read as far as that needs.

    None when the bytes are not of the stream (they came before, or never in order) or not of the framing, or when
    too much before them is missing.
    """
    followers = [Follower(framer) for framer in opener(framing)()]
    mine = followers[sender]
    remaining = iter(parts)
    for side, part in remaining:
        if is_too_large(part):
            return None
        if side is sender and isinstance(part, Piece) and part.packet == packet:
            break
        followers[side].feed(part)
    else:
        return None
    number, start, end = mine.messages + 1, part.start, part.start + len(part.data)
    found = mine.feed(part)
    messages = len(found) + (mine.framer.problem is None and mine.under_way().message.start < end)
    first = found[0] if found else None
    for side, part in remaining:
        enough = mine.framer.header_known and framing not in _WHOLE
        if first is not None or enough or mine.framer.problem is not None or is_too_large(part):
            break
        found = followers[side].feed(part)
        first = found[0] if found and side is sender else None
    if not messages or (first is None and mine.framer.problem is not None):
        return None
    message, data, packets_of = first or mine.under_way()
    header_end = message.end if framing in _WHOLE else message.header_end
    header = data[: header_end - message.start]
    packets = tuple(dict.fromkeys(each for at, each in packets_of if at < max(header_end, message.start + 1)))
    return MessagePart(
        framing, start, number, messages, message, _message_header(framing, header, message), packets, header
    )


def _message_header(framing: str, data: bytes, message: Message) -> Header | None:
    """The header of a message with its fields, counted from where the message starts; None for a framing without."""
    if framing == "http":
        return Header("http", "HTTP", APPLICATION, 0, len(data), tuple(_http_fields(data)))
    if framing == "tls":
        return Header("tls", "TLS", PRESENTATION, 0, len(data), tuple(_tls_fields(data, message.kind)))
    if framing == "dns":
        return dissect_dns(data)
    if message.header_end == message.start or not data:
        return None
    return Header("message", framing, APPLICATION, 0, len(data), ())


def _tls_fields(data: bytes, kind: str) -> Iterator[Field]:
    """RFC 8446 section 5.1."""
    for name, at, size in _TLS_RECORD:
        value = int.from_bytes(data[at : at + size], "big")
        text = {"type": kind, "version": f"0x{value:04x}"}.get(name, str(value))
        yield Field(f"tls.{name}", value, text, 8 * at, 8 * size)


def _http_fields(data: bytes) -> Iterator[Field]:
    """The three words of the first line, and each header line by its name: RFC 9112 sections 3, 4 and 5."""
    at = 0
    for number, line in enumerate(data.split(b"\r\n")):
        if number == 0:
            names = _STATUS_LINE if line.startswith(b"HTTP/") else _REQUEST_LINE
            for word_name, word in zip(names, line.split(b" ", 2), strict=False):
                yield _text_field(f"http.{word_name}", word, at)
                at += len(word) + 1
            at -= 1
        elif line:
            name, _, value = line.partition(b":")
            key = name.decode("ascii").lower().replace("-", "_") if _TOKEN.fullmatch(name) else "line"
            yield _text_field(f"http.{key}", value.strip(), at, len(line))
            at += len(line)
        at += 2


def _text_field(name: str, value: bytes, at: int, size: int | None = None) -> Field:
    text = value.decode("utf-8", "surrogateescape")
    return Field(name, text, text, 8 * at, 8 * (len(value) if size is None else size))
