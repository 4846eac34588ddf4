"""TCP options: RFC 9293 section 3.2, 7323 (window scale, timestamps), 2018 (SACK), 7413 (Fast Open)."""

from collections.abc import Callable
from struct import Struct
from typing import Any, NamedTuple


class TcpOptions(NamedTuple):
    """The options of one segment; None or empty where absent. ``malformed``: the list breaks off, or a length lies."""

    mss: int | None = None
    window_scale: int | None = None
    sack_permitted: bool = False
    sack_blocks: tuple[tuple[int, int], ...] = ()
    timestamp: tuple[int, int] | None = None  # (value, echo reply)
    fast_open_cookie: bytes | None = None  # b"" asks for a cookie
    malformed: bool = False


NO_OPTIONS = TcpOptions()

END_OF_LIST, NO_OPERATION = 0, 1
FAST_OPEN, EXPERIMENT = 34, 254
FAST_OPEN_MAGIC = b"\xf9\x89"  # of the experimental option that became 34, RFC 7413 section 4.1.1
MAX_WINDOW_SCALE = 14  # a larger one is used as 14, RFC 7323 section 2.3
PAIR = Struct(">II")
ALIGNED_TIMESTAMP = b"\x01\x01\x08\x0a"  # how nearly every segment begins that has a timestamp, RFC 7323 appendix A
ALIGNED_TIMESTAMP_BYTES = 12


def _mss(body: bytes) -> int | None:
    return int.from_bytes(body, "big") if len(body) == 2 else None


def _window_scale(body: bytes) -> int | None:
    return min(body[0], MAX_WINDOW_SCALE) if len(body) == 1 else None


def _sack_permitted(body: bytes) -> bool | None:
    return None if body else True


def _sack_blocks(body: bytes) -> tuple[tuple[int, int], ...] | None:
    return tuple(PAIR.iter_unpack(body)) if body and len(body) % PAIR.size == 0 else None


def _timestamp(body: bytes) -> tuple[int, int] | None:
    return PAIR.unpack(body) if len(body) == PAIR.size else None


def _fast_open_cookie(body: bytes) -> bytes | None:
    return body if len(body) in (0, 4, 6, 8, 10, 12, 14, 16) else None


# Option kind: field of TcpOptions, and what reads its body; None from a reader means that the length is wrong.
READERS: dict[int, tuple[str, Callable[[bytes], Any]]] = {
    2: ("mss", _mss),
    3: ("window_scale", _window_scale),
    4: ("sack_permitted", _sack_permitted),
    5: ("sack_blocks", _sack_blocks),
    8: ("timestamp", _timestamp),
    FAST_OPEN: ("fast_open_cookie", _fast_open_cookie),
}


def parse_options(data: bytes) -> TcpOptions:
    """Read the options between the fixed TCP header and the payload; any bytes will do.

    Unknown kinds are passed over, and the last of a repeated kind counts. An option of a wrong length is left out and
    the list goes on behind it; where the list itself breaks off, what came before is kept. Both set ``malformed``.
    """
    if not data:
        return NO_OPTIONS
    if len(data) == ALIGNED_TIMESTAMP_BYTES and data.startswith(ALIGNED_TIMESTAMP):
        return TcpOptions(timestamp=PAIR.unpack_from(data, len(ALIGNED_TIMESTAMP)))
    fields: dict[str, Any] = {}
    at, end = 0, len(data)
    while at < end and (kind := data[at]) != END_OF_LIST:
        if kind == NO_OPERATION:
            at += 1
            continue
        length = data[at + 1] if at + 1 < end else 0
        if length < 2 or at + length > end:
            fields["malformed"] = True
            break
        body = data[at + 2 : at + length]
        if kind == EXPERIMENT and body.startswith(FAST_OPEN_MAGIC):
            kind, body = FAST_OPEN, body[len(FAST_OPEN_MAGIC) :]
        if kind in READERS:
            field, read = READERS[kind]
            value = read(body)
            fields["malformed" if value is None else field] = True if value is None else value
        at += length
    return TcpOptions(**fields)
