"""Time that was lost: segments sent again, closed windows, Nagle's algorithm against delayed ACKs."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from inspector.explain.matters.matter import MatterRule, Reading, Severity, weakest
from inspector.explain.reason import Case, Duration
from inspector.explain.rules import data
from inspector.explain.scene import FIN, RST, SYN, Moment
from inspector.tcp.findings import Cause, Finding, Kind
from inspector.tcp.states import Known, Side

_ANSWERS_READ = 64  # an answer comes at once
_WORTH_NS = 1_000_000  # a window that is closed for less holds nobody up


def _resent(cause: Cause) -> Callable[[Reading], Iterator[Case]]:
    """What one side sent again for this cause, and how long that took."""

    def find(reading: Reading) -> Iterator[Case]:
        needless = {m.row.packet for m, _ in reading.found(Kind.SPURIOUS_RETRANSMISSION)}
        for side in Side:
            again = [
                (m, finding)
                for m, finding in reading.found(Kind.RETRANSMISSION)
                if finding.cause is cause and m.side is side and not m.flags & SYN and m.row.packet not in needless
            ]
            yield from _told(reading, side, [each for each in again if each[1].known is Known.SEEN])

    return find


def resent_unseen(reading: Reading) -> Iterator[Case]:
    """Sent again, and the first copy never came here."""
    needless = {m.row.packet for m, _ in reading.found(Kind.SPURIOUS_RETRANSMISSION)}
    found = [each for each in reading.found(Kind.RETRANSMISSION) if each[1].known is not Known.SEEN]
    for side in Side:
        own = [each for each in found if each[0].side is side and each[0].row.packet not in needless]
        for case in _told(reading, side, own):
            yield case._replace(known=Known.INFERRED)


def _told(reading: Reading, side: Side, again: list[tuple[Moment, Finding]]) -> Iterator[Case]:
    if again:
        parameters = {"side": side, "peer": side.other, "times": len(again), "time": _waited(reading, again)}
        packets = {packet for m, finding in again for packet in (*finding.evidence[:1], m.row.packet)}
        yield Case(parameters, tuple(sorted(packets)))


def _waited(reading: Reading, again: list[tuple[Moment, Finding]]) -> Duration:
    """From each segment to its being sent again, where these overlap counted once."""
    spans = []
    for m, finding in again:
        first = next((packet for packet in finding.evidence if packet < m.row.packet), None)
        if first is not None:
            spans.append((reading.scene.moment(first).row.time_ns, m.row.time_ns))
    return covered(spans)


def covered(spans: Iterable[tuple[int, int]]) -> Duration:
    """How much time lies in any of these."""
    total, reached = 0, 0
    for start, end in sorted(spans):
        total += max(0, end - max(start, reached))
        reached = max(reached, end)
    return Duration(total)


def needless(reading: Reading) -> Iterator[Case]:
    """Sent again, though the other side had it."""
    for side in Side:
        found = [(m, finding) for m, finding in reading.found(Kind.SPURIOUS_RETRANSMISSION) if m.side is side]
        if found:
            packets = tuple(m.row.packet for m, _ in found)
            known = weakest([finding.known for _, finding in found])
            yield Case({"side": side, "peer": side.other, "times": len(found)}, packets, known=known)


class _Closed:
    """When the window of one side was 0."""

    def __init__(self, reading: Reading, side: Side) -> None:
        self.spans: list[tuple[int, int]] = []
        self.first: list[int] = []  # packets that closed it
        self.stuck: Moment | None = None  # the packet that closed it for good
        closing = {m.row.packet for m, _ in reading.found(Kind.ZERO_WINDOW) if m.side is side}
        for m in reading.scene.moments() if closing else ():
            if m.side is not side or m.report is None or m.flags & (SYN | RST):
                continue
            if self.stuck is not None and (m.segment.window or m.flags & FIN):
                self.spans.append((self.stuck.row.time_ns, m.row.time_ns))
                self.stuck = None
            elif self.stuck is None and m.row.packet in closing:
                self.stuck = m
                self.first.append(m.row.packet)


def zero_window(reading: Reading) -> Iterator[Case]:
    """A side whose program did not read, and did later."""
    for side in Side:
        closed = _Closed(reading, side)
        if covered(closed.spans) >= _WORTH_NS:
            parameters = {"side": side, "peer": side.other, "times": len(closed.spans)}
            yield Case({**parameters, "time": covered(closed.spans)}, tuple(closed.first), known=Known.INFERRED)


def zero_window_stuck(reading: Reading) -> Iterator[Case]:
    """A window that was never opened again, while the other side wanted to send."""
    for side in Side:
        stuck = _Closed(reading, side).stuck
        if stuck is None:
            continue
        last = reading.scene.rows[-1]
        probes = [m for m, _ in reading.found(Kind.ZERO_WINDOW_PROBE) if m.side is not side and m.place > stuck.place]
        time = Duration(last.time_ns - stuck.row.time_ns)
        if probes or time >= _WORTH_NS:
            parameters = {"side": side, "peer": side.other, "tries": len(probes), "time": time}
            packets = (stuck.row.packet, *(m.row.packet for m in probes))
            yield Case(parameters, packets, known=Known.INFERRED)


def nagle(reading: Reading) -> Iterator[Case]:
    """Small pieces that the kernel held back: the calls say when they were given to it."""
    yield from _stalls(reading, _held_for_late_ack)


def _held_for_late_ack(m: Moment) -> Iterator[Case]:
    for case in data.nagle(m):
        released, earlier = (m.scene.moment(packet) for packet in case.packets)
        if released.since(earlier) - released.fastest_ns > data.DELAYED_NS:
            yield case


def nagle_likely(reading: Reading) -> Iterator[Case]:
    """The same without calls: write, write, read, and the second write waits for the ACK of the first."""
    yield from _stalls(reading, _write_write_read)


def _write_write_read(m: Moment) -> Iterator[Case]:
    for case in data.nagle_or_idle(m):
        first, released = (m.scene.moment(packet) for packet in case.packets)
        at_once = next(first.after(m.side.other), None)
        answers = islice(m.after(m.side.other), _ANSWERS_READ)
        answer = next((each for each in answers if each.row.payload_bytes), None)
        alone = at_once is not None and at_once.place == released.place
        if alone and answer is not None and answer.since(m) < released.since(first):
            yield case


def _stalls(reading: Reading, held_back: Callable[[Moment], Iterator[Case]]) -> Iterator[Case]:
    for side in Side:
        found = [
            (m, case)
            for m in reading.scene.moments()
            if m.row.payload_bytes and m.side is side
            for case in held_back(m)
        ]
        if found:
            ends = ((m.row.time_ns, int(str(case.parameters["time"]))) for m, case in found)
            time = covered((end_ns - waited_ns, end_ns) for end_ns, waited_ns in ends)
            packets = tuple(packet for m, case in found for packet in (*sorted(case.packets), m.row.packet))
            calls = tuple(call for _, case in found for call in case.calls)
            parameters = {"side": side, "peer": side.other, "times": len(found), "time": time}
            yield Case(parameters, packets, calls, Known.INFERRED)


_TOPICS = {Cause.FAST: "fast-retransmit"}
_CAUSES = (Cause.TIMEOUT, Cause.TAIL_LOSS_PROBE, Cause.TIMER, Cause.FAST, Cause.UNKNOWN)

RULES = (
    *(MatterRule(f"resent_{cause}", Severity.SLOW, _TOPICS.get(cause, "rto"), _resent(cause)) for cause in _CAUSES),
    MatterRule("resent_unseen", Severity.SLOW, "fast-retransmit", resent_unseen),
    MatterRule("zero_window", Severity.SLOW, "zero-window", zero_window),
    MatterRule("zero_window_stuck", Severity.SLOW, "zero-window", zero_window_stuck, to_the_end=True),
    MatterRule("nagle", Severity.SLOW, "nagle", nagle),
    MatterRule("nagle_likely", Severity.SLOW, "nagle", nagle_likely),
    MatterRule("resent_fast_open_refused", Severity.NOTE, "fast-open", _resent(Cause.FAST_OPEN_REFUSED)),
    MatterRule("needless", Severity.NOTE, "rto", needless),
)
