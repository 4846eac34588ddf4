"""What the recorded calls of the programs show: how they read, and what they left unread."""

from collections.abc import Iterator
from itertools import pairwise

from inspector.calls.matching import SidedCall
from inspector.explain.matters.matter import MatterRule, Reading, Severity
from inspector.explain.reason import Amount, Case
from inspector.explain.scene import Scene
from inspector.tcp.report import Closing
from inspector.tcp.states import Known
from inspector.trace.messages import MessageStream, Span, cuts_character, touching

_BY_LIBRARY = "tls"  # its records are read by a library, which keeps what it is not asked for
_CLOSING = ("close", "exit")


def _streams(reading: Reading, protocol: str) -> Iterator[MessageStream]:
    """Both directions, where the calls of who reads them are known."""
    if reading.conversation.protocol != protocol or reading.framed is None or reading.framed.framing == _BY_LIBRARY:
        return
    yield from (each for each in reading.framed.streams if each.receives)


def _units(stream: MessageStream) -> list[Span]:
    """What belongs together: the messages of a framing, else what each send gave."""
    return [Span(each.start, each.end) for each in stream.messages] if stream.is_framed else stream.sends


def sticky(reading: Reading) -> Iterator[Case]:
    """A receive that took several messages, which had been sent one by one."""
    for stream in _streams(reading, "TCP"):
        units = _units(stream)
        several = []
        for each in stream.receives:
            taken = _touched(units, each)
            apart = not stream.sends or len(_touched(stream.sends, each)) > 1
            if len(taken) > 1 and apart and not _asked_exactly(each, taken[-1].end):
                several.append((each, len(taken)))
        if several:
            first, messages = several[0]
            parameters = {"side": stream.sender.other, "times": len(several), "messages": messages}
            yield _case({**parameters, "bytes": Amount(first.end - first.start)}, [each for each, _ in several])


def _asked_exactly(span: Span, end: int) -> bool:
    """Whether a receive got all that it asked for, up to an end that its program then knew."""
    return span.call is not None and span.call.call.asked == span.end - span.start and span.end == end


def split(reading: Reading) -> Iterator[Case]:
    """A receive with room for the whole message that returned a part of it; a header read first is none."""
    for stream in _streams(reading, "TCP"):
        units = _units(stream)
        headers = {message.header_end for message in stream.messages} if stream.is_framed else set()
        parts = []
        for each in stream.receives:
            cut = [unit for unit in _touched(units, each) if unit.end > each.end]
            asked = each.call.call.asked if each.call is not None else None
            if cut and each.end not in headers and asked is not None and cut[0].end - each.start <= asked:
                parts.append((each, cut[0]))
        if parts:
            first, unit = parts[0]
            sizes = {"bytes": Amount(first.end - first.start), "whole": Amount(unit.end - unit.start)}
            parameters = {"side": stream.sender.other, "times": len(parts)}
            yield _case({**parameters, **sizes}, [each for each, _ in parts])


def _touched(units: list[Span], span: Span) -> list[Span]:
    """Those that have bytes in a span."""
    return [units[at] for at in touching(units, span.start, span.end)]


def _case(parameters: dict[str, object], spans: list[Span]) -> Case:
    calls = [each.call for each in spans if each.call is not None]
    packets = sorted({packet for call in calls for packet in call.packets})
    return Case(parameters, tuple(packets), tuple(calls))


def character_cut(reading: Reading) -> Iterator[Case]:
    """A receive that ended within a character of UTF-8."""
    for stream in _streams(reading, "TCP"):
        cut = [each for each in stream.receives if cuts_character(stream.data, each.end)]
        if cut:
            yield _case({"side": stream.sender.other, "times": len(cut), "call": cut[0].call}, cut)


def never_read(reading: Reading) -> Iterator[Case]:
    """Bytes that its kernel acknowledged and its program, which has closed, never asked for."""
    outcome = reading.outcome
    if outcome is None or outcome.closing is Closing.RESET or reading.framed is None:
        return
    for stream in reading.framed.streams:
        side = stream.sender.other
        own = [each for each in reading.scene.calls if each.side is side and each.call.remote is not None]
        closed = next((each for each in own if each.call.name in _CLOSING), None)
        read = max((each.end for each in stream.receives), default=0)
        if own and closed is not None and not stream.gaps and len(stream.data) > read:
            unread = [each for each in stream.segments if each.end > read and each.packet is not None]
            parameters = {"side": side, "peer": stream.sender, "bytes": Amount(len(stream.data) - read)}
            packets = tuple(each.packet for each in unread if each.packet is not None)
            yield Case(parameters, packets, (closed,), Known.INFERRED)


def datagrams_unread(reading: Reading) -> Iterator[Case]:
    """Datagrams that came and that no receive returned."""
    for stream in _streams(reading, "UDP"):
        unread = [each for each in stream.segments if not touching(stream.receives, each.start, each.end)]
        unread = [each for each in unread if each.end > each.start]
        if unread:
            parameters = {"side": stream.sender.other, "lost": len(unread), "sent": len(stream.segments)}
            packets = tuple(each.packet for each in unread if each.packet is not None)
            yield Case(parameters, packets, known=Known.INFERRED)


def datagrams_truncated(reading: Reading) -> Iterator[Case]:
    """Receives whose buffer was smaller than the datagram."""
    for stream in _streams(reading, "UDP"):
        starts = {message.start: message for message in stream.messages}
        short = [each for each in stream.receives if each.start in starts and each.end < starts[each.start].end]
        if short:
            lost = sum(starts[each.start].end - each.end for each in short)
            yield _case({"side": stream.sender.other, "times": len(short), "bytes": Amount(lost)}, short)


def address_in_use(reading: Reading) -> Iterator[Case]:
    """bind() that the port was not free for."""
    for each in _failed(reading.scene, "bind", "EADDRINUSE"):
        yield Case({"side": each.side, "call": each}, (reading.scene.rows[-1].packet,), (each,))


def _failed(scene: Scene, name: str, error: str) -> list[SidedCall]:
    """The failed calls; one that is tried again and again counts once."""
    found = [each for each in scene.calls if each.call.name == name and each.call.error == error]
    return found[:1] + [later for earlier, later in pairwise(found) if later.call.process != earlier.call.process]


RULES = (
    MatterRule("datagrams_unread", Severity.FAILED, "udp", datagrams_unread),
    MatterRule("datagrams_truncated", Severity.FAILED, "udp", datagrams_truncated),
    MatterRule("address_in_use", Severity.FAILED, "time-wait", address_in_use),
    MatterRule("never_read", Severity.PROGRAM, "short-read", never_read, to_the_end=True),
    MatterRule("sticky", Severity.PROGRAM, "sticky", sticky),
    MatterRule("split", Severity.PROGRAM, "short-read", split),
    MatterRule("character_cut", Severity.PROGRAM, "short-read", character_cut),
)
