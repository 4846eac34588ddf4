"""Messages of a capture that is running, each when its last byte has come."""

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import NamedTuple
from weakref import WeakKeyDictionary

from inspector.framing.framer import FramingError, Message
from inspector.framing.recognise import recognised
from inspector.framing.registry import AUTO, opener
from inspector.tcp.reassembly import ConnectionAssembler, Gap, Piece
from inspector.tcp.states import Side, TcpState
from inspector.trace.conversation import Conversation
from inspector.trace.following import Followed, Follower
from inspector.trace.live import Arrival, LiveConversation
from inspector.trace.messages import infer_parts, is_too_large

_RAW = "raw"
_FEW_BYTES = 1 << 11
_UNDECIDED_BYTES = 1 << 16  # by then a framing is known, or never
_OVER = (TcpState.CLOSED, TcpState.TIME_WAIT)


class LiveMessage(NamedTuple):
    """One message: who sent it, which of that side's it is, and by which framing ("" for a datagram)."""

    conversation: Conversation
    side: Side
    number: int
    framing: str
    followed: Followed
    first: bool  # of its conversation


class LiveProblem(NamedTuple):
    """Where the bytes of a side stop being of the framing: no more messages come of it."""

    conversation: Conversation
    side: Side
    problem: FramingError


class LiveMessages:
    """Feed every arrival; what is remembered of a conversation goes with it."""

    def __init__(self, framing: str) -> None:
        self._framing = framing
        self._streams: WeakKeyDictionary[LiveConversation, _Streams] = WeakKeyDictionary()

    def feed(self, arrival: Arrival) -> Iterator[LiveMessage | LiveProblem]:
        """The messages that a packet completes; those cut off, when it ends its connection."""
        conversation, row = arrival.conversation, arrival.row
        if conversation is None or row.notice is not None:
            return
        streams = self._streams.get(conversation)
        if streams is None:
            streams = self._streams[conversation] = _Streams(self._framing)
        if row.report is not None:
            found = streams.segment(arrival)
        elif row.payload_bytes:
            found = streams.datagram(arrival)
        else:
            return
        yield from streams.named(conversation, found)

    def finish(self) -> Iterator[LiveMessage | LiveProblem]:
        """The capture is over: the messages that are cut off by that."""
        for conversation, streams in list(self._streams.items()):
            yield from streams.named(conversation, streams.finish())


_Found = Iterable[tuple[Side, Followed | FramingError]]


class _Streams:
    """Both directions of one conversation. Until its framing is known, their parts wait."""

    def __init__(self, framing: str) -> None:
        self._framing = "" if framing == AUTO else framing
        self._followers = self._opened() if self._framing else None
        self._assembler = ConnectionAssembler()
        self._waiting: list[tuple[Side, Piece | Gap]] = []
        self._waiting_bytes = 0
        self._look_at_bytes = 0
        self._numbers = [0, 0]
        self._over = False

    def named(self, conversation: LiveConversation, found: _Found) -> Iterator[LiveMessage | LiveProblem]:
        """What was found, with all that tells it from others."""
        summary = conversation.summary()
        for side, each in found:  # looking for the next one may find the framing
            if isinstance(each, FramingError):
                yield LiveProblem(summary, side, each)
                continue
            self._numbers[side] += 1
            framing = self._framing if summary.protocol == "TCP" else ""
            yield LiveMessage(summary, side, self._numbers[side], framing, each, sum(self._numbers) == 1)

    def datagram(self, arrival: Arrival) -> _Found:
        """A datagram is a message."""
        row = arrival.row
        message = Message(0, row.payload_bytes, 0)
        yield row.side, Followed(message, row.payload, ((0, row.packet),))

    def segment(self, arrival: Arrival) -> _Found:
        """What a segment completes."""
        report = arrival.row.report
        assert report is not None
        for side, part in self._assembler.add(report.segment, lambda: arrival.row.payload):
            yield from self._take(side, part)
        if not self._over and report.client.state in _OVER and report.server.state in _OVER:
            yield from self.finish()

    def finish(self) -> _Found:
        """What is left of both streams."""
        if self._over:
            return
        self._over = True
        for side, part in self._assembler.finish():
            yield from self._take(side, part)
        if self._followers is None:
            yield from self._decide(_RAW)
        for side, follower in zip(Side, self._followers or (), strict=False):
            for followed in follower.finish():
                yield side, followed

    def _take(self, side: Side, part: Piece | Gap) -> _Found:
        """The next bytes of a side: to its framing or, while that is not known, to those that wait."""
        if is_too_large(part):
            self._over = True
            return
        if self._followers is not None:
            yield from self._follow(side, self._followers[side], part)
            return
        self._waiting.append((side, part))
        self._waiting_bytes += len(part.data) if isinstance(part, Piece) else part.end - part.start
        if self._waiting_bytes > _UNDECIDED_BYTES:
            yield from self._decide(_RAW)
        elif self._waiting_bytes >= self._look_at_bytes:
            if self._waiting_bytes > _FEW_BYTES:  # looking takes time: not at every segment
                self._look_at_bytes = self._waiting_bytes * 5 // 4
            if framing := self._found_framing():
                yield from self._decide(framing)

    def _found_framing(self) -> str:
        beginnings = [b"".join(self._beginning(side)) for side in Side]
        if known := recognised(*beginnings):
            return known
        best = infer_parts(self._waiting).best
        return "" if best is None else best.framing

    def _beginning(self, side: Side) -> Iterator[bytes]:
        """What a side has said up to the first gap."""
        own = (part for sender, part in self._waiting if sender is side)
        return (part.data for part in takewhile(lambda part: isinstance(part, Piece), own) if isinstance(part, Piece))

    def _decide(self, framing: str) -> _Found:
        """The framing is known: what waited goes to it."""
        self._framing, waiting = framing, self._waiting
        self._followers, self._waiting = self._opened(), []
        for side, part in waiting:
            yield from self._follow(side, self._followers[side], part)

    def _follow(self, side: Side, follower: Follower, part: Piece | Gap) -> _Found:
        """The messages that some bytes complete, and that they do not fit, once."""
        fitted = follower.framer.problem is None
        yield from ((side, followed) for followed in follower.feed(part))
        if fitted and follower.framer.problem is not None:
            yield side, follower.framer.problem

    def _opened(self) -> tuple[Follower, Follower]:
        to_server, to_client = opener(self._framing)()
        return Follower(to_server), Follower(to_client)
