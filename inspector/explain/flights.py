"""Flights: the segments that a sender lets go in one burst before it waits for ACKs, as a capture shows them."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from inspector.tcp.findings import Kind
from inspector.tcp.segment import Flag
from inspector.tcp.states import Side
from inspector.trace.conversation import Row

_SHORTEST_ROUND_TRIP_NS = 2_000_000  # within less, a pause for ACKs and one of the program look the same
_PAUSE = 4  # a burst is over when a quarter of the round trip passes without a segment
_FOLLOWS = 2  # the next burst comes within two round trips, or the program had nothing to send
_SYN, _ACK = int(Flag.SYN), int(Flag.ACK)
_SENT_AGAIN = (Kind.RETRANSMISSION, Kind.DUPLICATED)


class Flight(NamedTuple):
    """One burst. ``waited_ns`` is from its first segment to the next burst, ``before`` how many segments the burst
    before it had and ``before_first`` where that began; None where no such burst belongs to the same transfer."""

    first: int  # packets
    last: int
    segments: int
    bytes: int
    waited_ns: int | None
    before: int | None
    before_first: int | None


def flights_of(rows: Sequence[Row]) -> dict[int, Flight]:
    """The flights of both sides by their first packets; none where no handshake tells the round trip."""
    round_trip_ns = _round_trip_ns(rows)
    if round_trip_ns is None or round_trip_ns < _SHORTEST_ROUND_TRIP_NS:
        return {}
    return {flight.first: flight for side in Side for flight in _of_side(rows, side, round_trip_ns)}


def _round_trip_ns(rows: Sequence[Row]) -> int | None:
    """From the client's SYN to its ACK of the SYN,ACK."""
    asked = answered = None
    for row in rows:
        flags = row.report.segment.flags if row.report is not None else 0
        if flags & (_SYN | _ACK) == _SYN:
            asked = row
        elif flags & (_SYN | _ACK) == _SYN | _ACK:
            answered = row
        elif asked is not None and answered is not None and row.side is asked.side and flags & _ACK:
            return row.time_ns - asked.time_ns
    return None


def _of_side(rows: Sequence[Row], side: Side, round_trip_ns: int) -> list[Flight]:
    bursts: list[list[Row]] = []
    for row in rows:
        if row.side is side and _is_new_data(row):
            if not bursts or row.time_ns - bursts[-1][-1].time_ns > round_trip_ns // _PAUSE:
                bursts.append([])
            bursts[-1].append(row)
    follows = [
        later[0].time_ns - earlier[0].time_ns if _is_soon(earlier, later, round_trip_ns) else None
        for earlier, later in pairwise(bursts)
    ]
    return [
        Flight(
            first=burst[0].packet,
            last=burst[-1].packet,
            segments=len(burst),
            bytes=sum(row.payload_bytes for row in burst),
            waited_ns=waited,
            before=len(bursts[place - 1]) if place and follows[place - 1] is not None else None,
            before_first=bursts[place - 1][0].packet if place and follows[place - 1] is not None else None,
        )
        for place, (burst, waited) in enumerate(zip(bursts, [*follows, None], strict=False))
    ]


def _is_soon(earlier: Sequence[Row], later: Sequence[Row], round_trip_ns: int) -> bool:
    return later[0].time_ns - earlier[-1].time_ns < _FOLLOWS * round_trip_ns


def _is_new_data(row: Row) -> bool:
    if row.report is None or not row.payload_bytes or row.report.segment.flags & _SYN:
        return False
    return not any(finding.kind in _SENT_AGAIN and finding.packet == row.packet for finding in row.report.findings)
