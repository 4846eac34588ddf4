"""How a connection opened and closed, told from what moved its endpoints."""

from inspector.tcp.report import Closing, Opening
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.states import Side, TcpState, Transition
from inspector.tcp.tracker import Tracker

_FIN, _SYN, _RST, _ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.RST), int(Flag.ACK)


class Course:
    """Notes what decides opening and closing.

    Feed it, after the tracker, every segment that has SYN, FIN or RST or that moved an endpoint; the rest is no matter.
    """

    __slots__ = (
        "_active",
        "_merged",
        "_opened",
        "_refused",
        "_reset",
        "_syn_ns",
        "_syns",
        "_tracker",
        "closed_by",
        "handshake_ns",
    )

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._begin()

    def _begin(self) -> None:
        self.closed_by: Side | None = None
        self.handshake_ns: tuple[int, int] | None = None  # when the client sent its SYN, and the ACK that completes
        self._syn_ns = 0  # when the client's latest SYN was sent
        self._syns: set[tuple[Side, bool]] = set()  # whose SYN, and whether it was a SYN,ACK
        self._opened = False  # the client has completed the handshake
        self._refused = False
        self._reset = False
        self._active: set[Side] = set()  # who sent a FIN without having received one
        self._merged = False  # the passive closer's FIN shared a segment with its first ACK of the other

    def feed(self, segment: Segment, transitions: tuple[Transition, ...]) -> None:
        """Take in the next eventful segment."""
        flags = segment.flags
        moves = [(move.side, move.before, move.after) for move in transitions]
        if self._opened and (Side.CLIENT, TcpState.CLOSED, TcpState.SYN_SENT) in moves:
            self._begin()
        if flags & _SYN:
            self._syns.add((segment.side, bool(flags & _ACK)))
            if segment.side is Side.CLIENT:
                self._syn_ns = segment.time_ns
        if not self._opened:
            self._note_opening(segment, moves)
        if flags & (_FIN | _RST) and self.closed_by is None:
            self.closed_by = segment.side
        if flags & _RST:
            self._note_reset(segment.side, moves)
        for side, _, after in moves:
            if after is TcpState.FIN_WAIT_1:
                self._active.add(side)
            elif after is TcpState.LAST_ACK:
                self._merged = any(move[::2] == (side, TcpState.CLOSE_WAIT) for move in moves)

    def _note_opening(self, segment: Segment, moves: list[tuple[Side, TcpState, TcpState]]) -> None:
        handshake = (TcpState.SYN_SENT, TcpState.SYN_RECEIVED)
        if any((Side.CLIENT, before, TcpState.ESTABLISHED) in moves for before in handshake):
            self._opened = True
            if self._refused or self._reset:  # the end of an older connection, or of an attempt before
                self._refused = self._reset = False
                self.closed_by = None
            if segment.side is Side.CLIENT and (Side.CLIENT, False) in self._syns:
                self.handshake_ns = self._syn_ns, segment.time_ns

    def _note_reset(self, sender: Side, moves: list[tuple[Side, TcpState, TcpState]]) -> None:
        if sender is Side.SERVER and (Side.CLIENT, TcpState.SYN_SENT, TcpState.CLOSED) in moves:
            self._refused = True
        if moves and not self._both_fins_acknowledged:
            self._reset = True

    @property
    def _both_fins_acknowledged(self) -> bool:
        return bool(self._tracker.client.fin_acked and self._tracker.server.fin_acked)

    @property
    def handshake_rtt_ns(self) -> int | None:
        """From the SYN to the ACK that completes the handshake; None where either was not captured."""
        if self.handshake_ns is None:
            return None
        syn_ns, ack_ns = self.handshake_ns
        return ack_ns - syn_ns

    @property
    def opening(self) -> Opening:
        """How it came up, as far as was seen."""
        if (Side.CLIENT, False) not in self._syns:
            return Opening.NOT_CAPTURED
        if self._opened:
            if (Side.SERVER, False) in self._syns:
                return Opening.SIMULTANEOUS
            return Opening.FAST_OPEN if self._tracker.fast_open else Opening.HANDSHAKE
        if self._refused:
            return Opening.REFUSED
        answered = {(Side.SERVER, False), (Side.SERVER, True)} & self._syns
        return Opening.INCOMPLETE if answered else Opening.UNANSWERED

    @property
    def closing(self) -> Closing:
        """How it went down, as far as was seen."""
        opening = self.opening
        fins = [endpoint for endpoint in (self._tracker.client, self._tracker.server) if endpoint.fin_end is not None]
        if opening in (Opening.REFUSED, Opening.UNANSWERED):
            return Closing.NEVER_OPENED
        if self._reset:
            return Closing.RESET
        if not fins:
            return Closing.NEVER_OPENED if opening is Opening.INCOMPLETE else Closing.OPEN
        if len(fins) == 1:
            return Closing.HALF_CLOSED
        if not self._both_fins_acknowledged:
            return Closing.UNFINISHED
        if len(self._active) > 1:
            return Closing.SIMULTANEOUS
        return Closing.THREE_SEGMENTS if self._merged else Closing.FOUR_SEGMENTS
