"""ICMP: errors about a packet, pings, and what else hosts say to each other; fragments and other protocols."""

from collections.abc import Callable, Iterator

from inspector.calls.call import RECEIVING, SENDING
from inspector.calls.matching import SidedCall
from inspector.explain.reason import Case, Duration, Part, Rule
from inspector.explain.scene import ACK, SYN, Moment
from inspector.tcp.states import Known

_TOLD_AS = {  # the texts of ICMP errors, by the keys of text area "icmp"
    "port_unreachable": "icmp_port",
    "host_unreachable": "icmp_host",
    "network_unreachable": "icmp_host",
    "no_route": "icmp_host",
    "address_unreachable": "icmp_host",
    "administratively_prohibited": "icmp_prohibited",
    "protocol_unreachable": "icmp_protocol",
    "fragmentation_needed": "icmp_too_big",
    "packet_too_big": "icmp_too_big",
    "time_exceeded": "icmp_time",
    "redirect": "icmp_redirect",
    "source_quench": "icmp_quench",
}
_ERRORS = frozenset((*_TOLD_AS, "parameter_problem", "unreachable"))
_OTHER_ERROR = "icmp_error"
_FATAL_TO_CONNECT = ("icmp_port", "icmp_host", "icmp_prohibited", "icmp_protocol")
_MESSAGES = (
    "neighbor_solicitation",
    "neighbor_advertisement",
    "router_solicitation",
    "router_advertisement",
)
_READ = ("TCP", "UDP", "ICMP", "ICMPV6")


def _kind(m: Moment) -> str:
    """Which text tells of an ICMP error that belongs to a conversation; empty for any other packet."""
    return "" if m.row.notice is None else _TOLD_AS.get(m.row.notice.name, _OTHER_ERROR)


def _error(name: str) -> Callable[[Moment], Iterator[Case]]:
    def find(m: Moment) -> Iterator[Case]:
        if m.row.notice is not None and _kind(m) == name:
            ends = m.scene.conversation.client, m.scene.conversation.server
            parameters = {"source": m.row.notice.source, "peer": m.side.other, "end": ends[m.side]}
            yield Case(parameters, _about(m))

    return find


def _about(m: Moment) -> tuple[int, ...]:
    """The packet that an error quotes, if it was captured."""
    return () if m.row.notice is None or m.row.notice.about is None else (m.row.notice.about,)


def icmp_quotes(m: Moment) -> Iterator[Case]:
    """The beginning of the packet that could not be delivered tells whose it was."""
    for about in _about(m):
        time = Duration(m.since(m.scene.moment(about)))
        yield Case({"peer": m.side.other, "packet": about, "time": time}, (about,))


def icmp_quotes_unseen(m: Moment) -> Iterator[Case]:
    """It quotes a packet that was not captured."""
    if m.row.notice is not None and m.row.notice.about is None:
        yield Case({"peer": m.side.other}, known=Known.INFERRED)


def _is_udp_error(m: Moment) -> bool:
    return m.scene.conversation.protocol == "UDP" and _kind(m) == "icmp_port"


def icmp_udp_told(m: Moment) -> Iterator[Case]:
    """A connected socket: the next call fails."""
    for each in _refused(m) if _is_udp_error(m) else ():
        yield Case({"side": each.side, "call": each}, calls=(each,), known=Known.INFERRED)


def _refused(m: Moment) -> list[SidedCall]:
    """The first call after it that failed because of it."""
    calls = m.scene.calls_named(m.side.other, *SENDING, *RECEIVING)
    late = (each for each in calls if (each.call.exit_ns or 0) >= m.row.time_ns and each.call.error == "ECONNREFUSED")
    return [each for each, _ in zip(late, range(1), strict=False)]


def icmp_udp_not_told(m: Moment) -> Iterator[Case]:
    """The program's socket was not connected, so nobody is told."""
    side = m.side.other
    if _is_udp_error(m) and m.knows_calls(side) and not m.scene.calls_named(side, "connect", "connect_ex"):
        waits = [each for each in m.scene.calls_named(side, *RECEIVING) if (each.call.exit_ns or 0) >= m.row.time_ns]
        yield Case({"side": side}, calls=tuple(waits[:1]), known=Known.SEEN if waits else Known.INFERRED)


def icmp_udp_depends(m: Moment) -> Iterator[Case]:
    """Without the calls nobody knows whether it was connected."""
    if _is_udp_error(m) and not m.knows_calls(m.side.other):
        yield Case({"side": m.side.other}, known=Known.UNKNOWN)


def icmp_rejected(m: Moment) -> Iterator[Case]:
    """TCP has its own way to refuse."""
    if m.scene.conversation.protocol == "TCP" and _kind(m) == "icmp_port":
        yield Case(packets=_about(m), known=Known.INFERRED)


def icmp_connect_fails(m: Moment) -> Iterator[Case]:
    """About a SYN: connect() fails at once, with the error that the message stands for."""
    if m.scene.conversation.protocol == "TCP" and _kind(m) in _FATAL_TO_CONNECT:
        for about in map(m.scene.moment, _about(m)):
            if about.has(SYN, ACK):
                failed = [each for each in about.calls(about.side, "connect", "connect_ex") if each.call.error]
                known = Known.SEEN if failed else Known.INFERRED
                yield Case({"side": about.side}, (about.row.packet,), tuple(failed), known)


def icmp_soft(m: Moment) -> Iterator[Case]:
    """About a segment of a connection: TCP goes on trying."""
    if m.scene.conversation.protocol == "TCP" and _kind(m) in _FATAL_TO_CONNECT:
        for about in map(m.scene.moment, _about(m)):
            if about.report is not None and not about.flags & SYN:
                yield Case({"side": about.side}, (about.row.packet,), known=Known.INFERRED)


def icmp_smaller(m: Moment) -> Iterator[Case]:
    """Path MTU discovery: whoever sent it makes them smaller."""
    if _kind(m) == "icmp_too_big" and m.scene.conversation.protocol == "TCP":
        yield Case({"side": m.side.other}, known=Known.INFERRED)


def icmp_smaller_datagrams(m: Moment) -> Iterator[Case]:
    """UDP has no segments to make smaller: the program is told."""
    if _kind(m) == "icmp_too_big" and m.scene.conversation.protocol == "UDP":
        yield Case({"side": m.side.other}, known=Known.INFERRED)


def echo_request(m: Moment) -> Iterator[Case]:
    """A ping."""
    if m.row.icmp == "echo_request":
        yield Case({"side": m.side, "peer": m.side.other})


def echo_reply(m: Moment) -> Iterator[Case]:
    """The answer of a kernel."""
    if m.row.icmp == "echo_reply":
        yield Case({"side": m.side})


def echo_time(m: Moment) -> Iterator[Case]:
    """What ping prints as the time."""
    if m.row.icmp == "echo_reply" and m.row.answers is not None:
        time = Duration(m.since(m.scene.moment(m.row.answers)))
        yield Case({"packet": m.row.answers, "time": time}, (m.row.answers,))


def echo_next(m: Moment) -> Iterator[Case]:
    """Which reply answers it."""
    answer = m.scene.answer_to.get(m.row.packet)
    if m.row.icmp == "echo_request" and answer is not None:
        yield Case({"answer": answer}, (answer,))


def echo_unanswered(m: Moment) -> Iterator[Case]:
    """No reply in the capture."""
    noticed = m.row.packet in m.scene.notice_about
    if m.row.icmp == "echo_request" and m.row.packet not in m.scene.answer_to and not noticed:
        yield Case({"peer": m.side.other}, known=Known.UNKNOWN)


def _message(name: str) -> Callable[[Moment], Iterator[Case]]:
    def find(m: Moment) -> Iterator[Case]:
        if m.row.icmp == name:
            yield Case({"side": m.side})

    return find


def _pinged(m: Moment) -> Moment | None:
    """The latest ping of the other side, for an error that belongs to a conversation of pings."""
    asked = m.last_peer if m.row.notice is None and m.row.icmp in _ERRORS else None
    return asked if asked is not None and asked.row.icmp == "echo_request" else None


def ping_ttl(m: Moment) -> Iterator[Case]:
    """Its TTL ran out, as traceroute wants it."""
    asked = _pinged(m)
    if asked is not None and m.row.icmp == "time_exceeded":
        yield Case({"peer": m.side.other, "packet": asked.row.packet}, (asked.row.packet,), known=Known.INFERRED)


def ping_error(m: Moment) -> Iterator[Case]:
    """It could not be delivered."""
    asked = _pinged(m)
    if asked is not None and m.row.icmp != "time_exceeded":
        yield Case({"peer": m.side.other, "packet": asked.row.packet}, (asked.row.packet,), known=Known.INFERRED)


def icmp_stray(m: Moment) -> Iterator[Case]:
    """An error about a conversation of which nothing was captured."""
    if m.row.notice is None and m.row.icmp in _ERRORS and _pinged(m) is None:
        yield Case({"side": m.side, "peer": m.side.other})


def icmp_other(m: Moment) -> Iterator[Case]:
    """A message that is told of no further here."""
    if m.row.notice is None and m.row.icmp == "other":
        yield Case({"side": m.side})


def fragment(m: Moment) -> Iterator[Case]:
    """A piece of an IP datagram."""
    if m.row.fragment:
        yield Case({"side": m.side, "count": m.row.payload_bytes})


def damaged(m: Moment) -> Iterator[Case]:
    """Its headers cannot be right."""
    if m.row.damaged:
        yield Case({"side": m.side, "protocol": m.scene.conversation.protocol})


def other_protocol(m: Moment) -> Iterator[Case]:
    """Neither TCP nor UDP nor ICMP."""
    if m.scene.conversation.protocol not in _READ and m.row.notice is None:
        yield Case({"side": m.side, "protocol": m.scene.conversation.protocol})


def tunnelled(m: Moment) -> Iterator[Case]:
    """A packet that travels in another one."""
    if m.place == 0 and m.scene.conversation.tunnel:
        yield Case({"tunnel": m.scene.conversation.tunnel})


RULES = (
    *(
        Rule(name, Part.WHAT, "icmp-unreachable", "RFC 792, RFC 4443", _error(name))
        for name in (*dict.fromkeys(_TOLD_AS.values()), _OTHER_ERROR)
    ),
    Rule("ping_ttl", Part.WHAT, "icmp-unreachable", "RFC 792, RFC 4443", ping_ttl),
    Rule("ping_error", Part.WHAT, "icmp-unreachable", "RFC 792, RFC 4443", ping_error),
    Rule("icmp_stray", Part.WHAT, "icmp-unreachable", "RFC 792, RFC 4443", icmp_stray),
    Rule("icmp_other", Part.WHAT, "icmp-unreachable", "RFC 792, RFC 4443", icmp_other),
    Rule("icmp_quotes", Part.NUMBERS, "icmp-unreachable", "RFC 1122 §3.2.2", icmp_quotes),
    Rule("icmp_quotes_unseen", Part.NUMBERS, "icmp-unreachable", "RFC 1122 §3.2.2", icmp_quotes_unseen),
    Rule("icmp_rejected", Part.WHY, "icmp-unreachable", "RFC 9293 §3.10.7.1", icmp_rejected),
    Rule("icmp_udp_told", Part.PROGRAMS, "icmp-unreachable", "ip(7)", icmp_udp_told),
    Rule("icmp_udp_not_told", Part.PROGRAMS, "icmp-unreachable", "ip(7)", icmp_udp_not_told),
    Rule("icmp_udp_depends", Part.PROGRAMS, "icmp-unreachable", "ip(7)", icmp_udp_depends),
    Rule("icmp_connect_fails", Part.PROGRAMS, "icmp-unreachable", "connect(2)", icmp_connect_fails),
    Rule("icmp_soft", Part.PROGRAMS, "icmp-unreachable", "RFC 9293 §3.9.2.2", icmp_soft),
    Rule("icmp_smaller", Part.NEXT, "mtu-mss", "RFC 1191 §3", icmp_smaller),
    Rule("icmp_smaller_datagrams", Part.NEXT, "mtu-mss", "udp(7)", icmp_smaller_datagrams),
    Rule("echo_request", Part.WHAT, "icmp-unreachable", "RFC 792, RFC 4443", echo_request),
    Rule("echo_reply", Part.WHAT, "icmp-unreachable", "RFC 1122 §3.2.2.6", echo_reply),
    Rule("echo_time", Part.NUMBERS, "icmp-unreachable", "RFC 792, RFC 4443", echo_time),
    Rule("echo_next", Part.NEXT, "icmp-unreachable", "RFC 792, RFC 4443", echo_next),
    Rule("echo_unanswered", Part.NEXT, "icmp-unreachable", "RFC 792, RFC 4443", echo_unanswered),
    *(Rule(name, Part.WHAT, "encapsulation", "RFC 4861 §4", _message(name)) for name in _MESSAGES),
    Rule("fragment", Part.WHAT, "mtu-mss", "RFC 791 §3.2", fragment),
    Rule("damaged", Part.WHAT, "encapsulation", "RFC 1122 §3.2.1", damaged),
    Rule("other_protocol", Part.WHAT, "encapsulation", "RFC 791 §3.1", other_protocol),
    Rule("tunnelled", Part.WHAT, "encapsulation", "RFC 2003 §1", tunnelled),
)
