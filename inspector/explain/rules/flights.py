"""The congestion window, as far as a capture shows it: how many segments go before their sender waits."""

from collections.abc import Iterator
from itertools import islice

from inspector.explain.flights import Flight
from inspector.explain.reason import Amount, Case, Duration, Part, Rule
from inspector.explain.scene import ACK, ECE, SYN, Moment
from inspector.tcp.findings import Kind
from inspector.tcp.states import Known

_LEAST_SEGMENTS = 4
_INITIAL_WINDOW = 10  # segments, RFC 6928
_MUCH_LESS = 0.7  # cubic goes down to this part, reno to a half
_LOOKED_AT = 64  # packets before one, at the most


def _flight(m: Moment) -> Flight | None:
    """The flight that begins with this packet, if it is of some size."""
    flight = m.scene.flights.get(m.row.packet)
    if flight is None or flight.segments < _LEAST_SEGMENTS or m.scene.moment(flight.last).finding(Kind.WINDOW_FULL):
        return None  # what ended it was the receiver's window
    return flight


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


def flight_smaller(m: Moment) -> Iterator[Case]:
    """Less than the time before, although more follows; since then a sign of congestion has come."""
    flight = _flight(m)
    if flight is None or flight.before is None or flight.waited_ns is None:
        return
    for each in islice(m.before(), _LOOKED_AT) if flight.segments <= _MUCH_LESS * flight.before else ():
        if each.row.packet == flight.before_first:
            return
        told = each.has(ECE | ACK, SYN) and each.side is not m.side
        if told or (each.side is m.side and each.finding(Kind.RETRANSMISSION)):
            yield _case(m, flight, 0)._replace(packets=(each.row.packet, flight.last))
            return


RULES = (
    Rule("flight_first", Part.WHY, "congestion-control", "RFC 6928 §2", flight_first),
    Rule("flight_smaller", Part.WHY, "congestion-control", "RFC 5681 §3.1", flight_smaller),
    Rule("flight_grown", Part.WHY, "congestion-control", "RFC 5681 §3.1", flight_grown),
)
