"""Both endpoints of one connection, moved through the table by the segments that pass.

A segment's sender moves when the segment passes. Its receiver moves when it is shown to have received it:

- SYN, FIN and the ACK that completes a handshake: by a segment of its own that could not have been sent otherwise.
- The ACK of a FIN, and a reset: nothing an endpoint sends later need show these, so they are inferred as they pass.
  Once a FIN is retransmitted its ACK was lost, and a FIN in answer to a reset was sent before that arrived: the
  inference is taken back. The endpoint stands where it stood, and no Transition tells of it.

An ACK that passes while an earlier FIN is still on its way waits for that FIN: two FINs that cross give CLOSING.
A retransmission puts its FIN behind what has passed since, as the first one was lost.
"""

from collections import deque
from typing import NamedTuple

from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import HALF, MODULUS, seq_add, seq_diff
from inspector.tcp.states import EndpointState, Known, Side, TcpState, Transition
from inspector.tcp.transitions import TABLE, Event

_FIN, _SYN, _RST, _ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.RST), int(Flag.ACK)
_CONTROL = _FIN | _SYN | _RST
_MASK = MODULUS - 1  # takes a number modulo 2**32
_MISSES_KEPT = 100  # hostile captures make millions

_STATES = {(state, known): EndpointState(state, known) for state in TcpState for known in Known}
_UNKNOWN = _STATES[TcpState.UNKNOWN, Known.UNKNOWN]
_SUPPOSED = _STATES[TcpState.SYN_SENT, Known.INFERRED]  # its SYN was not captured, and its number is a guess
_AWAITS_ACK_OF_FIN = (TcpState.FIN_WAIT_1, TcpState.CLOSING, TcpState.LAST_ACK)
_MAY_LISTEN = (_UNKNOWN, _STATES[TcpState.CLOSED, Known.INFERRED])
_AT_REST = frozenset(
    (TcpState.ESTABLISHED, TcpState.FIN_WAIT_2, TcpState.CLOSE_WAIT, TcpState.TIME_WAIT, TcpState.CLOSED)
)


class Tracked(NamedTuple):
    """What one segment did: see SegmentReport, whose fields of the same names these are."""

    transitions: tuple[Transition, ...]
    client: EndpointState
    server: EndpointState
    expected: EndpointState | None


class Unexpected(NamedTuple):
    """An event that the table does not have for the state of an endpoint."""

    packet: int
    side: Side
    state: TcpState
    event: Event


class Endpoint:
    """One side: where it stands, and what has passed on the way to it. Packet numbers are 0 for "none"."""

    __slots__ = (
        "active_open",
        "before_inference",
        "end",
        "fin_acked",
        "fin_end",
        "fin_passed",
        "isn",
        "last",
        "missing",
        "now",
        "reset_passed",
        "side",
        "syn_acked",
        "syn_bytes",
        "syn_passed",
    )

    def __init__(self, side: Side) -> None:
        self.side = side
        self.now = _UNKNOWN
        self.before_inference: TcpState | None = None  # where it stood before the ACK of its FIN, or a reset
        self.forget()

    def forget(self) -> None:
        """Begin a new instance of the connection."""
        self.active_open = False
        self.isn: int | None = None
        self.fin_end: int | None = None  # the sequence number after its FIN
        self.end: int | None = None  # the highest sequence number it has sent, plus one
        self.last: Segment | None = None  # its latest segment
        self.syn_bytes = 0  # of data in its SYN
        self.syn_passed = 0  # packet with the peer's SYN
        self.fin_passed = 0  # packet with the peer's FIN, until it is shown to have arrived
        self.missing: int | None = None  # what it still expects while the peer's FIN waits behind a hole
        self.syn_acked = 0  # packet with the peer's ACK of its SYN
        self.fin_acked = 0  # packet with the peer's ACK of its FIN
        self.reset_passed = 0  # packet with the peer's RST

    @property
    def state(self) -> TcpState:
        """Its RFC 9293 state."""
        return self.now.state

    def assume(self, state: TcpState, known: Known = Known.INFERRED) -> None:
        """Stand somewhere without having moved there in this capture."""
        self.now = _STATES[state, known]
        self.before_inference = None

    def sent(self, segment: Segment) -> None:
        """Remember its segment; a SYN and a FIN take one sequence number each."""
        self.last = segment
        end = _end(segment)
        if self.end is None or 0 < (end - self.end) & _MASK < HALF:
            self.end = end


class Tracker:
    """Feed it the segments of one connection in order; ``client`` and ``server`` hold after the last of them.

    ``unexpected`` has the latest events that the table does not know.
    """

    __slots__ = ("_moves", "_packet", "_unchanged", "at_rest", "client", "fast_open", "server", "unexpected")

    def __init__(self) -> None:
        self.client = Endpoint(Side.CLIENT)
        self.server = Endpoint(Side.SERVER)
        self.unexpected: deque[Unexpected] = deque(maxlen=_MISSES_KEPT)
        self.fast_open = False  # the server has accepted data in the SYN
        self._moves: list[Transition] = []
        self._packet = 0
        self.at_rest = False  # nothing is on its way that could move an endpoint, and no segment without flags can
        self._unchanged = Tracked((), _UNKNOWN, _UNKNOWN, None)

    def feed(self, segment: Segment) -> Tracked:
        """What the segment shows of its sender, and what it brings to its receiver."""
        sender = self.server if segment.side else self.client
        if self.at_rest and not segment.flags & _CONTROL:
            sender.last = segment
            end = (segment.seq + segment.payload_bytes) & _MASK
            if sender.end is None or 0 < (end - sender.end) & _MASK < HALF:
                sender.end = end
            return self._unchanged
        receiver = self.client if segment.side else self.server
        self._packet = segment.packet
        expected = None
        if segment.flags & _RST:
            self._reset(sender, receiver, segment)
        elif segment.flags & _SYN:
            expected = self._synchronize(sender, receiver, segment)
        else:
            expected = self._continue(sender, receiver, segment)
        if not segment.flags & _RST:
            sender.sent(segment)
        return self._result(expected)

    def ends(self) -> tuple[EndpointState, EndpointState]:
        """Client's and server's state if nothing follows: the ACK that completes a handshake has arrived."""
        client, server = (
            _STATES[TcpState.ESTABLISHED, Known.INFERRED]
            if endpoint.state is TcpState.SYN_RECEIVED and endpoint.syn_acked
            else endpoint.now
            for endpoint in (self.client, self.server)
        )
        return client, server

    def _result(self, expected: EndpointState | None) -> Tracked:
        client, server = self.client, self.server
        at_rest = client.now.state in _AT_REST and server.now.state in _AT_REST
        self.at_rest = at_rest and not (client.fin_passed or server.fin_passed)
        moves = tuple(self._moves)
        self._moves.clear()
        if self._unchanged.client is not client.now or self._unchanged.server is not server.now:
            self._unchanged = Tracked((), client.now, server.now, None)
        if not moves and expected is None:
            return self._unchanged
        return Tracked(moves, client.now, server.now, expected)

    def _apply(self, endpoint: Endpoint, event: Event, cause: int, known: Known) -> None:
        before = endpoint.state
        rule = TABLE.get((before, event))
        if rule is None:
            self.unexpected.append(Unexpected(self._packet, endpoint.side, before, event))
            return
        if rule.after is before:
            return
        if before is TcpState.UNKNOWN and event is not Event.SENT_RST:
            known = Known.INFERRED
        if rule.after is TcpState.UNKNOWN:
            known = Known.UNKNOWN
        endpoint.now = _STATES[rule.after, known]
        endpoint.before_inference = None
        self._moves.append(Transition(endpoint.side, before, rule.after, known, rule.source, cause))

    def _expect(self, endpoint: Endpoint, event: Event) -> EndpointState | None:
        """The state the event would lead to, None when it changes nothing."""
        rule = TABLE.get((endpoint.state, event))
        if rule is None or rule.after is endpoint.state:
            return None
        return _STATES[rule.after, Known.INFERRED]

    def _synchronize(self, sender: Endpoint, receiver: Endpoint, segment: Segment) -> EndpointState | None:
        acks = bool(segment.flags & _ACK)
        if sender.isn is not None and sender.isn != segment.seq:
            sender.end = None
            if not acks and sender.now is not _SUPPOSED:
                self._begin_again(sender)
        if sender.state is TcpState.UNKNOWN:
            sender.assume(TcpState.LISTEN if acks else TcpState.CLOSED)
        if acks:
            self._answer(sender, receiver, segment)
        else:
            if receiver.now in _MAY_LISTEN:
                receiver.assume(TcpState.LISTEN)
            sender.active_open = True
            sender.syn_bytes = segment.payload_bytes
            self._apply(sender, Event.SENT_SYN, segment.packet, Known.SEEN)
        sender.isn = segment.seq
        receiver.syn_passed = segment.packet
        if not acks:
            return self._expect(receiver, Event.GOT_SYN)
        if not receiver.syn_acked:
            return None
        answered = receiver.state is TcpState.SYN_SENT
        return self._expect(receiver, Event.GOT_SYN_ACK if answered else Event.OWN_SYN_ACKED)

    def _answer(self, sender: Endpoint, receiver: Endpoint, segment: Segment) -> None:
        """A SYN,ACK: its sender has received a SYN; sent again, the ACK of it had not arrived."""
        if sender.state in (TcpState.LISTEN, TcpState.SYN_SENT):
            self._apply(sender, Event.GOT_SYN, sender.syn_passed or segment.packet, Known.SEEN)
        else:
            self._apply(sender, Event.SENT_SYN_ACK, segment.packet, Known.SEEN)
            sender.syn_acked = 0
        if receiver.state is TcpState.UNKNOWN:
            receiver.assume(TcpState.CLOSED)
            receiver.isn = (segment.ack - 1) & _MASK
            self._apply(receiver, Event.SENT_SYN, segment.packet, Known.INFERRED)
        if _acknowledges_syn(segment, receiver):
            receiver.syn_acked = receiver.syn_acked or segment.packet
            self._note_fast_open(segment, receiver)

    def _continue(self, sender: Endpoint, receiver: Endpoint, segment: Segment) -> EndpointState | None:
        """A segment without SYN and RST."""
        brings = None
        acks = segment.flags & _ACK
        if receiver.missing is not None and (receiver.missing - segment.seq) & _MASK < segment.payload_bytes:
            receiver.fin_passed, receiver.missing = segment.packet, None  # only now is the FIN next in order
        if acks:
            self._show_handshake(sender, receiver, segment)
            self._show_fin(sender, receiver, segment)
        if segment.flags & _FIN and self._send_fin(sender, receiver, segment):
            brings = Event.GOT_FIN
        waits = receiver.state is TcpState.SYN_RECEIVED and not receiver.syn_acked
        if acks and waits and _acknowledges_syn(segment, receiver):
            receiver.syn_acked = segment.packet
            brings = brings or Event.OWN_SYN_ACKED
        if acks and not receiver.fin_acked and _acknowledges_fin(segment, receiver):
            receiver.fin_acked = segment.packet
        self._settle(receiver)
        return None if brings is None else self._expect(receiver, brings)

    def _show_handshake(self, sender: Endpoint, receiver: Endpoint, segment: Segment) -> None:
        """What an ACK without SYN shows of its sender's part in the handshake, or in a connection begun before."""
        packet = segment.packet
        if sender.state is TcpState.SYN_SENT:
            if _acknowledges_syn(segment, receiver):
                self._apply(sender, Event.GOT_SYN_ACK, sender.syn_passed, Known.SEEN)
            elif receiver.isn is None:  # the SYN,ACK was not captured
                self._apply(sender, Event.GOT_SYN_ACK, packet, Known.INFERRED)
                self._apply(receiver, Event.GOT_SYN, receiver.syn_passed or packet, Known.INFERRED)
                receiver.isn = (segment.ack - 1) & _MASK
        elif sender.state is TcpState.LISTEN:
            if _has_sent(receiver, segment.ack):  # its SYN,ACK was not captured
                self._apply(sender, Event.GOT_SYN, sender.syn_passed, Known.INFERRED)
                self._note_fast_open(segment, receiver)
            else:
                self._apply(sender, Event.SENT_CHALLENGE, packet, Known.UNKNOWN)
        if sender.state is TcpState.UNKNOWN and segment.payload_bytes:
            self._apply(sender, Event.SENT_DATA, packet, Known.INFERRED)
        if sender.state is TcpState.SYN_RECEIVED:
            if sender.syn_acked:
                self._apply(sender, Event.OWN_SYN_ACKED, sender.syn_acked, Known.SEEN)
            elif segment.payload_bytes and not self.fast_open:  # only there is data sent sooner, RFC 7413 section 4.2
                if receiver.state is TcpState.SYN_SENT:
                    self._apply(receiver, Event.GOT_SYN_ACK, receiver.syn_passed or packet, Known.INFERRED)
                self._apply(sender, Event.OWN_SYN_ACKED, packet, Known.INFERRED)

    def _note_fast_open(self, answer: Segment, client: Endpoint) -> None:
        accepted = client.isn is not None and answer.ack != seq_add(client.isn, 1)
        self.fast_open = self.fast_open or (accepted and client.syn_bytes > 0)

    def _show_fin(self, sender: Endpoint, receiver: Endpoint, segment: Segment) -> None:
        """An ACK that covers the peer's FIN shows its sender to have received it."""
        if not sender.fin_passed:
            return
        if _acknowledges_fin(segment, receiver):
            self._apply(sender, Event.GOT_FIN, sender.fin_passed, Known.SEEN)
            sender.fin_passed, sender.missing = 0, None
            self._settle(sender)
        else:
            sender.missing = segment.ack

    def _send_fin(self, sender: Endpoint, receiver: Endpoint, segment: Segment) -> bool:
        """True when the receiver has yet to get the FIN."""
        again = sender.fin_end is not None
        sender.fin_end = seq_add(segment.seq, segment.payload_bytes + 1)
        reset_passed = sender.reset_passed
        if again:
            sender.fin_acked = 0
        if (again or reset_passed) and sender.before_inference is not None:
            sender.assume(sender.before_inference, Known.SEEN)
        self._apply(sender, Event.SENT_FIN, segment.packet, Known.SEEN)
        if reset_passed:  # its reset was still on its way
            self._receive_reset(sender, reset_passed)
        if again and not receiver.fin_passed:
            return False
        receiver.fin_passed = segment.packet
        return True

    def _settle(self, endpoint: Endpoint) -> None:
        """Let the ACK of its FIN arrive, unless the peer's FIN is on its way before it."""
        if not endpoint.fin_acked or endpoint.state not in _AWAITS_ACK_OF_FIN:
            return
        if endpoint.fin_passed and endpoint.fin_passed < endpoint.fin_acked:
            return
        before = endpoint.state
        self._apply(endpoint, Event.OWN_FIN_ACKED, endpoint.fin_acked, Known.INFERRED)
        endpoint.before_inference = before

    def _reset(self, sender: Endpoint, receiver: Endpoint, segment: Segment) -> None:
        if segment.flags & _ACK:
            if sender.state in (TcpState.SYN_SENT, TcpState.SYN_RECEIVED) and sender.syn_acked:
                self._show_handshake(sender, receiver, segment)
            self._show_fin(sender, receiver, segment)
        acceptable = _is_acceptable(segment, sender, receiver)
        # The answer to a segment of an old connection takes its number from there, RFC 9293 section 3.10.7.3.
        for_old = sender.state in (TcpState.SYN_SENT, TcpState.SYN_RECEIVED) and not _has_sent(sender, segment.seq)
        self._apply(sender, Event.SENT_RST_FOR_OLD if for_old else Event.SENT_RST, segment.packet, Known.SEEN)
        if sender.state is TcpState.CLOSED:
            sender.assume(TcpState.CLOSED, Known.SEEN)
        if acceptable:
            self._receive_reset(receiver, segment.packet)
        else:
            self._apply(receiver, Event.GOT_BAD_RST, segment.packet, Known.INFERRED)

    def _receive_reset(self, receiver: Endpoint, packet: int) -> None:
        """What was sent before the reset has arrived before it."""
        if receiver.state is TcpState.SYN_RECEIVED and receiver.syn_acked:
            self._apply(receiver, Event.OWN_SYN_ACKED, receiver.syn_acked, Known.INFERRED)
        if receiver.fin_passed:
            self._apply(receiver, Event.GOT_FIN, receiver.fin_passed, Known.INFERRED)
            receiver.fin_passed = 0
            self._settle(receiver)
        before = receiver.state
        active = before is TcpState.SYN_RECEIVED and receiver.active_open
        self._apply(receiver, Event.GOT_RST_AFTER_ACTIVE_OPEN if active else Event.GOT_RST, packet, Known.INFERRED)
        if receiver.state is not before:
            receiver.before_inference = before
            receiver.reset_passed = packet

    def _begin_again(self, sender: Endpoint) -> None:
        """A SYN with a new number: the connection before it is over, TIME-WAIT included."""
        for endpoint in (self.client, self.server):
            if endpoint.state is TcpState.TIME_WAIT:
                self._apply(endpoint, Event.TIME_WAIT_OVER, self._packet, Known.INFERRED)
            endpoint.forget()
            endpoint.assume(TcpState.CLOSED if endpoint is sender else TcpState.LISTEN)
        self.fast_open = False


def _has_sent(endpoint: Endpoint, seq: int) -> bool:
    """Whether ``seq`` is one it would send, or get acknowledged, next: after its SYN, up to all it has sent."""
    if endpoint.isn is None or endpoint.end is None:
        return False
    return 0 < seq_diff(endpoint.isn, seq) <= seq_diff(endpoint.isn, endpoint.end)


def _acknowledges_syn(segment: Segment, endpoint: Endpoint) -> bool:
    """An ACK of the endpoint's SYN; of more than was captured after it, too."""
    return endpoint.isn is not None and seq_diff(endpoint.isn, segment.ack) > 0


def _acknowledges_fin(segment: Segment, endpoint: Endpoint) -> bool:
    """An ACK of the endpoint's FIN; of more too, where the capture shortened the data before it."""
    return endpoint.fin_end is not None and seq_diff(endpoint.fin_end, segment.ack) >= 0


def _is_acceptable(reset: Segment, sender: Endpoint, receiver: Endpoint) -> bool:
    """Whether the receiver believes the reset: its number must be exactly the next one, RFC 5961 section 3.2.

    The next one is what the receiver acknowledged last, or, what came since included, the end of what was sent.
    """
    if receiver.state is TcpState.SYN_SENT:
        return bool(reset.flags & _ACK) and _has_sent(receiver, reset.ack)
    if receiver.state in (TcpState.CLOSED, TcpState.LISTEN):
        return True  # no matter: there is nothing to reset
    if receiver.last is None or not receiver.last.flags & _ACK:
        return True  # nothing tells what it waits for
    nexts = {receiver.last.ack, sender.end}
    if sender.last is not None:
        nexts.add(_end(sender.last))
    if sender.fin_end is not None:
        nexts.add((sender.fin_end - 1) & _MASK)  # Linux: a closing peer's reset may leave its FIN uncounted
    return reset.seq in nexts


def _end(segment: Segment) -> int:
    """The sequence number after a segment: SYN and FIN take one each."""
    return (segment.seq + segment.payload_bytes + (segment.flags & _FIN) + (segment.flags >> 1 & 1)) & _MASK
