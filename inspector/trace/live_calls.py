"""Socket calls while they happen, each brought to the conversation under way that it belongs to."""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from inspector.calls.call import WAITING, Address, SocketCall
from inspector.tcp.states import Side
from inspector.trace.live import LiveConversation

_KEPT_WAITING = 100  # calls of a socket that nobody has connected yet

_Owner = tuple[LiveConversation, Side]


class LiveCall(NamedTuple):
    """What is new of a call: that it was entered, that it has returned, or both."""

    conversation: LiveConversation
    side: Side
    call: SocketCall
    enters: bool
    returns: bool

    @property
    def time_ns(self) -> int:
        """When that was."""
        return self.call.enter_ns if self.enters or self.call.exit_ns is None else self.call.exit_ns

    def parted(self, times_ns: Sequence[int]) -> list["LiveCall"]:
        """Its entering and its return apart, where a packet passed between; ``times_ns`` of packets, in order."""
        if not (self.enters and self.returns) or self.call.exit_ns is None:
            return [self]
        if bisect_left(times_ns, self.call.enter_ns) == bisect_left(times_ns, self.call.exit_ns):
            return [self]
        return [self._replace(returns=False), self._replace(enters=False)]


class LiveCallMatcher:
    """Tell it of each new conversation and of new calls; it keeps those that do not belong to anybody yet.

    A socket is known by its number from its first call on, its endpoints only when it is connected. What a listener's
    program did before goes to the first conversation at its port, what it does later to the latest one.
    """

    def __init__(self) -> None:
        self._by_ends: dict[tuple[str, Address, int], _Owner] = {}  # protocol, remote, local port
        self._at_port: dict[tuple[str, int], LiveConversation] = {}  # the latest, by server's port
        self._owners: dict[int, _Owner] = {}  # by socket
        self._waiting: dict[int, list[tuple[SocketCall, bool, bool]]] = {}  # by socket: call, enters, returns
        self._entered: set[tuple[int, int, int]] = set()

    def begin(self, conversation: LiveConversation) -> None:
        """A conversation has had its first packet."""
        summary = conversation.summary()
        client, server = ((end.address, end.port or 0) for end in (summary.client, summary.server))
        self._by_ends[summary.protocol, server, client[1]] = conversation, Side.CLIENT
        self._by_ends[summary.protocol, client, server[1]] = conversation, Side.SERVER
        self._at_port[summary.protocol, server[1]] = conversation

    def feed(self, calls: Iterable[SocketCall]) -> list[LiveCall]:
        """What these calls, and those that waited, are to the conversations; in the order of time."""
        for call in calls:
            key = call.process, call.thread, call.enter_ns
            enters, returns = key not in self._entered, call.exit_ns is not None
            (self._entered.discard if returns else self._entered.add)(key)
            if call.name in WAITING or call.protocol:
                self._waiting.setdefault(call.socket, []).append((call, enters, returns))
        found = [each for socket in list(self._waiting) for each in self._settled(socket)]
        return sorted(found, key=lambda each: each.time_ns)

    def _settled(self, socket: int) -> Iterator[LiveCall]:
        """The waiting calls of a socket, as far as it is known whose they are."""
        waiting = self._waiting.pop(socket)
        for place, (call, enters, returns) in enumerate(waiting):
            if call.name in WAITING:
                yield from self._waits(call, returns)
                continue
            owner = next(filter(None, (self._owner(later) for later, _, _ in waiting[place:])), None)
            if owner is None:
                self._waiting[socket] = waiting[place:][-_KEPT_WAITING:]
                return
            yield LiveCall(*owner, call, enters, returns)

    def _owner(self, call: SocketCall) -> _Owner | None:
        if call.local is not None and call.remote is not None:
            owner = self._by_ends.get((call.protocol, call.remote, call.local[1]))
            if owner is not None:
                self._owners[call.socket] = owner
        if call.remote is None and call.local is not None and call.protocol == "TCP":
            conversation = self._at_port.get((call.protocol, call.local[1]))
            return None if conversation is None else (conversation, Side.SERVER)
        return self._owners.get(call.socket)

    def _waits(self, call: SocketCall, returns: bool) -> Iterator[LiveCall]:
        """A wait belongs to every conversation that one of its sockets is of; told when it has returned."""
        owners: dict[int, _Owner] = {}
        for ready in call.ready if returns else ():
            one = call._replace(socket=0, protocol=ready.protocol, local=ready.local, remote=ready.remote)
            owner = self._owner(one)
            if owner is not None:
                owners[id(owner[0])] = owner
        for conversation, side in owners.values():
            yield LiveCall(conversation, side, call, True, True)
