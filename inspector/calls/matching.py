"""Which calls belong to a conversation, from which side, and which of its segments each caused or waited for."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from inspector.calls.call import RECEIVING, SENDING, WAITING, Address, SocketCall
from inspector.calls.resolve import completed
from inspector.tcp.segment import Flag
from inspector.tcp.states import Known, Side

_ANY = ("0.0.0.0", "::")
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
    """What matching needs of a packet: stream offsets of its payload, from and up to; None without payload."""

    packet: int
    time_ns: int
    side: Side
    flags: int
    offsets: tuple[int, int] | None


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
        return sorted(chosen.values(), key=lambda sided: sided[1].enter_ns)


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
    sent, read = [0, 0], [0, 0]
    result = []
    for side, call in sided:
        amount = call.returned if call.returned is not None and call.returned > 0 else 0
        if call.name in SENDING and amount:
            offsets = (sent[side], sent[side] + amount)
            sent[side] += amount
            packets = _carrying(passages, side, offsets, call)
            known = Known.SEEN if packets else Known.INFERRED
            result.append(SidedCall(side, _lasting(call, packets, passages), offsets, packets, known))
        elif call.name in RECEIVING and amount:
            offsets = (read[side], read[side] + amount)
            read[side] += amount
            packets = _carrying(passages, side.other, offsets, None)
            result.append(SidedCall(side, call, offsets, packets, Known.SEEN if packets else Known.INFERRED))
        else:
            packets = _controlled(passages, side, call)
            causes = call.name != "accept" and call.name not in WAITING
            result.append(SidedCall(side, _lasting(call, packets, passages) if causes else call, None, packets))
    return result


def _wakes(passage: Passage, call: SocketCall) -> bool:
    if call.exit_ns is None or passage.time_ns > call.exit_ns:
        return False
    return passage.offsets is not None or bool(passage.flags & (Flag.SYN | Flag.FIN | Flag.RST))


def _lasting(call: SocketCall, caused: tuple[int, ...], passages: Sequence[Passage]) -> SocketCall:
    """The call, lasting until the first packet it caused, where its recorder leaves room for that."""
    first_ns = next((passage.time_ns for passage in passages if passage.packet in caused), None)
    if first_ns is None or call.exit_ns is None or not 0 <= first_ns - call.exit_ns < call.slack_ns:
        return call
    return call._replace(exit_ns=first_ns + 1)


def _carrying(
    passages: Sequence[Passage], sender: Side, offsets: tuple[int, int], call: SocketCall | None
) -> tuple[int, ...]:
    """The packets with these bytes; of a sending call those that it can have caused, so not the ones before it."""
    start, end = offsets
    return tuple(
        passage.packet
        for passage in passages
        if passage.side is sender
        and passage.offsets is not None
        and passage.offsets[0] < end
        and passage.offsets[1] > start
        and (call is None or passage.time_ns >= call.enter_ns)
    )


def _controlled(passages: Sequence[Passage], side: Side, call: SocketCall) -> tuple[int, ...]:
    """The SYN of a connect, the third segment of an accept, the FIN or reset of a close, what ended a wait: by time."""
    if call.name in WAITING:
        woke = [passage.packet for passage in passages if passage.side is not side and _wakes(passage, call)]
        return tuple(woke[-1:])
    flag, sender, before = {
        "connect": (Flag.SYN, side, False),
        "connect_ex": (Flag.SYN, side, False),
        "shutdown": (Flag.FIN, side, False),
        "close": (Flag.FIN | Flag.RST, side, False),
        "accept": (Flag.SYN, side.other, True),
    }.get(call.name, (Flag(0), side, False))
    found = [
        passage.packet
        for passage in passages
        if passage.side is sender
        and passage.flags & flag
        and (passage.time_ns <= (call.exit_ns or call.enter_ns) if before else passage.time_ns >= call.enter_ns)
    ]
    return tuple(found[-1:] if before else found[:1])
