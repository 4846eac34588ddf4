"""Zeek's account of a connection: the letters of ``history`` and the verdict ``conn_state``.

Zeek keeps a coarser state of each end than RFC 9293, moved by the flags of what that end sends; its originator is our
client. The letters are explained in Zeek's base/protocols/conn/main.zeek. ``conn_state`` needs only the rows that
decide (see deciding); the letters count retransmissions (T), zero windows (W) and gaps in what was captured (G) as well
and need every segment. Bad checksums (C) cannot be told from a segment and are left out.
"""

import re
from bisect import bisect_left
from enum import Enum, auto

from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import MODULUS, seq_diff
from inspector.tcp.states import Side

_FIN, _SYN, _RST, _ACK = int(Flag.FIN), int(Flag.SYN), int(Flag.RST), int(Flag.ACK)
_CONTROL = _FIN | _SYN | _RST
_MASK = MODULUS - 1  # takes a number modulo 2**32
_FAR = 1 << 20  # a SYN or RST that jumps further is not believed, nor is an ACK of 0 that does
_POWERS_OF_TEN = frozenset(10**exponent for exponent in range(12))
_RESET_UNANSWERED = re.compile(r"\^?S[^HAFGIQ]*R")


class End(Enum):
    """Zeek's state of an endpoint."""

    INACTIVE = auto()
    SYN_SENT = auto()
    SYN_ACK_SENT = auto()
    PARTIAL = auto()  # heard of without a SYN
    ESTABLISHED = auto()
    CLOSED = auto()  # sent a FIN
    RESET = auto()  # sent a RST


_QUIET = (End.PARTIAL, End.ESTABLISHED, End.CLOSED)  # a segment without SYN, FIN and RST leaves these as they are


class _Endpoint:
    """One end. Its numbers without modulus count from its SYN, which is 0."""

    __slots__ = (
        "acked",
        "acked_raw",
        "before",
        "delivered",
        "fin_end",
        "gaps",
        "heard",
        "last_fin",
        "last_rst",
        "last_syn",
        "next_raw",
        "pending",
        "retransmissions",
        "seen",
        "sent",
        "side",
        "start",
        "state",
        "zero_windows",
    )

    def __init__(self, side: Side) -> None:
        self.side = side
        self.state = self.before = End.INACTIVE
        self.heard = False
        self.seen: set[str] = set()  # letters written
        self.last_syn = self.last_fin = self.last_rst = 0
        self.retransmissions = self.zero_windows = self.gaps = 0
        self.fin_end: int | None = None
        self.delivered = 1  # everything before it was captured, or given up
        self.pending: list[tuple[int, int]] = []  # what was captured beyond a hole, sorted
        self.begin(0, 0)

    def begin(self, start: int, sent: int) -> None:
        """Number from ``start`` (on the wire); ``sent`` is the highest number sent so far, plus one."""
        self.start = start
        self.sent = sent
        self.next_raw = (start + sent) & _MASK
        self.acked = 0
        self.acked_raw = start

    def relative(self, seq: int, near: int) -> int:
        """A number on the wire as one without modulus, the closest to ``near``."""
        return near + seq_diff((self.start + near) & _MASK, seq)

    def advance(self, sent: int) -> None:
        """It has sent up to here."""
        self.sent = sent
        self.next_raw = (self.start + sent) & _MASK

    def move(self, state: End) -> None:
        """Change state."""
        if state is not self.state:
            self.before, self.state = self.state, state

    @property
    def size(self) -> int:
        """Bytes of data that it has sent, to judge by the numbers."""
        return max(max(self.sent, self.acked) - 1 - (self.fin_end is not None), 0)

    @property
    def is_clean(self) -> bool:
        """Established, or closed from there."""
        return self.state is End.ESTABLISHED or (self.state is End.CLOSED and self.before is End.ESTABLISHED)


class History:
    """Feed it the segments of one connection in order; ``letters`` and ``conn_state`` hold at any time."""

    __slots__ = ("_letters", "_partial", "client", "server")

    def __init__(self) -> None:
        self.client = _Endpoint(Side.CLIENT)
        self.server = _Endpoint(Side.SERVER)
        self._letters: list[str] = []
        self._partial = False

    @property
    def letters(self) -> str:
        """Zeek's ``history``."""
        return "".join(self._letters)

    def feed(self, segment: Segment) -> None:
        """Take in the next segment."""
        _, _, side, seq, ack, flags, window, payload_bytes, _, _ = segment
        sender, peer = (self.server, self.client) if side else (self.client, self.server)
        if (
            flags & (_CONTROL | _ACK) == _ACK
            and seq == sender.next_raw
            and window
            and sender.delivered == sender.sent
            and peer.delivered == peer.sent
            and (ack - peer.acked_raw) & _MASK <= peer.sent - peer.acked
            and sender.state in _QUIET
            and peer.state in _QUIET
            and ("D" if payload_bytes else "A") in sender.seen
        ):
            peer.acked += (ack - peer.acked_raw) & _MASK
            peer.acked_raw = ack
            sender.sent += payload_bytes
            sender.delivered = sender.sent
            sender.next_raw = (seq + payload_bytes) & _MASK
            return
        self._feed(segment, sender, peer)

    def _feed(self, segment: Segment, sender: _Endpoint, peer: _Endpoint) -> None:
        flags, payload_bytes = segment.flags, segment.payload_bytes
        if not self.client.heard and not self.server.heard and sender is self.server:
            self._letters.append("^")
        self._note_partial(sender, flags)
        taken = (0 if flags & _RST else payload_bytes) + bool(flags & _SYN) + bool(flags & _FIN)
        _number(sender, segment.seq, flags, taken)
        seq = sender.relative(segment.seq, sender.sent)
        self._write_flags(sender, seq, flags, payload_bytes)
        if not segment.window and not flags & _RST and peer.state is not End.CLOSED and sender.state is not End.RESET:
            sender.zero_windows += 1
            self._write_scaled(sender, "W", sender.zero_windows)
        if flags & _FIN:
            sender.fin_end = seq + taken
        acked = _take_ack(peer, segment) if flags & _ACK else 0
        if _take_seq(sender, seq + taken, flags, payload_bytes):
            sender.retransmissions += 1
            self._write_scaled(sender, "T", sender.retransmissions)
        self._move(sender, peer, flags, payload_bytes)
        if flags & _ACK:
            self._note_gaps(peer, sender, acked)
        if payload_bytes and not flags & _RST and seq >= 0:
            start = seq + bool(flags & _SYN)
            if start + payload_bytes > sender.acked:
                _deliver(sender, start, start + payload_bytes)
        sender.heard = True

    def _note_partial(self, sender: _Endpoint, flags: int) -> None:
        if sender.heard:
            return
        if sender is self.client:
            self._partial = flags & (_SYN | _ACK) != _SYN
        elif not self._partial:
            self._partial = not flags & _SYN

    def _write(self, sender: _Endpoint, letter: str) -> None:
        self._letters.append(letter.lower() if sender.side is Side.SERVER else letter)

    def _write_once(self, sender: _Endpoint, letter: str) -> bool:
        """False when it had been written before."""
        if letter in sender.seen:
            return False
        sender.seen.add(letter)
        self._write(sender, letter)
        return True

    def _write_scaled(self, sender: _Endpoint, letter: str, count: int) -> None:
        """The first, the tenth, the hundredth time ..."""
        if count in _POWERS_OF_TEN:
            self._write(sender, letter)

    def _write_flags(self, sender: _Endpoint, seq: int, flags: int, payload_bytes: int) -> None:
        control = flags & _CONTROL
        if control & (control - 1):  # more than one of them
            self._write_once(sender, "I" if flags & _FIN and flags & _RST else "Q")
        elif flags & _SYN:
            letter = "H" if flags & _ACK else "S"
            if "S" in sender.seen or "H" in sender.seen:
                if seq != sender.last_syn:
                    self._write(sender, letter)
            else:
                self._write_once(sender, letter)
            sender.last_syn = seq
        elif flags & _FIN:
            if not self._write_once(sender, "F") and seq + payload_bytes != sender.last_fin:
                self._write(sender, "F")
            sender.last_fin = seq + payload_bytes
        elif flags & _RST:
            if not self._write_once(sender, "R") and seq != sender.last_rst:
                self._write(sender, "R")
            sender.last_rst = seq
        elif payload_bytes:
            self._write_once(sender, "D")
        elif flags & _ACK:
            self._write_once(sender, "A")

    def _move(self, sender: _Endpoint, peer: _Endpoint, flags: int, payload_bytes: int) -> None:
        """Zeek's own state machine."""
        if sender.state is End.INACTIVE:
            self._move_inactive(sender, peer, flags, payload_bytes)
        elif sender.state in (End.SYN_SENT, End.SYN_ACK_SENT):
            if flags & _FIN:
                sender.move(End.CLOSED)
            if flags & _RST:
                sender.move(End.RESET)
        elif sender.state in (End.ESTABLISHED, End.PARTIAL):
            if flags & (_SYN | _ACK) == _SYN and sender.state is End.PARTIAL and peer.state is End.INACTIVE:
                sender.move(End.SYN_SENT)
            if flags & _FIN and not flags & _RST:
                sender.move(End.CLOSED)
                if peer.state is End.RESET and peer.before is End.CLOSED:
                    peer.move(End.CLOSED)  # its FIN and RST were an ordinary end
            if flags & _RST:
                sender.move(End.RESET)
        elif sender.state is End.CLOSED and flags & _RST and peer.state is not End.CLOSED:
            sender.move(End.RESET)

    def _move_inactive(self, sender: _Endpoint, peer: _Endpoint, flags: int, payload_bytes: int) -> None:
        """The first segment of an end, or one that told nothing so far."""
        if flags & _SYN:
            if sender is self.client:
                sender.move(End.SYN_ACK_SENT if flags & _ACK else End.SYN_SENT)
            else:
                if peer.state is End.SYN_SENT:
                    peer.move(End.ESTABLISHED)
                sender.move(End.ESTABLISHED)
        if flags & _FIN:
            sender.move(End.CLOSED)
        if flags & _RST:
            sender.move(End.RESET)
        if sender.state is not End.INACTIVE:
            return
        if sender is self.server and not payload_bytes and peer.state is End.SYN_SENT:
            return  # some stacks acknowledge a SYN before they answer it
        if flags & _ACK and peer.state is End.ESTABLISHED:
            sender.move(End.ESTABLISHED)  # its SYN was not captured
            self._partial = False
        else:
            sender.move(End.PARTIAL)

    def _note_gaps(self, endpoint: _Endpoint, peer: _Endpoint, acked: int) -> None:
        """What the peer acknowledged and was not captured is a gap, where both ends are in order."""
        if endpoint.fin_end is not None:
            acked = min(acked, endpoint.fin_end - 1)
        if acked <= endpoint.delivered or (acked <= 2 and self._partial):
            return
        while acked > endpoint.delivered:
            following = min(endpoint.pending[0][0], acked) if endpoint.pending else acked
            if endpoint.is_clean and peer.is_clean:
                endpoint.gaps += 1
                self._write_scaled(endpoint, "G", endpoint.gaps)
            _deliver(endpoint, endpoint.delivered, following)

    @property
    def conn_state(self) -> str:
        """Zeek's summary, as its script base/protocols/conn/main.zeek makes it."""
        client, server = self.client.state, self.server.state
        silent = (End.INACTIVE, End.PARTIAL)
        if server is End.RESET:
            if client in (End.SYN_SENT, End.SYN_ACK_SENT):
                return "REJ"
            if client is End.RESET and not self.client.size and not self.server.size:
                return "REJ"
            return "RSTRH" if client in silent else "RSTR"
        if client is End.RESET:
            if server not in silent:
                return "RSTO"
            return "RSTOS0" if _RESET_UNANSWERED.match(self.letters) else "OTH"
        return _CONN_STATES.get((client, server), "OTH")


_CONN_STATES = {
    (End.CLOSED, End.CLOSED): "SF",
    (End.CLOSED, End.INACTIVE): "SH",
    (End.CLOSED, End.PARTIAL): "SH",
    (End.CLOSED, End.ESTABLISHED): "S2",
    (End.CLOSED, End.SYN_SENT): "S2",
    (End.INACTIVE, End.CLOSED): "SHR",
    (End.PARTIAL, End.CLOSED): "SHR",
    (End.ESTABLISHED, End.CLOSED): "S3",
    (End.SYN_SENT, End.CLOSED): "S3",
    (End.SYN_ACK_SENT, End.CLOSED): "S3",
    (End.SYN_SENT, End.INACTIVE): "S0",
    (End.ESTABLISHED, End.ESTABLISHED): "S1",
}


def _number(sender: _Endpoint, seq: int, flags: int, taken: int) -> None:
    """Where the numbers of an end begin: at its SYN, the latest one, or before the first that was captured."""
    if flags & _SYN:
        new = sender.state in (End.INACTIVE, End.ESTABLISHED, End.PARTIAL)
        other = sender.state in (End.SYN_SENT, End.SYN_ACK_SENT) and seq != sender.start
        after_reset = sender.state is End.RESET and sender.before is End.INACTIVE
        if new or other or after_reset:
            sender.begin(seq, taken)
    elif sender.state is End.INACTIVE:
        sender.begin((seq - 1) & _MASK, 1)


def _take_ack(peer: _Endpoint, segment: Segment) -> int:
    """What is acknowledged, without modulus; 0 when it makes no sense."""
    if peer.state is End.INACTIVE:
        peer.begin((segment.ack - 1) & _MASK, 0)
        return 1
    acked = peer.relative(segment.ack, peer.acked)
    if acked < 0:
        return 0
    if not segment.flags & _RST and acked > peer.acked and (segment.ack or acked - peer.acked <= _FAR):
        peer.acked = acked
        peer.acked_raw = segment.ack
    return acked


def _take_seq(sender: _Endpoint, end: int, flags: int, payload_bytes: int) -> bool:
    """Note how far it has sent; True for data sent again."""
    ahead = end - sender.sent
    if flags & (_SYN | _RST) and abs(ahead) > _FAR:
        return False
    if flags & _FIN and sender.sent == 1:  # of a large connection only SYN and FIN may have been captured
        sender.advance(end % MODULUS)
        return False
    if sender.state is End.RESET:
        return False
    if ahead > 0:
        sender.advance(end)
        return False
    return payload_bytes > 0


def _deliver(endpoint: _Endpoint, start: int, end: int) -> None:
    """Bytes captured; ``delivered`` moves when nothing is missing before them."""
    pending = endpoint.pending
    if start > endpoint.delivered:
        index = bisect_left(pending, (start, end))
        if index and pending[index - 1][1] >= start:  # one interval for all that touches: a hole may stay for ever
            index -= 1
            start, end = pending[index][0], max(pending[index][1], end)
            del pending[index]
        pending.insert(index, (start, end))
        return
    endpoint.delivered = max(endpoint.delivered, end)
    while pending and pending[0][0] <= endpoint.delivered:
        endpoint.delivered = max(endpoint.delivered, pending.pop(0)[1])
