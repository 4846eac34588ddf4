"""What the capture itself did not see, or saw twice, or out of order."""

from collections.abc import Iterator

from inspector.explain.matters.matter import MatterRule, Reading, Severity, weakest
from inspector.explain.reason import Case
from inspector.explain.scene import Moment
from inspector.tcp.findings import Kind
from inspector.tcp.states import Known

_COMES_LATER = (Kind.RETRANSMISSION, Kind.REORDERED)


def one_sided(reading: Reading) -> Iterator[Case]:
    """Only what one side sent: nothing can be said of answers."""
    if reading.only is not None:
        yield Case({"side": reading.only, "peer": reading.only.other}, (reading.scene.rows[0].packet,))


def capture_loss(reading: Reading) -> Iterator[Case]:
    """ACKs for segments that are not there: the network had them, the capture did not."""
    yield from _all_of(reading, Kind.CAPTURE_LOSS)


def gap(reading: Reading) -> Iterator[Case]:
    """A hole that nothing fills and no ACK explains."""
    told = any(True for kind in (*_COMES_LATER, Kind.CAPTURE_LOSS) for _ in reading.found(kind))
    if not told:
        for case in _all_of(reading, Kind.GAP):
            yield case._replace(known=Known.UNKNOWN)


def duplicated(reading: Reading) -> Iterator[Case]:
    """Copies that their sender did not make."""
    yield from _all_of(reading, Kind.DUPLICATED)


def reordered(reading: Reading) -> Iterator[Case]:
    """Segments that others overtook."""
    yield from _all_of(reading, Kind.REORDERED)


def _all_of(reading: Reading, kind: Kind) -> Iterator[Case]:
    found = list(reading.found(kind))
    if found:
        packets = tuple(packet for m, finding in found for packet in _evidence(m, finding.evidence))
        yield Case({"times": len(found)}, packets, known=weakest([finding.known for _, finding in found]))


def _evidence(m: Moment, packets: tuple[int, ...]) -> tuple[int, ...]:
    return (*packets[:1], m.row.packet)


RULES = (
    MatterRule("one_sided", Severity.NOTE, "cumulative-ack", one_sided),
    MatterRule("capture_loss", Severity.NOTE, "cumulative-ack", capture_loss),
    MatterRule("gap", Severity.NOTE, "fast-retransmit", gap),
    MatterRule("duplicated", Severity.NOTE, "loopback", duplicated),
    MatterRule("reordered", Severity.NOTE, "fast-retransmit", reordered),
)
