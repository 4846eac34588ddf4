"""UDP: every datagram for itself. What was asked and answered, what a buffer cut off, what nobody ever read."""

from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address

from inspector.calls.call import RECEIVING, SENDING
from inspector.calls.matching import SidedCall
from inspector.explain.reason import Amount, Case, Duration, Part, Rule
from inspector.explain.scene import Moment
from inspector.tcp.states import Known, Side

_CONNECTING = ("connect", "connect_ex")
_FOUND_NOTHING = ("EAGAIN", "timeout")  # of a receive: no datagram was waiting
_FIRST_EPHEMERAL = 32_768  # Linux chooses from here on (ip_local_port_range), IANA's range is 49152 and up
_CALLS_LOOKED_AT = 64


def is_datagram(m: Moment) -> bool:
    """A UDP datagram whose header could be read; of a fragmented one, the packet that completes it."""
    return m.scene.conversation.protocol == "UDP" and m.row.notice is None and not (m.row.fragment or m.row.damaged)


def _is_to_many(m: Moment) -> bool:
    """Whether it goes to a group, or to everybody in the network."""
    conversation = m.scene.conversation
    address = (conversation.client, conversation.server)[m.side.other].address
    try:
        read = ip_address(address)
    except ValueError:
        return False
    return read.is_multicast or read == IPv4Address(0xFFFFFFFF)


def udp(m: Moment) -> Iterator[Case]:
    """A message with addresses, and nothing else."""
    if is_datagram(m) and m.row.payload_bytes:
        yield Case({"side": m.side, "peer": m.side.other, "count": Amount(m.row.payload_bytes)})


def udp_empty(m: Moment) -> Iterator[Case]:
    """No payload, and a datagram all the same."""
    if is_datagram(m) and not m.row.payload_bytes:
        yield Case({"side": m.side, "peer": m.side.other})


def udp_first(m: Moment) -> Iterator[Case]:
    """Nothing was agreed before it."""
    if is_datagram(m) and m.place == 0:
        yield Case({"side": m.side})


def udp_to_many(m: Moment) -> Iterator[Case]:
    """Multicast or broadcast."""
    if is_datagram(m) and _is_to_many(m):
        yield Case({"side": m.side, "server": (m.scene.conversation.client, m.scene.conversation.server)[m.side.other]})


def udp_whole(m: Moment) -> Iterator[Case]:
    """The last of its fragments: more payload than the frame could hold."""
    if is_datagram(m) and m.row.payload_bytes > m.row.frame_bytes:
        earlier, missing = [], m.row.payload_bytes
        for each in m.before(m.side):
            if not each.row.fragment or missing <= 0:
                break
            earlier.append(each.row.packet)
            missing -= each.row.payload_bytes
        if 0 < missing <= m.row.frame_bytes:
            parameters = {"count": Amount(m.row.payload_bytes), "pieces": len(earlier) + 1}
            yield Case(parameters, tuple(reversed(earlier)))


def udp_call(m: Moment) -> Iterator[Case]:
    """One call made it."""
    if is_datagram(m):
        for each in m.sends[:1] if m.row.payload_bytes else _empty_sends(m):
            known = Known.SEEN if m.row.payload_bytes else Known.INFERRED  # no bytes tell that it was this one
            yield Case({"side": m.side, "call": each}, calls=(each,), known=known)


def _empty_sends(m: Moment) -> list[SidedCall]:
    """The last call before an empty datagram that sent nothing."""
    for each in reversed(m.scene.calls_named(m.side, *SENDING)[-_CALLS_LOOKED_AT:]):
        if each.call.asked == 0 and each.call.enter_ns <= m.row.time_ns:
            return [each]
    return []


def udp_unseen_call(m: Moment) -> Iterator[Case]:
    """Without recorded calls: one of them makes one datagram."""
    if is_datagram(m) and not m.sends and not m.scene.calls_named(m.side, *SENDING):
        yield Case({"side": m.side}, known=Known.INFERRED)


def udp_connected(m: Moment) -> Iterator[Case]:
    """connect() was called, and nothing was sent for that."""
    if is_datagram(m) and m.place == 0:
        for each in m.scene.calls_named(m.side, *_CONNECTING)[:1]:
            if not each.call.error:
                yield Case({"side": m.side, "peer": m.side.other, "call": each}, calls=(each,))


def udp_answers(m: Moment) -> Iterator[Case]:
    """The only question that was open."""
    if is_datagram(m) and m.row.answers is not None:
        asked = m.scene.moment(m.row.answers)
        parameters = {"side": m.side, "packet": asked.row.packet, "time": Duration(m.since(asked))}
        yield Case(parameters, (asked.row.packet,), known=Known.INFERRED)


def udp_ephemeral(m: Moment) -> Iterator[Case]:
    """The kernel chose the client's port, at the first datagram."""
    port = m.scene.conversation.client.port or 0
    first = m.scene.own_places[Side.CLIENT][:1]
    if not is_datagram(m) or first != [m.place] or port < _FIRST_EPHEMERAL:
        return
    if m.knows_calls(m.side) and not m.scene.calls_named(m.side, "bind"):
        yield Case({"side": m.side, "peer": m.side.other, "port": port})


def udp_received(m: Moment) -> Iterator[Case]:
    """One receive returned all of it."""
    for each in m.receives if is_datagram(m) else ():
        waited = (each.call.exit_ns or 0) - m.row.time_ns
        if each.call.returned == m.row.payload_bytes and waited >= 0:
            yield Case({"side": each.side, "call": each, "time": Duration(waited)}, calls=(each,))


def udp_truncated(m: Moment) -> Iterator[Case]:
    """The buffer was smaller than the datagram: the rest is gone."""
    for each in m.receives if is_datagram(m) else ():
        returned = each.call.returned or 0
        if returned == each.call.asked and returned < m.row.payload_bytes:
            lost = Amount(m.row.payload_bytes - returned)
            parameters = {"side": each.side, "call": each, "count": Amount(m.row.payload_bytes), "lost": lost}
            yield Case(parameters, calls=(each,))


def udp_dropped(m: Moment) -> Iterator[Case]:
    """A later receive found nothing, so it is not in the receive buffer, and never was."""
    if is_datagram(m) and m.row.payload_bytes and not m.receives:
        for each in _found_nothing(m):
            yield Case({"side": m.side.other, "peer": m.side, "call": each}, calls=(each,), known=Known.INFERRED)


def udp_never_read(m: Moment) -> Iterator[Case]:
    """No call returned it; whether it lay in the buffer to the end, the calls do not say."""
    peer = m.side.other
    if is_datagram(m) and m.row.payload_bytes and not m.receives and m.knows_calls(peer) and not _found_nothing(m):
        yield Case({"side": peer}, known=Known.INFERRED)


def udp_next(m: Moment) -> Iterator[Case]:
    """What answers it."""
    answer = m.scene.answer_to.get(m.row.packet)
    if is_datagram(m) and answer is not None:
        time = Duration(m.scene.moment(answer).since(m))
        yield Case({"answer": answer, "time": time}, (answer,), known=Known.INFERRED)


def udp_refused(m: Moment) -> Iterator[Case]:
    """An ICMP error quotes it."""
    notice = m.scene.notice_about.get(m.row.packet)
    if is_datagram(m) and notice is not None:
        yield Case({"packet": notice, "time": Duration(m.scene.moment(notice).since(m))}, (notice,))


def udp_unanswered(m: Moment) -> Iterator[Case]:
    """Nothing comes back, and nobody is told."""
    last_client, last_server = m.scene.last_of
    asked = is_datagram(m) and m.place == last_client > last_server
    if asked and m.row.packet not in m.scene.notice_about and not _is_to_many(m):
        yield Case({"side": m.side, "peer": m.side.other}, known=Known.UNKNOWN)


def _found_nothing(m: Moment) -> list[SidedCall]:
    """The last receive of the other side, when it began after this datagram had passed and no datagram was there."""
    for each in reversed(m.scene.calls_named(m.side.other, *RECEIVING)[-_CALLS_LOOKED_AT:]):
        if each.call.error in _FOUND_NOTHING:
            return [each] if each.call.enter_ns > m.row.time_ns else []
    return []


RULES = (
    Rule("udp", Part.WHAT, "udp", "RFC 768", udp),
    Rule("udp_empty", Part.WHAT, "udp", "RFC 768", udp_empty),
    Rule("udp_first", Part.WHAT, "udp", "udp(7)", udp_first),
    Rule("udp_to_many", Part.WHAT, "udp", "RFC 1112 §4", udp_to_many),
    Rule("udp_whole", Part.WHAT, "udp", "RFC 791 §3.2", udp_whole),
    Rule("udp_call", Part.WHY, "udp", "send(2)", udp_call),
    Rule("udp_unseen_call", Part.WHY, "udp", "send(2)", udp_unseen_call),
    Rule("udp_connected", Part.WHY, "udp", "udp(7)", udp_connected),
    Rule("udp_answers", Part.WHY, "udp", "RFC 768", udp_answers),
    Rule("udp_ephemeral", Part.NUMBERS, "ephemeral-port", "ip(7)", udp_ephemeral),
    Rule("udp_received", Part.PROGRAMS, "udp", "udp(7)", udp_received),
    Rule("udp_truncated", Part.PROGRAMS, "udp", "recv(2)", udp_truncated),
    Rule("udp_dropped", Part.PROGRAMS, "udp", "udp(7)", udp_dropped),
    Rule("udp_never_read", Part.PROGRAMS, "udp", "udp(7)", udp_never_read),
    Rule("udp_next", Part.NEXT, "udp", "RFC 768", udp_next),
    Rule("udp_refused", Part.NEXT, "icmp-unreachable", "RFC 1122 §4.1.3.1", udp_refused),
    Rule("udp_unanswered", Part.NEXT, "udp", "RFC 8085 §3.3", udp_unanswered),
)
