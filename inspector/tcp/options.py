"""TCP options: RFC 9293 section 3.2, 7323 (window scale, timestamps), 2018 (SACK), 7413 (Fast Open)."""

from typing import NamedTuple


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
