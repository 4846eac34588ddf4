"""What was captured of a connection before, for the few segments that need to be compared with it."""

from collections import deque
from collections.abc import Iterator
from typing import Protocol

from inspector.tcp.segment import Segment

REMEMBERED = 512


class Past(Protocol):
    """The segments of one connection before the one that is looked at, at most ``REMEMBERED``."""

    def before(self, packet: int) -> Iterator[Segment]:
        """The segments before a packet, the newest first."""

    def whole(self, segment: Segment) -> Segment:
        """A segment with its options and IP identification, as far as its bytes are at hand."""


class RecentSegments:
    """A ``Past`` of segments that come whole."""

    __slots__ = ("_segments",)

    def __init__(self) -> None:
        self._segments: deque[Segment] = deque(maxlen=REMEMBERED + 1)

    def add(self, segment: Segment) -> None:
        """Remember one; before it is analysed."""
        self._segments.append(segment)

    def before(self, packet: int) -> Iterator[Segment]:
        """The segments before a packet, the newest first."""
        return (segment for segment in reversed(self._segments) if segment.packet < packet)

    def whole(self, segment: Segment) -> Segment:
        """As it was fed."""
        return segment
