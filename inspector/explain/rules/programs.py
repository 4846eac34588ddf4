"""What programs have to do with a packet: which waits it ended, what was tried before it, how its bytes are read."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterator

from inspector.calls.call import RECEIVING, SENDING, WAITING
from inspector.calls.matching import SidedCall
from inspector.explain.reason import Amount, Case, Duration, Part, Rule
from inspector.explain.rules.data import is_new_data
from inspector.explain.scene import ACK, FIN, RST, SYN, Moment
from inspector.tcp.states import Known, Side

_READABLE, _WRITABLE = 1, 4  # POLLIN and POLLOUT, poll(2)
_FIRST_EPHEMERAL = 32_768  # net.ipv4.ip_local_port_range, ip-sysctl.rst; IANA's range begins at 49,152
_HEADER_SIZES = (2, 4, 8)  # of an unsigned number in struct
_SMALL = 536  # bytes: less than a full segment anywhere, RFC 9293 section 3.7.1
_NAGLE_OFF = "TCP_NODELAY=1"
_LOOKED_AT = 64  # calls, at the most, from one to the next of a kind


def four_tuple(m: Moment) -> Iterator[Case]:
    """Two addresses and two ports name a connection."""
    conversation = m.scene.conversation
    if m.has(SYN, ACK | RST) and not m.is_resent and conversation.client != conversation.server:
        yield Case({"client": conversation.client, "server": conversation.server})


def accepted_socket(m: Moment) -> Iterator[Case]:
    """accept() returned a socket of this connection's own."""
    if m.has(SYN, ACK | RST) and not m.is_resent:
        for each in m.calls(m.side.other, "accept"):
            if each.call.remote is not None and not each.call.error:
                yield Case({"side": each.side, "call": each, "client": m.scene.conversation.client}, calls=(each,))
                return


def ephemeral_port(m: Moment) -> Iterator[Case]:
    """A port of the range that the kernel takes from itself."""
    conversation = m.scene.conversation
    port = conversation.client.port
    first_datagram = not m.place and m.row.report is None and m.row.notice is None and conversation.protocol == "UDP"
    opens = (m.has(SYN, ACK | RST) and not m.is_resent) or (first_datagram and not m.knows_calls(m.side))
    if opens and m.side is Side.CLIENT and port is not None and port >= _FIRST_EPHEMERAL:
        yield Case({"side": m.side, "port": port}, known=Known.INFERRED)


def _last_before(m: Moment, side: Side, names: Collection[str]) -> SidedCall | None:
    """The last call of a side with one of these names that had returned before the packet came."""
    calls = m.scene.calls
    at = bisect_left(calls, m.row.time_ns, key=lambda each: each.call.enter_ns)
    for each in reversed(calls[max(at - _LOOKED_AT, 0) : at]):
        if each.side is side and each.call.name in names:
            return each if each.call.exit_ns is not None and each.call.exit_ns <= m.row.time_ns else None
    return None


def _had_nothing(m: Moment, names: Collection[str]) -> Iterator[Case]:
    """The last such call of the receiver before the packet returned EAGAIN."""
    tried = _last_before(m, m.side.other, names)
    if tried is not None and tried.call.error == "EAGAIN":
        waited = Duration(m.row.time_ns - (tried.call.exit_ns or 0))
        yield Case({"side": tried.side, "call": tried, "time": waited}, calls=(tried,))


def nothing_yet(m: Moment) -> Iterator[Case]:
    """A receive without blocking, before the data was there."""
    if is_new_data(m):
        yield from _had_nothing(m, RECEIVING)


def nobody_yet(m: Moment) -> Iterator[Case]:
    """An accept() without blocking, before anybody had connected."""
    if m.has(SYN, ACK | RST) and not m.is_resent:
        yield from _had_nothing(m, ("accept",))


def send_buffer_full(m: Moment) -> Iterator[Case]:
    """A send without blocking found no room; the first ACK after it makes some."""
    if not m.has(ACK, SYN | RST) or not any(each.row.payload_bytes for each in m.covers):
        return
    tried = _last_before(m, m.side.other, SENDING)
    if tried is None or tried.call.error != "EAGAIN":
        return
    earlier = next((each for each, _ in zip(m.before(m.side), range(_LOOKED_AT), strict=False) if each.covers), None)
    if earlier is None or earlier.row.time_ns <= tried.call.enter_ns:
        yield Case({"side": tried.side, "call": tried}, calls=(tried,), known=Known.INFERRED)


def nodelay(m: Moment) -> Iterator[Case]:
    """A small segment although earlier ones are not acknowledged: Nagle's algorithm is off."""
    earlier = m.last_own
    if not is_new_data(m) or m.row.payload_bytes >= _SMALL or earlier is None or not earlier.row.payload_bytes:
        return
    if earlier.covered_by is not None and earlier.covered_by.place < m.place:
        return
    for each in m.scene.calls[:_LOOKED_AT]:
        call = each.call
        if call.enter_ns > m.row.time_ns:
            return
        if each.side is m.side and call.name == "setsockopt" and call.detail == _NAGLE_OFF:
            parameters = {"side": m.side, "call": each, "packet": earlier.row.packet}
            yield Case(parameters, (earlier.row.packet,), (each,), Known.INFERRED)
            return


def _bits(each: SidedCall) -> int:
    """What a wait found its socket ready for."""
    return next((socket.bits for socket in each.call.ready if socket.fd == each.call.fd), 0)


def _waits(m: Moment, bits: int) -> list[SidedCall]:
    """The waits of the receiver that returned next after this packet and reported its socket, in order."""
    return [each for each in m.calls(m.side.other, *WAITING) if _bits(each) & bits]


def _slept(m: Moment, each: SidedCall) -> bool:
    """Whether this packet is what a wait was waiting for: it, and nothing else of that side, came meanwhile."""
    before = next((other for other in m.before(m.side) if other.row.payload_bytes or other.flags & (SYN | FIN)), None)
    begun_ns = each.call.enter_ns
    return begun_ns < m.row.time_ns and (before is None or before.row.time_ns < begun_ns)


def _woken(m: Moment) -> Iterator[Case]:
    for each in _waits(m, _READABLE)[:1]:
        if _slept(m, each):
            times = {"time": Duration(m.row.time_ns - each.call.enter_ns), "late": _late(m, each)}
            yield Case({"side": each.side, "call": each, **times}, calls=(each,), known=Known.INFERRED)


def _late(m: Moment, each: SidedCall) -> Duration:
    return Duration((each.call.exit_ns or 0) - m.row.time_ns)


def woken(m: Moment) -> Iterator[Case]:
    """A wait that slept until data came."""
    if is_new_data(m) and not m.flags & FIN:
        yield from _woken(m)


def woken_by_end(m: Moment) -> Iterator[Case]:
    """A wait that slept until the other side closed."""
    if m.has(FIN, SYN | RST) and not m.is_resent:
        yield from _woken(m)


def ready_at_once(m: Moment) -> Iterator[Case]:
    """A wait that began when the data was there already."""
    for each in _waits(m, _READABLE)[:1] if is_new_data(m) else ():
        if each.call.enter_ns >= m.row.time_ns and _read_by(m, each.call.enter_ns) < _end(m):
            yield Case({"side": each.side, "call": each}, calls=(each,), known=Known.INFERRED)


def listener_ready(m: Moment) -> Iterator[Case]:
    """A wait that reported the listener."""
    for each in _waits(m, _READABLE)[:1] if m.has(SYN, ACK | RST) and not m.is_resent else ():
        yield Case({"side": each.side, "call": each, "time": _late(m, each)}, calls=(each,), known=Known.INFERRED)


def connect_ended(m: Moment) -> Iterator[Case]:
    """A wait that reported a connecting socket writable: the connect has ended, well or not."""
    if m.has(SYN | ACK) or (m.has(RST) and any(each.has(SYN, ACK) for each in m.covers)):
        for each in _waits(m, _WRITABLE)[:1]:
            yield Case({"side": each.side, "call": each, "time": _late(m, each)}, calls=(each,), known=Known.INFERRED)


def _end(m: Moment) -> int:
    """The offset behind its last byte."""
    return m.report.relative_seq - 1 + m.row.payload_bytes if m.report is not None else 0


def _read_by(m: Moment, time_ns: int) -> int:
    """Up to which offset the receiver had read at a time, as far as this packet tells."""
    ends = [each.offsets[1] for each in m.receives if each.offsets and (each.call.exit_ns or 0) <= time_ns]
    return max(ends, default=_end(m) - m.row.payload_bytes)


def level_again(m: Moment) -> Iterator[Case]:
    """Reported again without a new packet, because not all of it was read."""
    if is_new_data(m):
        start = _end(m) - m.row.payload_bytes
        waits = _waits(m, _READABLE)
        again = [each for each in waits[1:] if start < _read_by(m, each.call.enter_ns) < _end(m)]
        if again:
            parameters = {"side": again[0].side, "call": again[0], "times": 1 + len(again)}
            yield Case(parameters, calls=(waits[0], *again), known=Known.INFERRED)


def edge_silent(m: Moment) -> Iterator[Case]:
    """Not reported again although not all of it was read."""
    if not is_new_data(m) or not _waits(m, _READABLE):
        return
    for each in m.calls(m.side.other, "epoll"):
        unread = _end(m) - _read_by(m, each.call.enter_ns)
        if not each.call.returned and not each.call.error and 0 < unread < m.row.payload_bytes:
            parameters = {"side": each.side, "call": each, "count": Amount(unread)}
            yield Case(parameters, calls=(each,), known=Known.INFERRED)
            return


def _next_receive(m: Moment, each: SidedCall) -> SidedCall | None:
    """The next receiving call on the same socket."""
    calls = m.scene.calls
    at = bisect_right(calls, each.call.enter_ns, key=lambda other: other.call.enter_ns)
    following = (other for other in calls[at : at + _LOOKED_AT] if other.side is each.side)
    return next((other for other in following if other.call.name in RECEIVING), None)


def _ending_here(m: Moment) -> list[SidedCall]:
    """The receives of a stream whose last byte this packet brought."""
    return [each for each in m.receives if m.report is not None and each.packets[-1] == m.row.packet]


def read_on(m: Moment) -> Iterator[Case]:
    """Less than was asked for came, and the program asked for exactly the rest."""
    for each in _ending_here(m):
        asked, got = each.call.asked or 0, each.call.returned or 0
        following = _next_receive(m, each) if 0 < got < asked else None
        if following is not None and following.call.asked == asked - got:
            parameters = {"side": each.side, "call": each, "count": Amount(got), "rest": following}
            yield Case(parameters, calls=(each, following))


def not_read_on(m: Moment) -> Iterator[Case]:
    """Less than a header came, the rest came later, and the program never asked again."""
    for each in _ending_here(m):
        asked, got = each.call.asked or 0, each.call.returned or 0
        if asked in _HEADER_SIZES and got < asked and _next_receive(m, each) is None:
            later = next((other for other in m.after(m.side) if is_new_data(other)), None)
            if later is not None:
                parameters = {"side": each.side, "call": each, "count": Amount(got), "packet": later.row.packet}
                yield Case(parameters, (later.row.packet,), (each,))


def length_read(m: Moment) -> Iterator[Case]:
    """A number was read, and then exactly so many bytes were asked for."""
    for each in _ending_here(m):
        call = each.call
        if call.asked in _HEADER_SIZES and call.returned == call.asked == len(call.data):
            number = int.from_bytes(call.data, "big")
            following = _next_receive(m, each) if number else None
            if following is not None and following.call.asked == number:
                parameters = {"side": each.side, "call": each, "number": number, "next": following}
                yield Case(parameters, calls=(each, following), known=Known.INFERRED)


_CHANGE_CIPHER, _ALERT, _HANDSHAKE, _ENCRYPTED = 20, 21, 22, 23  # content types, RFC 8446 section 5.1
_CLIENT_HELLO, _SERVER_HELLO = 1, 2  # handshake types, section 4
_RECORD_HEADER = 5
_LONGEST_RECORD = (1 << 14) + 2048  # TLS 1.2's limit, RFC 5246 section 6.2.3; that of 1.3 is smaller


def _records(m: Moment) -> Iterator[tuple[int, int, int]]:
    """Type, length and first byte (-1 when it was not kept) of the TLS records that begin with the payload."""
    payload, at = m.row.payload, 0
    while m.report is not None and at + _RECORD_HEADER <= len(payload):
        kind, major, minor, *length = payload[at : at + _RECORD_HEADER]
        count = int.from_bytes(bytes(length), "big")
        if not _CHANGE_CIPHER <= kind <= _ENCRYPTED or major != 3 or minor > 4 or count > _LONGEST_RECORD:
            return
        at += _RECORD_HEADER
        yield kind, count, payload[at] if at < len(payload) else -1
        at += count


def _record(kind: int, *first: int) -> Callable[[Moment], Iterator[Case]]:
    """The first record of a type in a segment; of handshake records, those that begin with one of these bytes."""

    def find(m: Moment) -> Iterator[Case]:
        if is_new_data(m):
            found = [count for of, count, byte in _records(m) if of == kind and (not first or byte in first)]
            if found:
                parameters = {"side": m.side, "bytes": Amount(found[0])}
                yield Case(parameters, known=Known.INFERRED)

    return find


_OTHER_HANDSHAKE = tuple(byte for byte in range(-1, 256) if byte not in (_CLIENT_HELLO, _SERVER_HELLO))

RULES = (
    Rule("four_tuple", Part.NUMBERS, "four-tuple", "RFC 9293 §3.4.1", four_tuple),
    Rule("accepted_socket", Part.PROGRAMS, "four-tuple", "accept(2)", accepted_socket),
    Rule("ephemeral_port", Part.NUMBERS, "ephemeral-port", "RFC 6335 §6", ephemeral_port),
    Rule("nodelay", Part.WHY, "nagle", "RFC 9293 §3.7.4", nodelay),
    Rule("nobody_yet", Part.PROGRAMS, "non-blocking", "accept(2)", nobody_yet),
    Rule("nothing_yet", Part.PROGRAMS, "non-blocking", "recv(2)", nothing_yet),
    Rule("send_buffer_full", Part.PROGRAMS, "non-blocking", "send(2)", send_buffer_full),
    Rule("connect_ended", Part.PROGRAMS, "non-blocking", "connect(2)", connect_ended),
    Rule("listener_ready", Part.PROGRAMS, "multiplexing", "select(2)", listener_ready),
    Rule("woken", Part.PROGRAMS, "multiplexing", "select(2)", woken),
    Rule("woken_by_end", Part.PROGRAMS, "multiplexing", "select(2)", woken_by_end),
    Rule("ready_at_once", Part.PROGRAMS, "multiplexing", "select(2)", ready_at_once),
    Rule("level_again", Part.PROGRAMS, "edge-triggered", "epoll(7)", level_again),
    Rule("edge_silent", Part.PROGRAMS, "edge-triggered", "epoll(7)", edge_silent),
    Rule("read_on", Part.PROGRAMS, "short-read", "recv(2)", read_on),
    Rule("not_read_on", Part.PROGRAMS, "length-prefix", "recv(2)", not_read_on),
    Rule("length_read", Part.PROGRAMS, "length-prefix", "RFC 9293 §2.2", length_read),
    Rule("tls_client_hello", Part.WHAT, "tls", "RFC 8446 §4.1.2", _record(_HANDSHAKE, _CLIENT_HELLO)),
    Rule("tls_server_hello", Part.WHAT, "tls", "RFC 8446 §4.1.3", _record(_HANDSHAKE, _SERVER_HELLO)),
    Rule("tls_handshake", Part.WHAT, "tls", "RFC 8446 §5.1", _record(_HANDSHAKE, *_OTHER_HANDSHAKE)),
    Rule("tls_change_cipher", Part.WHAT, "tls", "RFC 8446 §5", _record(_CHANGE_CIPHER)),
    Rule("tls_alert", Part.WHAT, "tls", "RFC 8446 §6", _record(_ALERT)),
    Rule("tls_encrypted", Part.WHAT, "tls", "RFC 8446 §5.2", _record(_ENCRYPTED)),
)
