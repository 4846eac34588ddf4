"""Which calls belong to a conversation, from which side, and which of its segments each caused or waited for."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from inspector.calls.call import NOT_TAKING, RECEIVING, SENDING, WAITING, Address, SocketCall
from inspector.calls.resolve import completed
from inspector.tcp.segment import Flag
from inspector.tcp.states import Known, Side

_ANY = ("0.0.0.0", "::")
EXIT = "exit"  # the name of what is no call: the end of a process
_CLOSING = frozenset(("close", "shutdown", "detach"))
_DATA = 1 << 8  # beside TCP's flags
_CONTROLS = {  # call: flags, whether the other side sent them, whether before it returned (or after it was entered)
    "connect": (int(Flag.SYN), False, False),
    "connect_ex": (int(Flag.SYN), False, False),
    "shutdown": (int(Flag.FIN), False, False),
    "close": (int(Flag.FIN | Flag.RST), False, False),
    "accept": (int(Flag.SYN), True, True),
    "wait": (int(Flag.SYN | Flag.FIN | Flag.RST) | _DATA, True, True),
}
_PREPARING = ("socket", "bind", "listen", "setsockopt")
_SLACK_NS = 1_000_000_000  # a program may close long before or after its last segment, but not by chance this near


_Place = tuple[str, Address | int | None, Address | None]  # protocol, local (of a listener its port), remote


class SidedCall(NamedTuple):
    """A call of a conversation's client or server.

    ``packets`` are those it caused (sending, connecting, closing) or that let it return (receiving, accepting), and
    ``known`` whether stream offsets say so (seen) or the time alone (inferred). ``offsets`` are the bytes of the stream
    that it sent or read: from, up to.
    """

    side: Side
    call: SocketCall
    offsets: tuple[int, int] | None = None
    packets: tuple[int, ...] = ()
    known: Known = Known.INFERRED


class Passage(NamedTuple):
    """What matching needs of a packet: stream offsets of its payload, from and up to (None without payload), and how
    many bytes of the other side's stream it acknowledges."""

    packet: int
    time_ns: int
    side: Side
    flags: int
    offsets: tuple[int, int] | None
    acknowledged: int = 0


class CallIndex:
    """All calls, found by the endpoints of a conversation."""

    def __init__(self, calls: Iterable[SocketCall]) -> None:
        self._calls: dict[_Place, list[SocketCall]] = {}
        for call in completed(calls):
            self._calls.setdefault(_place(call), []).append(call)

    def of(
        self, protocol: str, client: Address, server: Address, span_ns: tuple[int, int]
    ) -> list[tuple[Side, SocketCall]]:
        """The calls on a conversation's endpoints about the time it was there, in order; a listener's go to every one
        of its own. ``span_ns`` is when its first and its last packet passed.
        """
        places = {
            *((protocol, local, remote) for local, remote in ((client, server), (server, client))),
            *((protocol, None, remote) for remote in (client, server)),
            (protocol, server[1], None),
        }
        chosen = {}
        for call in (call for place in places for call in self._calls.get(place, [])):
            side = _side(call, client, server)
            if side is not None and (call.name in _PREPARING or _is_near(call, span_ns)):
                chosen[call.process, call.thread, call.enter_ns, call.name] = side, call
        return _of_own_listener(sorted(chosen.values(), key=lambda sided: sided[1].enter_ns), client)


def _of_own_listener(sided: list[tuple[Side, SocketCall]], client: Address) -> list[tuple[Side, SocketCall]]:
    """Without the calls of other listeners that had the port before or after the one that accepted the client."""
    accept = next((call for _, call in sided if call.name == "accept" and call.remote == client), None)
    if accept is None:
        return sided
    of_listeners = [call for _, call in sided if call.remote is None and call.socket]
    own = [
        call.socket
        for call in of_listeners
        if (call.process, call.fd) == (accept.process, accept.fd) and call.enter_ns <= accept.enter_ns
    ]
    others = {call.socket for call in of_listeners if call.name == "listen" and not call.error} - set(own[-1:])
    return [(side, call) for side, call in sided if call.remote is not None or call.socket not in others]


def _place(call: SocketCall) -> _Place:
    if call.remote is None:
        return call.protocol, call.local and call.local[1], None
    exact = call.local is not None and call.local[0] not in _ANY
    return call.protocol, call.local if exact else None, call.remote


def _is_near(call: SocketCall, span_ns: tuple[int, int]) -> bool:
    begins, ends = span_ns
    return call.enter_ns <= ends + _SLACK_NS and (call.exit_ns is None or call.exit_ns >= begins - _SLACK_NS)


def _side(call: SocketCall, client: Address, server: Address) -> Side | None:
    if call.remote is None:  # a listener, or a datagram socket before it has met anybody
        return Side.SERVER if call.local is not None and _is(call.local, server) else None
    if call.remote == server and (call.local is None or _is(call.local, client)):
        return Side.CLIENT
    if call.remote == client and (call.local is None or _is(call.local, server)):
        return Side.SERVER
    return None


def _is(local: Address, end: Address) -> bool:
    return local[1] == end[1] and (local[0] == end[0] or local[0] in _ANY)


def linked(sided: Sequence[tuple[Side, SocketCall]], passages: Sequence[Passage]) -> list[SidedCall]:
    """Each call with the packets that belong to it."""
    wire = _Wire(passages)
    sent, read = [0, 0], [0, 0]
    result = []
    for side, call in sided:
        amount = call.returned if call.returned is not None and call.returned > 0 else 0
        offsets, causes = None, True
        if call.name in SENDING and amount:
            offsets = sent[side], sent[side] + amount
            sent[side] += amount
            carried = [passage for passage in wire.carrying(side, offsets) if passage.time_ns >= call.enter_ns]
        elif call.name in RECEIVING and amount and NOT_TAKING.isdisjoint(call.detail.split("|")):
            causes = False
            offsets, read[side] = _taken(wire, side, call, read[side], amount)
            carried = wire.carrying(side.other, offsets)
        else:
            causes = call.name != "accept" and call.name not in WAITING
            carried = wire.controlled(side, call)
        known = Known.SEEN if offsets and carried else Known.INFERRED
        packets = tuple(passage.packet for passage in carried)
        result.append(SidedCall(side, _lasting(call, carried) if causes else call, offsets, packets, known))
    return sorted([*result, *_exits(sided, passages)], key=lambda each: each.call.enter_ns)


def _taken(wire: "_Wire", side: Side, call: SocketCall, start: int, amount: int) -> tuple[tuple[int, int], int]:
    """The bytes of the other side's stream that a receive returned, and where the next one begins.

    A datagram is taken as a whole: what is longer than the buffer is lost with it (udp(7)).
    """
    datagram = wire.datagram(side.other, start, amount, call.asked) if call.protocol == "UDP" else None
    begins, ends = datagram or (start, start + amount)
    return (begins, begins + amount), ends


class _Wire:
    """The packets, found by what they carry and by when they passed."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = sorted(passages, key=lambda passage: passage.time_ns)
        self._chosen: dict[tuple[Side, int], tuple[list[int], list[Passage]]] = {}
        self._data: list[tuple[list[int], list[Passage]]] = []  # by side, sorted by the offset
        for side in Side:
            carrying = [passage for passage in passages if passage.side is side and passage.offsets is not None]
            carrying.sort(key=lambda passage: passage.offsets or ())
            self._data.append(([passage.offsets[0] for passage in carrying if passage.offsets], carrying))
        self._longest = max((end - start for start, end in (p.offsets for p in passages if p.offsets)), default=0)

    def carrying(self, sender: Side, offsets: tuple[int, int]) -> list[Passage]:
        """Those with any of these bytes, in the order they passed."""
        begin, end = offsets
        starts, passages = self._data[sender]
        near = passages[bisect_left(starts, begin - self._longest) : bisect_left(starts, end)]
        return sorted(passage for passage in near if passage.offsets is not None and passage.offsets[1] > begin)

    def datagram(self, sender: Side, start: int, amount: int, asked: int | None) -> tuple[int, int] | None:
        """The offsets of the next datagram that a receive may have returned; those before it were lost."""
        starts, passages = self._data[sender]
        for passage in passages[bisect_left(starts, start) :]:
            begins, ends = passage.offsets or (0, 0)
            if ends - begins == amount or (ends - begins > amount == asked):
                return begins, ends
        return None

    def controlled(self, side: Side, call: SocketCall) -> list[Passage]:
        """By time: the SYN of a connect, or that an accept took, the FIN or reset of a close, what ended a wait."""
        if call.name == "close" and call.remote is None:  # of a listener
            return []
        flags, sender, before = _CONTROLS.get("wait" if call.name in WAITING else call.name, (0, False, False))
        if not flags or (before and call.exit_ns is None):
            return []
        times, passages = self._with(side.other if sender else side, flags)
        if before:
            at = bisect_right(times, call.exit_ns or 0)
            return passages[max(at - 1, 0) : at]
        at = bisect_left(times, call.enter_ns)
        return passages[at : at + 1]

    def _with(self, side: Side, flags: int) -> tuple[list[int], list[Passage]]:
        """Those of a side with one of the flags (``_DATA``: or with payload), and their times."""
        if (side, flags) not in self._chosen:
            passages = [
                passage
                for passage in self._passages
                if passage.side is side and (passage.flags & flags or (flags & _DATA and passage.offsets))
            ]
            self._chosen[side, flags] = [passage.time_ns for passage in passages], passages
        return self._chosen[side, flags]


def _lasting(call: SocketCall, caused: Sequence[Passage]) -> SocketCall:
    """The call, lasting until the first packet it caused, where its recorder leaves room for that."""
    if not caused or call.exit_ns is None or not 0 <= caused[0].time_ns - call.exit_ns < call.slack_ns:
        return call
    return call._replace(exit_ns=caused[0].time_ns + 1)


def _exits(sided: Sequence[tuple[Side, SocketCall]], passages: Sequence[Passage]) -> Iterator[SidedCall]:
    """Where a side sent its FIN or reset and its program never closed: the kernel did, when the process ended."""
    for side in Side:
        own = [call for of, call in sided if of is side and call.remote is not None]
        if not own or not _CLOSING.isdisjoint(call.name for call in own):
            continue
        last = own[-1]
        for passage in passages:
            if passage.side is side and passage.flags & (Flag.FIN | Flag.RST):
                at_ns = passage.time_ns - 1
                ended = SocketCall(last.process, last.thread, EXIT, last.fd, last.socket, at_ns, at_ns)
                yield SidedCall(side, ended, None, (passage.packet,))
                break
