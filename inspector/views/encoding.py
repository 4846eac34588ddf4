"""How the bytes of an application stand for characters: ASCII, UTF-8, percent-encoding, or none of these."""

import re
from collections.abc import Iterator
from enum import StrEnum
from urllib.parse import unquote_to_bytes

from inspector.views.safe_text import is_text, safe_text

_PERCENT = re.compile(rb"(?:%[89A-Fa-f][0-9A-Fa-f])+")  # of bytes beyond ASCII
_MOST_SHOWN = 12


class Encoding(StrEnum):
    """What the presentation layer would have to say."""

    ASCII = "ascii"
    UTF_8 = "utf8"
    PERCENT = "percent"
    BINARY = "binary"


def encoding_of(data: bytes) -> Encoding:
    """The encoding of a payload; a character that its ends cut does not make it binary."""
    cut = next((at for at, byte in enumerate(data[:4]) if byte & 0xC0 != 0x80), 0)  # the rest of a character
    data = data[cut:]
    text = data.decode("utf-8", "ignore")
    if not is_text(data) or len(data) - len(text.encode()) > 6 or "\0" in text:
        return Encoding.BINARY
    if not text.isascii():
        return Encoding.UTF_8
    return Encoding.PERCENT if _PERCENT.search(data) else Encoding.ASCII


def characters(data: bytes) -> Iterator[tuple[str, str]]:
    """(character, its bytes) of those that take several bytes, each once; percent-encoded ones by what stands there."""
    seen: set[str] = set()
    for found in _PERCENT.finditer(data):
        for char in unquote_to_bytes(found[0]).decode("utf-8", "ignore"):
            if len(seen) < _MOST_SHOWN and char not in seen and not char.isascii():
                seen.add(char)
                octets = char.encode()
                yield safe_text(char), f"%{octets.hex('%').upper()} → {octets.hex(' ')}"
    for char in data.decode("utf-8", "ignore"):
        if len(seen) < _MOST_SHOWN and char not in seen and not char.isascii():
            seen.add(char)
            yield safe_text(char), char.encode().hex(" ")
