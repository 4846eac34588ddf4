"""The congestion window, as far as a capture shows it: how many segments go before their sender waits."""

from collections.abc import Iterator

from inspector.explain.flights import Flight
from inspector.explain.reason import Amount, Case, Duration, Part, Rule
from inspector.explain.scene import Moment
from inspector.tcp.states import Known

_LEAST_SEGMENTS = 4
_INITIAL_WINDOW = 10  # segments, RFC 6928


def _flight(m: Moment) -> Flight | None:
    """The flight that begins with this packet, if it is of some size."""
    flight = m.scene.flights.get(m.row.packet)
    return flight if flight is not None and flight.segments >= _LEAST_SEGMENTS else None


def _case(m: Moment, flight: Flight, waited_ns: int) -> Case:
    parameters = {"side": m.side, "segments": flight.segments, "count": Amount(flight.bytes), "last": flight.last}
    time = Duration(waited_ns)
    return Case(parameters | {"time": time, "before": flight.before}, (flight.last,), known=Known.INFERRED)


def flight_first(m: Moment) -> Iterator[Case]:
    """Nobody knows yet what the network can carry."""
    flight = _flight(m)
    if flight is None or flight.waited_ns is None or flight.before is not None:
        return
    if flight.segments <= _INITIAL_WINDOW:
        yield _case(m, flight, flight.waited_ns)


def flight_grown(m: Moment) -> Iterator[Case]:
    """More than the time before: every ACK has made the congestion window larger."""
    flight = _flight(m)
    if flight is not None and flight.before is not None and flight.segments > flight.before >= _LEAST_SEGMENTS:
        yield _case(m, flight, 0)


RULES = (
    Rule("flight_first", Part.WHY, "congestion-control", "RFC 6928 §2", flight_first),
    Rule("flight_grown", Part.WHY, "congestion-control", "RFC 5681 §3.1", flight_grown),
)
