"""Each rule of the analysis: the smallest segments that trigger it, and those that just do not.

A scenario has one segment a line: sender (``>`` client, ``<`` server), flags, seq, ack (``-`` for none), payload bytes,
window, ``@`` milliseconds, and on a SYN ``ws=`` its window scale. Numbers are relative to the sender's first one; every
scenario runs where they are small and where they wrap around.
"""

import pytest

from inspector.tcp.analysis import Analyzer, SegmentAnalysis
from inspector.tcp.options import TcpOptions
from inspector.tcp.segment import Flag, Segment
from inspector.tcp.states import Side

FLAGS = {"S": Flag.SYN, "A": Flag.ACK, "F": Flag.FIN, "R": Flag.RST, "P": Flag.PSH}
FIRST_NUMBERS = {"small": (1000, 5000), "wrapping": (2**32 - 61, 2**32 - 6), "half": (2**31 - 50, 2**31 + 7)}
START_NS = 1_795_415_970_424_913_000


def analyse(scenario: str, first: tuple[int, int] = (1000, 5000), reused: bool = False) -> list[SegmentAnalysis]:
    """What is said of each segment of a scenario."""
    analyzer = Analyzer(reused)
    return [analyzer.feed(segment) for segment in segments_of(scenario, first)]


def segments_of(scenario: str, first: tuple[int, int]) -> list[Segment]:
    segments = []
    for packet, line in enumerate(filter(None, scenario.splitlines()), start=1):
        arrow, letters, seq, ack, size, window, at_ms, *scale = line.split()
        side = Side.CLIENT if arrow == ">" else Side.SERVER
        segments.append(
            Segment(
                packet=packet,
                time_ns=START_NS + round(float(at_ms[1:]) * 1e6),
                side=side,
                seq=(first[side] + int(seq)) % 2**32,
                ack=0 if ack == "-" else (first[1 - side] + int(ack)) % 2**32,
                flags=sum(FLAGS[letter] for letter in letters),
                window=int(window),
                payload_bytes=int(size),
                options=TcpOptions(window_scale=int(scale[0][3:]) if scale else None),
            )
        )
    return segments


# The handshake takes 20 ms, so what comes less than 20 ms after the newest data may be out of order.
OPEN = """
> S  0   -   0 1000 @0  ws=2
< SA 0   1   0 1000 @10 ws=2
> A  1   1   0 1000 @20
< A  1   1   0 1001 @21
"""
TWO_HUNDRED_BYTES = """
> A 1   1 100 1000 @30
> A 101 1 100 1000 @31
"""
TWO_DUPLICATE_ACKS = """
< A 1 1 0 1001 @40
< A 1 1 0 1001 @41
"""
SERVER_CLOSED_WINDOW = "< A 1 1 0 0 @50"

# Title: earlier segments, last segment, what is said of the last.
CASES: dict[str, tuple[str, str, str]] = {
    "data in order": (OPEN, "> A 1 1 100 1000 @30", ""),
    "ACK of new data": (OPEN + TWO_HUNDRED_BYTES, "< A 1 201 0 1001 @60", ""),
    "repeated data": (OPEN + TWO_HUNDRED_BYTES, "> A 1 1 100 1000 @90", "retransmission"),
    "repeated newest data, at once": (OPEN + TWO_HUNDRED_BYTES, "> A 101 1 100 1000 @32", "retransmission"),
    "repeated data and more": (OPEN + TWO_HUNDRED_BYTES, "> A 101 1 200 1000 @90", "retransmission"),
    "next data": (OPEN + TWO_HUNDRED_BYTES, "> A 201 1 100 1000 @90", ""),
    "repeated SYN": ("> S 0 - 0 1000 @0", "> S 0 - 0 1000 @1000", "retransmission"),
    "repeated SYN,ACK": (OPEN, "< SA 0 1 0 1000 @900 ws=2", "retransmission"),
    "repeated FIN": (OPEN + "> FA 1 1 0 1000 @90", "> FA 1 1 0 1000 @300", "retransmission"),
    "repeated FIN that was acknowledged": (
        OPEN + "> FA 1 1 0 1000 @90\n< A 1 2 0 1001 @100",
        "> FA 1 1 0 1000 @300",
        "retransmission",
    ),
    "older data 19 ms after the newest": (OPEN + TWO_HUNDRED_BYTES, "> A 1 1 100 1000 @50.9", "out_of_order"),
    "older data 20 ms after the newest": (OPEN + TWO_HUNDRED_BYTES, "> A 1 1 100 1000 @51", "retransmission"),
    "older data, the clock went backwards": (OPEN + TWO_HUNDRED_BYTES, "> A 1 1 100 1000 @25", "retransmission"),
    "a hole is filled in time": (
        OPEN + "> A 1 1 100 1000 @30\n> A 201 1 100 1000 @31",
        "> A 101 1 100 1000 @32",
        "out_of_order",
    ),
    "older data, 2.9 ms, handshake not captured": (
        "> A 1 1 100 1000 @0\n> A 101 1 100 1000 @0",
        "> A 1 1 100 1000 @2.9",
        "out_of_order",
    ),
    "older data, 3 ms, handshake not captured": (
        "> A 1 1 100 1000 @0\n> A 101 1 100 1000 @0",
        "> A 1 1 100 1000 @3",
        "retransmission",
    ),
    "older data after a handshake in no time, which the next ACK measures": (
        "> S 0 - 0 9 @5\n< SA 0 1 0 9 @5\n> A 1 1 0 9 @5\n> A 1 1 10 9 @25\n> A 11 1 10 9 @26",
        "> A 1 1 10 9 @45",
        "out_of_order",
    ),
    "older data, 2 ms, after a handshake in no time": (
        "> S 0 - 0 9 @5\n< SA 0 1 0 9 @5\n> A 1 1 10 9 @5\n> A 11 1 10 9 @5",
        "> A 1 1 10 9 @5",
        "out_of_order",
    ),
    "older data after a handshake against the clock": (
        "> S 0 - 0 9 @5\n< SA 0 1 0 9 @2\n> A 1 1 10 9 @3\n> A 11 1 10 9 @4",
        "> A 1 1 10 9 @9000",
        "out_of_order",
    ),
    "older data, 39 ms, when the SYN was captured late": (
        "> A 1 1 100 9 @0\n< A 1 101 10 9 @1\n> S 0 - 0 9 @2\n< A 11 101 10 9 @42\n< A 21 101 10 9 @43",
        "< A 11 101 10 9 @82",
        "out_of_order",
    ),
    "asked for twice, sent at once": (
        OPEN + TWO_HUNDRED_BYTES + TWO_DUPLICATE_ACKS,
        "> A 1 1 100 1000 @60.9",
        "fast_retransmission",
    ),
    "asked for twice, sent 20 ms later": (
        OPEN + TWO_HUNDRED_BYTES + TWO_DUPLICATE_ACKS,
        "> A 1 1 100 1000 @61",
        "retransmission",
    ),
    "asked for twice, another one sent": (
        OPEN + TWO_HUNDRED_BYTES + TWO_DUPLICATE_ACKS,
        "> A 101 1 100 1000 @60",
        "retransmission",
    ),
    "asked for once": (OPEN + TWO_HUNDRED_BYTES + "< A 1 1 0 1001 @55", "> A 1 1 100 1000 @60", "retransmission"),
    "acknowledged data again": (
        OPEN + TWO_HUNDRED_BYTES + "< A 1 201 0 1001 @40",
        "> A 1 1 100 1000 @90",
        "spurious_retransmission",
    ),
    "acknowledged data again, up to the last byte": (
        OPEN + TWO_HUNDRED_BYTES + "< A 1 201 0 1001 @40",
        "> A 101 1 100 1000 @90",
        "spurious_retransmission",
    ),
    "acknowledged data again, and one byte more": (
        OPEN + TWO_HUNDRED_BYTES + "< A 1 200 0 1001 @40",
        "> A 101 1 100 1000 @90",
        "retransmission",
    ),
    "data in order that was acknowledged before it was captured": (
        OPEN + "< A 1 101 0 1001 @30",
        "> A 1 1 100 1000 @31",
        "spurious_retransmission",
    ),
    "data beyond the next number": (OPEN, "> A 2 1 100 1000 @30", "lost_segment"),
    "ACK beyond the next number": (OPEN, "> A 2 1 0 1000 @30", "lost_segment"),
    "reset beyond the next number": (OPEN, "> RA 2 1 0 1000 @30", ""),
    "first segment of all": ("", "> A 700 1 100 1000 @30", ""),
    "ACK of what was not captured": (OPEN, "< A 1 101 0 1001 @30", "ack_lost_segment"),
    "ACK of what was not captured, with data": (OPEN, "< A 1 101 50 1001 @30", "ack_lost_segment"),
    "ACK of all that was captured": (OPEN + "> A 1 1 100 1000 @29", "< A 1 101 0 1001 @30", ""),
    "ACK of what was not captured, again": (OPEN + "< A 1 101 0 1001 @30", "< A 1 101 0 1001 @31", "duplicate_ack"),
    "ACK over a hole": (
        OPEN + "> A 1 1 100 1000 @29\n> A 201 1 100 1000 @29",
        "< A 1 301 0 1001 @30",
        "ack_lost_segment",
    ),
    "ACK over a hole, further": (
        OPEN + "> A 1 1 100 1000 @29\n> A 201 1 100 1000 @29\n< A 1 251 0 1001 @30",
        "< A 1 301 0 1001 @31",
        "",
    ),
    "older data with an ACK of what was not captured": (
        OPEN + TWO_HUNDRED_BYTES + "< A 1 101 0 1001 @40",
        "> A 101 99 100 1000 @59",
        "ack_lost_segment fast_retransmission",
    ),
    "same ACK": (OPEN, "< A 1 1 0 1001 @30", "duplicate_ack"),
    "same ACK with data": (OPEN, "< A 1 1 10 1001 @30", ""),
    "same ACK in a FIN": (OPEN, "< FA 1 1 0 1001 @30", ""),
    "same ACK in a reset": (OPEN, "< RA 1 1 0 1001 @30", ""),
    "same ACK, at an older number": (OPEN + TWO_HUNDRED_BYTES, "> A 150 1 0 1000 @40", ""),
    "same ACK, larger window": (OPEN, "< A 1 1 0 1002 @30", "window_update"),
    "same ACK, smaller window": (OPEN, "< A 1 1 0 10 @30", "window_update"),
    "new ACK, larger window": (OPEN + TWO_HUNDRED_BYTES, "< A 1 201 0 1002 @40", ""),
    "same ACK, closed window": (OPEN, "< A 1 1 0 0 @30", "zero_window"),
    "same ACK, window opens": (OPEN + SERVER_CLOSED_WINDOW, "< A 1 1 0 500 @60", "window_update"),
    "data, closed window": (OPEN, "< A 1 1 10 0 @30", "zero_window"),
    "closed window in a reset": (OPEN, "< RA 1 1 0 0 @30", ""),
    "closed window in a FIN": (OPEN, "< FA 1 1 0 0 @30", ""),
    "closed window in a SYN": ("", "> S 0 - 0 0 @0", ""),
    "one new byte into a closed window": (OPEN + SERVER_CLOSED_WINDOW, "> A 1 1 1 1000 @60", "zero_window_probe"),
    "the same byte again": (
        OPEN + SERVER_CLOSED_WINDOW + "\n> A 1 1 1 1000 @60",
        "> A 1 1 1 1000 @90",
        "zero_window_probe",
    ),
    "two new bytes into a closed window": (OPEN + SERVER_CLOSED_WINDOW, "> A 1 1 2 1000 @60", ""),
    "one new byte into an open window": (OPEN, "> A 1 1 1 1000 @60", ""),
    "one byte that fills the window": (
        OPEN + "< A 1 1 9 0 @25\n< A 10 1 1 1 @26",
        "> A 1 11 4 1000 @60",
        "window_full",
    ),
    "probe answered": (
        OPEN + SERVER_CLOSED_WINDOW + "\n> A 1 1 1 1000 @60",
        "< A 1 1 0 0 @70",
        "zero_window zero_window_probe_ack",
    ),
    "closed window repeated unasked": (OPEN + SERVER_CLOSED_WINDOW, "< A 1 1 0 0 @70", "zero_window"),
    "probe answered by an open window": (
        OPEN + SERVER_CLOSED_WINDOW + "\n> A 1 1 1 1000 @60",
        "< A 1 2 0 500 @70",
        "ack_lost_segment",
    ),
    "no byte at the last number": (OPEN, "> A 0 1 0 1000 @900", "keep_alive"),
    "one byte at the last number": (OPEN, "> A 0 1 1 1000 @900", "keep_alive"),
    "two bytes at the last number": (OPEN + TWO_HUNDRED_BYTES, "> A 200 1 2 1000 @900", ""),
    "one byte at the last but one": (OPEN + TWO_HUNDRED_BYTES, "> A 199 1 1 1000 @900", "retransmission"),
    "FIN at the last number": (OPEN + TWO_HUNDRED_BYTES, "> FA 200 1 0 1000 @900", "retransmission"),
    "keep-alive answered": (OPEN + "> A 0 1 0 1000 @900", "< A 1 1 0 1001 @910", "keep_alive_ack"),
    "keep-alive answered with another window": (OPEN + "> A 0 1 0 1000 @900", "< A 1 1 0 1 @910", "window_update"),
    "keep-alive answered twice": (
        OPEN + "> A 0 1 0 1000 @900\n< A 1 1 0 1001 @910",
        "< A 1 1 0 1001 @911",
        "keep_alive_ack",
    ),
    "keep-alive, then data, then an ACK": (
        OPEN + "> A 0 1 0 1000 @900\n> A 1 1 10 1000 @901",
        "< A 1 1 0 1001 @910",
        "duplicate_ack",
    ),
    "keep-alive at a closed window": (OPEN + SERVER_CLOSED_WINDOW, "> A 0 1 0 1000 @900", "keep_alive"),
    "keep-alive answered by a closed window": (
        OPEN + SERVER_CLOSED_WINDOW + "\n> A 0 1 0 1000 @900",
        "< A 1 1 0 0 @901",
        "zero_window",
    ),
    "up to the edge of the scaled window": (OPEN, "> A 1 1 4004 1000 @30", "window_full"),
    "one byte less": (OPEN, "> A 1 1 4003 1000 @30", ""),
    "one byte more": (OPEN, "> A 1 1 4005 1000 @30", ""),
    "FIN at the edge": (OPEN, "> FA 1 1 4004 1000 @30", ""),
    "up to the edge of the window of a SYN": (
        "> S 0 - 0 1000 @0 ws=2\n< SA 0 1 0 1000 @10 ws=2",
        "> A 1 1 1000 1000 @20",
        "window_full",
    ),
    "scaling refused": ("> S 0 - 0 1000 @0 ws=2\n< SA 0 1 0 9 @1\n< A 1 1 0 10 @2", "> A 1 1 10 9 @9", "window_full"),
    "scaling refused by a SYN,ACK that comes late": (
        "> A 1 1 0 10 @0\n< SA 0 1 0 9 @1",
        "< A 1 1 10 9 @2",
        "window_full",
    ),
    "edge of an unknown scale": ("> A 1 1 0 1000 @0\n< A 1 1 0 10 @1", "> A 1 1 10 1000 @2", ""),
    "SYN,ACK of another number": (OPEN, "< SA 70000 1 0 1000 @900 ws=2", "lost_segment reused_ports"),
}


@pytest.mark.parametrize("first", FIRST_NUMBERS.values(), ids=FIRST_NUMBERS)
@pytest.mark.parametrize(("before", "last", "names"), CASES.values(), ids=CASES)
def test_what_is_said_of_the_last_segment(before: str, last: str, names: str, first: tuple[int, int]) -> None:
    said = analyse(f"{before}\n{last}", first)[-1]
    assert sorted(said.names) == names.split()


def test_a_keep_alive_where_the_numbers_wrap() -> None:
    assert analyse(OPEN + "> A 0 1 0 1000 @900", first=(2**32 - 1, 5000))[-1].names == ("keep_alive",)


def test_duplicate_acks_are_counted_from_the_last_new_one() -> None:
    said = analyse(
        OPEN
        + TWO_HUNDRED_BYTES
        + """
< A 1 101 0 1001 @40
< A 1 101 0 1001 @41
< A 1 101 0 1001 @42
< A 1 101 0 1002 @43
< A 1 101 0 1002 @44
< A 1 201 0 1002 @45
< A 1 201 0 1002 @46
"""
    )
    assert [report.duplicate_ack_number for report in said[-7:]] == [None, 1, 2, None, 3, None, 1]


def test_duplicate_acks_are_counted_anew_after_an_ack_of_the_unseen() -> None:
    # The client acknowledges what was not captured of the server; the server's next duplicate ACK counts as its first.
    said = analyse(OPEN + "< A 1 1 0 1001 @30\n> A 1 99 0 1000 @31\n< A 1 1 0 1001 @32")
    assert [report.duplicate_ack_number for report in said[-3:]] == [1, None, 1]


def test_an_opening_syn_on_used_ports() -> None:
    assert [said.names for said in analyse(OPEN, reused=True)] == [("reused_ports",), (), (), ("window_update",)]
    assert analyse("> A 1 1 0 1000 @0", reused=True)[0].names == ()


def relative(scenario: str, first: tuple[int, int]) -> list[tuple[int, int]]:
    return [(said.relative_seq, said.relative_ack) for said in analyse(scenario, first)]


@pytest.mark.parametrize("first", FIRST_NUMBERS.values(), ids=FIRST_NUMBERS)
def test_relative_numbers(first: tuple[int, int]) -> None:
    assert relative(OPEN + "> A 1 1 100 9 @30\n< A 1 101 0 9 @31", first) == [
        (0, 0),
        (0, 1),
        (1, 1),
        (1, 1),
        (1, 1),
        (1, 101),
    ]
    # In the middle both sides start at 1: the server where the client's ACK says that it is.
    assert relative("> A 700 300 10 9 @0\n< A 300 710 20 9 @1\n< A 200 710 0 9 @2", first) == [
        (1, 1),
        (1, 11),
        (2**32 - 99, 11),
    ]
    assert relative("< SA 0 1 0 9 @0\n> S 0 - 0 9 @1\n> A 1 1 0 9 @2", first) == [(0, 1), (0, 0), (1, 1)]
    assert relative(OPEN + "< SA 70000 1 0 9 @30", first)[-1] == (0, 1)


def test_the_ack_field_without_the_flag_is_shown_as_it_stands() -> None:
    reset = Segment(1, START_NS, Side.CLIENT, seq=5, ack=77, flags=int(Flag.RST), window=0, payload_bytes=0)
    assert Analyzer().feed(reset).relative_ack == 77


WINDOWS = {
    "both offer to scale": (
        "> S 0 - 0 9 @0 ws=2\n< SA 0 1 0 9 @1 ws=3\n> A 1 1 0 9 @2\n< A 1 1 0 9 @3",
        [9, 9, 36, 72],
    ),
    "scale 0": ("> S 0 - 0 9 @0 ws=0\n< SA 0 1 0 9 @1 ws=3\n> A 1 1 0 9 @2\n< A 1 1 0 9 @3", [9, 9, 9, 72]),
    "only the client offers": ("> S 0 - 0 9 @0 ws=2\n< SA 0 1 0 9 @1\n> A 1 1 0 9 @2", [9, 9, 9]),
    "repeated SYN does not offer": (
        "> S 0 - 0 9 @0 ws=2\n> S 0 - 0 9 @9\n< SA 0 1 0 9 @10 ws=3\n> A 1 1 0 9 @11",
        [9, 9, 9, 36],
    ),
    "only the server offers": ("> S 0 - 0 9 @0\n< SA 0 1 0 9 @1 ws=3\n< A 1 1 0 9 @2", [9, 9, 9]),
    "SYN not captured": ("< SA 0 1 0 9 @1 ws=3\n> A 1 1 0 9 @2\n< A 1 1 0 9 @3", [9, None, 72]),
    "handshake not captured": ("> A 1 1 0 9 @2\n< A 1 1 0 9 @3", [None, None]),
}


@pytest.mark.parametrize(("scenario", "windows"), WINDOWS.values(), ids=WINDOWS)
def test_scaled_windows(scenario: str, windows: list[int | None]) -> None:
    assert [said.scaled_window for said in analyse(scenario)] == windows


def test_a_syn_whose_options_are_cut_off_tells_nothing_of_the_scale() -> None:
    syn, synack, ack, _ = segments_of(OPEN, (1000, 5000))
    analyzer = Analyzer()
    analyzer.feed(syn._replace(options=TcpOptions(mss=1460, malformed=True)))
    analyzer.feed(synack)
    assert analyzer.feed(ack).scaled_window is None


FLIGHTS = {
    "nothing carried": (OPEN, [None, None, None, None]),
    "data, data": (OPEN + TWO_HUNDRED_BYTES, [None] * 4 + [100, 200]),
    "part acknowledged": (
        OPEN + TWO_HUNDRED_BYTES + "< A 1 51 0 9 @40\n> A 201 1 9 9 @41",
        [None] * 4 + [100, 200, None, 159],
    ),
    "repeated": (OPEN + TWO_HUNDRED_BYTES + "> A 1 1 100 9 @90", [None] * 4 + [100, 200, 200]),
    "repeated though acknowledged": (
        OPEN + TWO_HUNDRED_BYTES + "< A 1 201 0 9 @40\n> A 101 1 100 9 @90",
        [None] * 4 + [100, 200, None, 100],
    ),
    "FIN is no byte": (OPEN + "> FA 1 1 10 9 @30", [None] * 4 + [10]),
    "SYN is no byte": ("> S 0 - 10 9 @0", [10]),
    "unknown from a hole to the next ACK": (
        OPEN + "> A 11 1 10 9 @30\n> A 21 1 10 9 @31\n< A 1 21 0 9 @32\n> A 31 1 10 9 @33",
        [None] * 4 + [None, None, None, 20],
    ),
    "in the middle": ("> A 700 1 10 9 @0\n> A 710 1 10 9 @1", [10, 20]),
}


@pytest.mark.parametrize(("scenario", "flights"), FLIGHTS.values(), ids=FLIGHTS)
def test_bytes_in_flight(scenario: str, flights: list[int | None]) -> None:
    for first in FIRST_NUMBERS.values():
        assert [said.bytes_in_flight for said in analyse(scenario, first)] == flights
