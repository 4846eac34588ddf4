"""Protocols that say at once what they are: by how their streams begin."""

import re

_STARTS = {
    "http": re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [^ \r\n]+ HTTP/1\.[01]\r?\n|HTTP/1\.[01] \d{3}"),
    "tls": re.compile(rb"[\x14-\x17]\x03[\x00-\x04]"),
}
_UPGRADE = re.compile(rb"\r\nUpgrade: *websocket\r\n", re.IGNORECASE)  # RFC 6455 section 4.1
_HEADERS_BYTES = 4096


def recognised(*beginnings: bytes) -> str:
    """The framing of a conversation whose directions begin so; "" for none of those that are known at once."""
    if any(_UPGRADE.search(beginning, 0, _HEADERS_BYTES) for beginning in beginnings):
        return "websocket"
    return next((name for name, start in _STARTS.items() if any(map(start.match, beginnings))), "")
