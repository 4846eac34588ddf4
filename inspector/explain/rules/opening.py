"""Why the segments of a handshake are there: SYN, SYN,ACK, the third, refusals and silence."""

from collections.abc import Iterator
from itertools import islice

from inspector.calls.matching import SidedCall
from inspector.explain.reason import Case, Duration, Part, Rule
from inspector.explain.scene import ACK, CWR, ECE, RST, SYN, Moment
from inspector.tcp.findings import Cause, Kind
from inspector.tcp.states import Known, Side

_HEADERS = {False: 40, True: 60}  # of IP and TCP, over IPv4 and over IPv6
_LOOPBACK_LARGEST = {False: 65_535, True: 65_536}  # the MTU of loopback is 65,536, more than an IPv4 packet can have
_ETHERNET_MTU = 1500
_ACCEPTED_LATE_NS = 1_000_000
_OWN_TIMEOUT = "timeout"  # as the recorder names what settimeout() ends


def syn(m: Moment) -> Iterator[Case]:
    """The first segment of an active opening."""
    if m.has(SYN, ACK | RST):
        yield Case({"side": m.side, "seq": m.segment.seq})


def syn_call(m: Moment) -> Iterator[Case]:
    """connect() made it."""
    if m.has(SYN, ACK | RST) and not m.is_resent:
        for each in m.calls(m.side, "connect", "connect_ex")[:1]:
            yield Case({"side": m.side, "call": each}, calls=(each,))


def syn_unseen_call(m: Moment) -> Iterator[Case]:
    """Without recorded calls: nothing else makes a kernel send a SYN."""
    unseen = m.has(SYN, ACK | RST) and not m.is_resent and not m.calls(m.side, "connect", "connect_ex")
    if unseen and not _is_fast_open(m):
        yield Case({"side": m.side}, known=Known.INFERRED)


def fast_open_unseen_call(m: Moment) -> Iterator[Case]:
    """connect() alone makes no SYN with data or with a cookie."""
    if m.has(SYN, ACK | RST) and not m.is_resent and _is_fast_open(m):
        yield Case({"side": m.side}, known=Known.INFERRED)


def _is_fast_open(m: Moment) -> bool:
    return bool(m.row.payload_bytes) or m.segment.options.fast_open_cookie is not None


def syn_again(m: Moment) -> Iterator[Case]:
    """The timer, because nothing answered."""
    if m.has(SYN, ACK | RST) and m.finding(Kind.RETRANSMISSION):
        first = next((each for each in m.before(m.side) if each.has(SYN, ACK | RST)), None)
        if first is not None:
            answer = m.last_peer
            if answer is None or answer.place < first.place:
                parameters = {"side": m.side, "time": Duration(m.since(first)), "first": first.row.packet}
                yield Case(parameters, (first.row.packet,), known=Known.INFERRED)


def syn_given_up(m: Moment) -> Iterator[Case]:
    """The last SYN, and the program would not wait any longer."""
    if m.has(SYN, ACK | RST) and next(m.after(), None) is None:
        for each in m.scene.calls:
            call = each.call
            if each.side is m.side and call.name == "connect" and call.error == _OWN_TIMEOUT and call.exit_ns:
                yield Case({"side": m.side, "call": each, "time": Duration(call.exit_ns - call.enter_ns)}, (), (each,))
                return


def syn_unanswered(m: Moment) -> Iterator[Case]:
    """The last SYN, and still nothing."""
    given_up = any(True for _ in syn_given_up(m))
    if m.has(SYN, ACK | RST) and next(m.after(), None) is None and not given_up:
        yield Case({"side": m.side, "peer": m.side.other}, known=Known.UNKNOWN)


def syn_next(m: Moment) -> Iterator[Case]:
    """What answered it."""
    if not m.has(SYN, ACK | RST):
        return
    answer = m.covered_by or next((each for each in islice(m.after(m.side.other), 1) if each.has(RST)), None)
    if answer is not None:
        yield Case({"answer": answer.row.packet, "time": Duration(answer.since(m))}, (answer.row.packet,))


def syn_ack(m: Moment) -> Iterator[Case]:
    """The second segment."""
    if m.has(SYN | ACK) and not m.finding(Kind.SIMULTANEOUS_OPEN):
        yield Case({"side": m.side, "seq": m.segment.seq, "peer": m.side.other})


def syn_ack_kernel(m: Moment) -> Iterator[Case]:
    """No program sent it: a socket listens."""
    if not m.has(SYN | ACK) or m.is_resent or m.finding(Kind.SIMULTANEOUS_OPEN):
        return
    listens = tuple(
        each for each in m.scene.calls if each.side is m.side and each.call.name == "listen" and not each.call.error
    )
    yield Case({"side": m.side}, calls=listens[-1:], known=Known.SEEN if listens else Known.INFERRED)


def syn_ack_again(m: Moment) -> Iterator[Case]:
    """The timer, or a SYN that came again."""
    finding = m.finding(Kind.RETRANSMISSION)
    if m.has(SYN | ACK) and finding is not None and finding.cause is not Cause.ANSWER_TO_SYN:
        first = next((each for each in m.before(m.side) if each.has(SYN | ACK)), None)
        if first is not None:
            parameters = {"side": m.side, "peer": m.side.other, "first": first.row.packet}
            yield Case(parameters | {"time": Duration(m.since(first))}, (first.row.packet,), known=Known.INFERRED)


def syn_acked(m: Moment) -> Iterator[Case]:
    """The number that acknowledges a SYN."""
    for each in m.covers:
        if each.flags & SYN and not m.flags & RST and m.segment.ack == (each.segment.seq + 1) & 0xFFFFFFFF:
            yield Case({"ack": m.segment.ack, "seq": each.segment.seq, "packet": each.row.packet}, (each.row.packet,))
            return


def third(m: Moment) -> Iterator[Case]:
    """The segment that completes the handshake."""
    if m.has(ACK, SYN | RST) and _answer_covered(m) is not None:
        yield Case({"side": m.side, "peer": m.side.other})


def _answer_covered(m: Moment) -> Moment | None:
    """The SYN,ACK of a listener that it acknowledges: of a simultaneous open there is none."""
    answers = (each for each in m.covers if each.has(SYN | ACK))
    return next((each for each in answers if not each.finding(Kind.SIMULTANEOUS_OPEN)), None)


def connect_returns(m: Moment) -> Iterator[Case]:
    """At the SYN,ACK the client's connect() is done."""
    if not m.has(SYN | ACK) or m.is_resent or m.finding(Kind.SIMULTANEOUS_OPEN):
        return
    for asked in m.covers[:1]:
        for each in asked.calls(asked.side, "connect", "connect_ex")[:1]:
            call = each.call
            if call.exit_ns is not None and not call.error:
                time = Duration(call.exit_ns - call.enter_ns)
                yield Case({"side": each.side, "call": each, "time": time}, (asked.row.packet,), (each,))


def connect_in_progress(m: Moment) -> Iterator[Case]:
    """The SYN is sent although connect() raised."""
    if m.has(SYN, ACK | RST):
        for each in _went_on(m):
            yield Case({"side": m.side, "call": each}, calls=(each,))


def accept(m: Moment) -> Iterator[Case]:
    """accept() takes what is complete, and sends nothing."""
    if m.has(ACK, SYN | RST) and any(each.has(SYN | ACK) for each in m.covers):
        peer = m.side.other
        accepts = [each for each in m.scene.calls if each.side is peer and each.call.name == "accept"]
        own = [each for each in accepts if each.call.remote is not None and each.call.exit_ns is not None]
        for each in own[:1]:
            waited = each.call.enter_ns - m.row.time_ns
            if waited > _ACCEPTED_LATE_NS:
                yield Case({"side": peer, "call": each, "time": Duration(waited)}, calls=(each,))


def accept_pending(m: Moment) -> Iterator[Case]:
    """Complete before accept(): what the kernel does by itself."""
    if m.has(ACK, SYN | RST) and _answer_covered(m) is not None and not m.scene.is_itself:
        yield Case({"side": m.side.other}, known=Known.INFERRED)


def refused(m: Moment) -> Iterator[Case]:
    """A reset in answer to a SYN: nobody listens."""
    if m.has(RST | ACK, SYN) and any(each.has(SYN, ACK) for each in m.covers):
        yield Case({"side": m.side, "peer": m.side.other, "server": m.scene.conversation.server})


def refused_numbers(m: Moment) -> Iterator[Case]:
    """The reset acknowledges the SYN, so that it is believed."""
    if m.has(RST | ACK, SYN):
        for each in m.covers:
            if each.has(SYN, ACK) and m.segment.ack == (each.segment.seq + 1) & 0xFFFFFFFF:
                parameters = {"ack": m.segment.ack, "seq": each.segment.seq, "packet": each.row.packet}
                yield Case(parameters, (each.row.packet,))


def refused_call(m: Moment) -> Iterator[Case]:
    """What the program is told."""
    if m.has(RST | ACK, SYN):
        for each in m.covers:
            if each.has(SYN, ACK) and not _went_on(each):
                failed = [call for call in each.calls(each.side, "connect", "connect_ex") if call.call.error]
                yield Case({"side": each.side}, calls=tuple(failed), known=Known.SEEN if failed else Known.INFERRED)


def _went_on(syn: Moment) -> list[SidedCall]:
    """The connect() of a SYN, when it did not wait for the answer."""
    return [each for each in syn.calls(syn.side, "connect", "connect_ex") if each.call.error == "EINPROGRESS"]


def refused_later(m: Moment) -> Iterator[Case]:
    """What the program is told whose connect() did not wait."""
    for each in m.covers if m.has(RST | ACK, SYN) else ():
        for call in _went_on(each)[:1] if each.has(SYN, ACK) else ():
            yield Case({"side": each.side, "call": call}, calls=(call,), known=Known.INFERRED)


def simultaneous_open(m: Moment) -> Iterator[Case]:
    """A SYN,ACK of an end that had sent a SYN itself."""
    if finding := m.finding(Kind.SIMULTANEOUS_OPEN):
        yield Case({"side": m.side, "first": finding.evidence[0]}, finding.evidence)


def fast_open(m: Moment) -> Iterator[Case]:
    """Data in the SYN, with a cookie."""
    if m.has(SYN, ACK | RST) and m.row.payload_bytes and m.segment.options.fast_open_cookie:
        yield Case({"side": m.side, "count": m.row.payload_bytes})


def syn_data(m: Moment) -> Iterator[Case]:
    """Data in the SYN of who has no cookie."""
    if m.has(SYN, ACK | RST) and m.row.payload_bytes and not m.segment.options.fast_open_cookie:
        yield Case({"side": m.side, "count": m.row.payload_bytes})


def fast_open_cookie(m: Moment) -> Iterator[Case]:
    """A cookie is asked for, or given."""
    if m.flags & SYN and m.segment.options.fast_open_cookie is not None and not m.row.payload_bytes:
        yield Case({"side": m.side, "count": len(m.segment.options.fast_open_cookie)})


def fast_open_taken(m: Moment) -> Iterator[Case]:
    """The SYN,ACK acknowledges the data too."""
    if m.has(SYN | ACK):
        for each in m.covers:
            if each.has(SYN, ACK) and each.row.payload_bytes:
                parameters = {"ack": m.segment.ack, "seq": each.segment.seq, "count": each.row.payload_bytes}
                yield Case(parameters, (each.row.packet,))


def fast_open_refused(m: Moment) -> Iterator[Case]:
    """The SYN,ACK leaves the data out."""
    if m.has(SYN | ACK):
        asked = next((each for each in m.before(m.side.other) if each.has(SYN, ACK)), None)
        if asked is not None and asked.row.payload_bytes and m.segment.ack == (asked.segment.seq + 1) & 0xFFFFFFFF:
            yield Case({"side": m.side, "count": asked.row.payload_bytes}, (asked.row.packet,))


def mss(m: Moment) -> Iterator[Case]:
    """The largest segment it wants."""
    headers = _HEADERS[_is_ipv6(m)]
    if m.flags & SYN and m.segment.options.mss == _ETHERNET_MTU - headers:
        parameters = {"mss": m.segment.options.mss, "mtu": _ETHERNET_MTU, "headers": headers}
        yield Case({"side": m.side, **parameters}, known=Known.INFERRED)


def _is_ipv6(m: Moment) -> bool:
    return ":" in m.scene.conversation.client.address


def mss_loopback(m: Moment) -> Iterator[Case]:
    """That of loopback, whose MTU is 65,536."""
    largest, headers = _LOOPBACK_LARGEST[_is_ipv6(m)], _HEADERS[_is_ipv6(m)]
    if m.flags & SYN and m.segment.options.mss == largest - headers:
        sizes = {"mss": m.segment.options.mss, "largest": f"{largest:,}", "ethernet": _ETHERNET_MTU - headers}
        yield Case({"side": m.side, **sizes}, known=Known.INFERRED)


def window_scale(m: Moment) -> Iterator[Case]:
    """By how much later window fields of this side are multiplied."""
    if m.flags & SYN and (scale := m.segment.options.window_scale) is not None:
        yield Case({"side": m.side, "scale": scale, "factor": 1 << scale})


def window_scale_missing(m: Moment) -> Iterator[Case]:
    """A SYN without it: neither side scales."""
    if m.flags & SYN and m.segment.options.window_scale is None and (m.segment.options.mss is not None):
        yield Case({"side": m.side})


def sack_permitted(m: Moment) -> Iterator[Case]:
    """Only SYNs may say so."""
    if m.flags & SYN and m.segment.options.sack_permitted:
        yield Case({"side": m.side})


def timestamps(m: Moment) -> Iterator[Case]:
    """On both SYNs, or not at all."""
    if m.flags & SYN and m.segment.options.timestamp is not None:
        yield Case({"side": m.side})


def ecn_asked(m: Moment) -> Iterator[Case]:
    """ECE and CWR in a SYN offer congestion marks."""
    if m.has(SYN | ECE | CWR, ACK):
        yield Case({"side": m.side})


def ecn_agreed(m: Moment) -> Iterator[Case]:
    """ECE alone in the SYN,ACK takes the offer."""
    if m.has(SYN | ACK | ECE, CWR):
        yield Case({"side": m.side})


def reused_ports(m: Moment) -> Iterator[Case]:
    """The same addresses and ports were a connection before."""
    if m.finding(Kind.REUSED_PORTS):
        yield Case({"side": m.side})


def never_completed(m: Moment) -> Iterator[Case]:
    """The last SYN,ACK, with nothing after it."""
    if m.scene.is_itself:
        return
    if m.has(SYN | ACK) and m.covered_by is None and next(m.after(m.side.other), None) is None:
        yield Case({"peer": m.side.other}, known=Known.UNKNOWN)


def opened_at(m: Moment) -> Iterator[Case]:
    """The round trip that the handshake measures."""
    answer = _answer_covered(m) if m.has(ACK, SYN | RST) else None
    asked = next((syn for syn in answer.before(m.side) if syn.has(SYN, ACK)), None) if answer is not None else None
    if asked is not None:
        yield Case({"time": Duration(m.since(asked)), "first": asked.row.packet}, (asked.row.packet,))


def itself(m: Moment) -> Iterator[Case]:
    """A socket connected to its own port."""
    if m.has(SYN, ACK) and m.scene.is_itself and m.side is Side.CLIENT:
        yield Case({"server": m.scene.conversation.server})


RULES = (
    Rule("syn", Part.WHAT, "handshake", "RFC 9293 §3.5", syn),
    Rule("syn_ack", Part.WHAT, "handshake", "RFC 9293 §3.5", syn_ack),
    Rule("third", Part.WHAT, "handshake", "RFC 9293 §3.5", third),
    Rule("refused", Part.WHAT, "refused-or-timeout", "RFC 9293 §3.5.2", refused),
    Rule("simultaneous_open", Part.WHAT, "simultaneous", "RFC 9293 §3.5", simultaneous_open),
    Rule("itself", Part.WHAT, "simultaneous", "RFC 9293 §3.5", itself),
    Rule("fast_open", Part.WHAT, "fast-open", "RFC 7413 §3", fast_open),
    Rule("syn_data", Part.WHAT, "fast-open", "RFC 9293 §3.5", syn_data),
    Rule("fast_open_cookie", Part.WHAT, "fast-open", "RFC 7413 §4.1.1", fast_open_cookie),
    Rule("syn_call", Part.WHY, "handshake", "connect(2)", syn_call),
    Rule("syn_unseen_call", Part.WHY, "handshake", "RFC 9293 §3.10.1", syn_unseen_call),
    Rule("fast_open_unseen_call", Part.WHY, "fast-open", "tcp(7)", fast_open_unseen_call),
    Rule("syn_again", Part.WHY, "refused-or-timeout", "RFC 6298 §2", syn_again),
    Rule("syn_ack_kernel", Part.WHY, "accept-queue", "listen(2)", syn_ack_kernel),
    Rule("syn_ack_again", Part.WHY, "rto", "RFC 9293 §3.8.1", syn_ack_again),
    Rule("reused_ports", Part.WHY, "time-wait", "RFC 9293 §3.6.1", reused_ports),
    Rule("syn_acked", Part.NUMBERS, "sequence-numbers", "RFC 9293 §3.4", syn_acked),
    Rule("refused_numbers", Part.NUMBERS, "refused-or-timeout", "RFC 9293 §3.5.3", refused_numbers),
    Rule("fast_open_taken", Part.NUMBERS, "fast-open", "RFC 7413 §3", fast_open_taken),
    Rule("fast_open_refused", Part.NUMBERS, "fast-open", "RFC 7413 §3", fast_open_refused),
    Rule("mss", Part.NUMBERS, "mtu-mss", "RFC 9293 §3.7.1", mss),
    Rule("mss_loopback", Part.NUMBERS, "mtu-mss", "RFC 9293 §3.7.1", mss_loopback),
    Rule("window_scale", Part.NUMBERS, "window-scale", "RFC 7323 §2.2", window_scale),
    Rule("window_scale_missing", Part.NUMBERS, "window-scale", "RFC 7323 §2.2", window_scale_missing),
    Rule("sack_permitted", Part.NUMBERS, "fast-retransmit", "RFC 2018 §2", sack_permitted),
    Rule("timestamps", Part.NUMBERS, "rto", "RFC 7323 §3.2", timestamps),
    Rule("ecn_asked", Part.NUMBERS, "ecn", "RFC 3168 §6.1.1", ecn_asked),
    Rule("ecn_agreed", Part.NUMBERS, "ecn", "RFC 3168 §6.1.1", ecn_agreed),
    Rule("opened_at", Part.NUMBERS, "handshake", "RFC 9293 §3.5", opened_at),
    Rule("connect_returns", Part.PROGRAMS, "handshake", "connect(2)", connect_returns),
    Rule("connect_in_progress", Part.PROGRAMS, "non-blocking", "connect(2)", connect_in_progress),
    Rule("refused_call", Part.PROGRAMS, "refused-or-timeout", "connect(2)", refused_call),
    Rule("refused_later", Part.PROGRAMS, "non-blocking", "connect(2)", refused_later),
    Rule("syn_given_up", Part.PROGRAMS, "refused-or-timeout", "socket.settimeout()", syn_given_up),
    Rule("accept_pending", Part.PROGRAMS, "accept-queue", "listen(2)", accept_pending),
    Rule("accept", Part.PROGRAMS, "accept-queue", "accept(2)", accept),
    Rule("syn_next", Part.NEXT, "handshake", "RFC 9293 §3.5", syn_next),
    Rule("syn_unanswered", Part.NEXT, "refused-or-timeout", "RFC 9293 §3.8.3", syn_unanswered),
    Rule("never_completed", Part.NEXT, "handshake", "RFC 9293 §3.5", never_completed),
)
