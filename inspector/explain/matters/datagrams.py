"""Datagrams and ICMP errors: what nobody answered, and what was sent back."""

from collections.abc import Callable, Iterator

from inspector.explain.matters.matter import MatterRule, Reading, Severity
from inspector.explain.reason import Case, Duration
from inspector.tcp.states import Known, Side
from inspector.trace.conversation import Row

_ANSWERED_PORTS = frozenset((53, 69, 123, 161, 389, 500, 5060, 5353))  # protocols of question and answer
_ANSWER_NS = 1_000_000_000
_CLOSED_PORT = ("port_unreachable",)
_NO_WAY = ("network_unreachable", "host_unreachable", "no_route", "address_unreachable", "unreachable")
_FORBIDDEN = ("administratively_prohibited",)
_NO_PROTOCOL = ("protocol_unreachable", "parameter_problem")
_TOO_BIG = ("fragmentation_needed", "packet_too_big")
_HOPS = ("time_exceeded",)


def _notices(reading: Reading, names: tuple[str, ...]) -> list[Row]:
    return [row for row in reading.scene.rows if row.notice is not None and row.notice.name in names]


def _noticed(names: tuple[str, ...]) -> Callable[[Reading], Iterator[Case]]:
    """ICMP errors about what the client sent."""

    def find(reading: Reading) -> Iterator[Case]:
        rows = [row for row in _notices(reading, names) if not _about_answer(reading, row)]
        if rows:
            yield _case(rows)

    return find


def _about_answer(reading: Reading, row: Row) -> bool:
    """Whether an ICMP error is about something that the server sent."""
    return row.side is Side.CLIENT and reading.conversation.packets_to_client > 0


def _case(rows: list[Row]) -> Case:
    sources = tuple(dict.fromkeys(row.notice.source for row in rows if row.notice is not None))
    about = [row.notice.about for row in rows if row.notice is not None and row.notice.about is not None]
    packets = sorted({*about, *(row.packet for row in rows)})
    return Case({"sources": sources, "times": len(rows)}, tuple(packets))


def answer_unwanted(reading: Reading) -> Iterator[Case]:
    """An answer that came when the client's port was closed already."""
    rows = [row for row in _notices(reading, _CLOSED_PORT) if _about_answer(reading, row)]
    if rows:
        yield _case(rows)


def unanswered_datagrams(reading: Reading) -> Iterator[Case]:
    """Questions that nothing came back for: asked of a port that answers, or asked again word for word."""
    conversation, rows = reading.conversation, reading.scene.rows
    if conversation.protocol != "UDP" or conversation.packets_to_client or any(row.notice for row in rows):
        return
    questions = [row for row in rows if row.payload_bytes]
    again = len({row.payload for row in questions}) < len(questions)
    asks = conversation.server.port in _ANSWERED_PORTS or again
    waited_ns = reading.capture_end_ns - rows[0].time_ns
    if asks and questions and waited_ns >= _ANSWER_NS and not _is_for_many(conversation.server.address):
        parameters = {"tries": len(questions), "time": Duration(waited_ns)}
        yield Case(parameters, tuple(row.packet for row in questions), known=Known.UNKNOWN)


def _is_for_many(address: str) -> bool:
    """Multicast or broadcast; also the last address of what is likely a network of 256."""
    if ":" in address:
        return address.lower().startswith("ff")
    first, *_, last = address.split(".")
    return 224 <= int(first) <= 239 or last == "255"


RULES = (
    MatterRule("port_closed", Severity.FAILED, "icmp", _noticed(_CLOSED_PORT)),
    MatterRule("no_way", Severity.FAILED, "icmp", _noticed(_NO_WAY)),
    MatterRule("forbidden", Severity.FAILED, "icmp", _noticed(_FORBIDDEN)),
    MatterRule("no_protocol", Severity.FAILED, "icmp", _noticed(_NO_PROTOCOL)),
    MatterRule("unanswered_datagrams", Severity.FAILED, "udp", unanswered_datagrams, to_the_end=True),
    MatterRule("answer_unwanted", Severity.NOTE, "icmp", answer_unwanted),
    MatterRule("too_big", Severity.NOTE, "mtu-mss", _noticed(_TOO_BIG)),
    MatterRule("hop_limit", Severity.NOTE, "icmp", _noticed(_HOPS)),
)
