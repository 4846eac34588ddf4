"""What really happened: the smallest segments that show it and near misses, and every retransmission of the kernel's.

A scenario is written as in ``test_tcp_analysis``, with more words behind a line: ``id=`` the IP identification, ``ts=``
the timestamp option (value/echo), ``sack=`` ranges, ``sp`` SACK permitted. A finding is written as its kind, ``:`` and
its cause, ``about=`` when it is of an earlier packet, and the evidence.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from oracle_rows import CAPTURES, NO_ORACLES
from test_tcp_analysis import FIRST_NUMBERS, segments_of

from inspector.tcp.analysis import Analyzer
from inspector.tcp.findings import Cause, Finding, Kind
from inspector.tcp.options import TcpOptions
from inspector.tcp.segment import Segment
from inspector.tcp.states import Side
from inspector.trace.trace import Trace

PROJECT = Path(__file__).parents[1]

# The capture lies beside the client; a round trip takes 80 ms.
OPEN = """
> S  0   -   0 1000 @0  sp
< SA 0   1   0 1000 @80 sp
> A  1   1   0 1000 @80
"""
THREE = """
> A  1   1 100 1000 @100 id=11
> A  101 1 100 1000 @101 id=12
> A  201 1 100 1000 @102 id=13
"""
BESIDE_THE_SERVER = """
> S  0   -   0 1000 @0  sp
< SA 0   1   0 1000 @0  sp
> A  1   1   0 1000 @80
"""
CLOSED_WINDOW = "< A 1 101 0 0 @170\n"
ONE = "> A 1 1 100 1000 @100 ts=500/1\n"

CASES: dict[str, tuple[str, str, str]] = {
    "next data": (OPEN + ONE, "> A 101 1 100 1000 @101", ""),
    # Copied, overtaken, or sent again
    "the same identification": (OPEN + THREE, "> A 101 1 100 1000 @190 id=12", "duplicated 5"),
    "the same identification, when a timer may have sent it": (
        OPEN + THREE,
        "> A 101 1 100 1000 @400 id=12",
        "retransmission:timeout 5",
    ),
    "the same identification and timestamp, however late": (
        OPEN + "> A 1 1 100 1000 @100 ts=500/1 id=11\n",
        "> A 1 1 100 1000 @400 ts=500/1 id=11",
        "duplicated 4",
    ),
    "another identification": (OPEN + THREE, "> A 201 1 100 1000 @390 id=14", "retransmission:tail_loss_probe 6"),
    "another timestamp": (OPEN + ONE, "> A 1 1 100 1000 @400 ts=800/1", "retransmission:tail_loss_probe 4"),
    "no identification, at once": (OPEN + ONE, "> A 1 1 100 1000 @101 ts=500/1", "duplicated 4"),
    "no identification, after half a round trip": (
        OPEN + ONE,
        "> A 1 1 100 1000 @140 ts=500/1",
        "retransmission:unknown 4",
    ),
    "a copied ACK": (
        OPEN + ONE + "< A 1 101 0 1000 @180 id=7\n",
        "< A 1 101 0 1000 @181 id=7",
        "duplicated 5",
    ),
    "an ACK said twice": (
        OPEN + ONE + "< A 1 101 0 1000 @180 id=7\n",
        "< A 1 101 0 1000 @181 id=8",
        "duplicate_ack",
    ),
    "sent before what came first": (
        BESIDE_THE_SERVER + "> A 101 1 100 1000 @101 id=12\n",
        "> A 1 1 100 1000 @250 id=11",
        "reordered 4",
    ),
    "sent after what came first": (
        BESIDE_THE_SERVER + "> A 101 1 100 1000 @101 id=12\n",
        "> A 1 1 100 1000 @450 id=13",
        "retransmission:timeout 4",
    ),
    "an older timestamp": (
        BESIDE_THE_SERVER + "> A 101 1 100 1000 @101 ts=500/1\n",
        "> A 1 1 100 1000 @250 ts=499/1",
        "reordered 4",
    ),
    "nothing tells, sooner than the sender could know": (
        BESIDE_THE_SERVER + "> A 101 1 100 1000 @101\n",
        "> A 1 1 100 1000 @150",
        "reordered 4",
    ),
    "nothing tells, later": (
        BESIDE_THE_SERVER + "> A 101 1 100 1000 @101\n",
        "> A 1 1 100 1000 @190",
        "retransmission:unknown 4",
    ),
    # Why it was sent again
    "the last segment, once": (OPEN + THREE, "> A 201 1 100 1000 @380 id=14", "retransmission:tail_loss_probe 6"),
    "the last segment, late": (OPEN + THREE, "> A 201 1 100 1000 @600 id=14", "retransmission:timeout 6"),
    "the last segment without SACK, sooner than a timer": (
        OPEN.replace("sp", "") + THREE,
        "> A 201 1 100 1000 @190 id=14",
        "retransmission:unknown 6",
    ),
    "the last segment, a second time": (
        OPEN + THREE + "> A 201 1 100 1000 @380 id=14\n",
        "> A 201 1 100 1000 @700 id=15",
        "retransmission:timeout 7",
    ),
    "the first of three": (OPEN + THREE, "> A 1 1 100 1000 @390 id=14", "retransmission:timeout 4"),
    "nothing is known of the handshake": (ONE, "> A 1 1 100 1000 @400 ts=800/1", "retransmission:timer 1"),
    "asked for by SACK": (
        OPEN + THREE + "< A 1 1 0 1000 @182 sack=101-301\n",
        "> A 1 1 100 1000 @182 id=14",
        "retransmission:fast 4 7",
    ),
    "asked for long ago": (
        OPEN + THREE + "< A 1 1 0 1000 @182 sack=101-301\n",
        "> A 1 1 100 1000 @390 id=14",
        "retransmission:timeout 4",
    ),
    "asked for by repeating": (
        OPEN + THREE + "< A 1 1 0 1000 @181\n< A 1 1 0 1000 @182\n< A 1 1 0 1000 @183\n",
        "> A 1 1 100 1000 @183 id=14",
        "retransmission:fast 4 9",
    ),
    "SACK of what came before it": (
        OPEN + THREE + "< A 1 101 0 1000 @182 sack=1-101\n",
        "> A 201 1 100 1000 @390 id=14",
        "retransmission:tail_loss_probe 6",
    ),
    "a SYN": ("> S 0 - 0 1000 @0\n", "> S 0 - 0 1000 @1000", "retransmission:timeout 1"),
    "a SYN, at once": ("> S 0 - 0 1000 @0 id=1\n", "> S 0 - 0 1000 @1 id=2", "retransmission:unknown 1"),
    "a SYN,ACK": ("> S 0 - 0 1000 @0\n< SA 0 1 0 1000 @0\n", "< SA 0 1 0 1000 @1000", "retransmission:timeout 2"),
    "a SYN,ACK for a SYN that came again": (
        "> S 0 - 0 1000 @0\n< SA 0 1 0 1000 @0 id=1\n> S 0 - 0 1000 @1000\n",
        "< SA 0 1 0 1000 @1000 id=2",
        "retransmission:answer_to_syn 2 3",
    ),
    "data that were not taken with the SYN": (
        "> S 0 - 50 1000 @0\n< SA 0 1 0 1000 @80\n",
        "> A 1 1 50 1000 @81",
        "retransmission:fast_open_refused 1 2",
    ),
    # Whether it was needed
    "acknowledged already": (
        OPEN + THREE + "< A 1 301 0 1000 @182\n",
        "> A 201 1 100 1000 @382 id=14",
        "retransmission:tail_loss_probe 6, spurious_retransmission 7",
    ),
    "acknowledged in part": (
        OPEN + THREE + "< A 1 251 0 1000 @182\n",
        "> A 201 1 100 1000 @382 id=14",
        "retransmission:tail_loss_probe 6",
    ),
    "a duplicate SACK": (
        OPEN + THREE + "> A 201 1 100 1000 @380 id=14\n",
        "< A 1 301 0 1000 @460 sack=201-301",
        "spurious_retransmission about=7 6 8",
    ),
    "a SACK of something else": (
        OPEN + THREE + "> A 201 1 100 1000 @380 id=14\n",
        "< A 1 301 0 1000 @460 sack=1-101",
        "",
    ),
    "an echo of the first copy": (
        OPEN + ONE + "> A 1 1 100 1000 @400 ts=800/1\n",
        "< A 1 101 0 1000 @410 ts=9/500",
        "spurious_retransmission about=5 4 6",
    ),
    "an echo of the second copy": (
        OPEN + ONE + "> A 1 1 100 1000 @400 ts=800/1\n",
        "< A 1 101 0 1000 @480 ts=9/800",
        "",
    ),
    # Probes
    "keep-alive": (OPEN + ONE + "< A 1 101 0 1000 @180\n", "> A 100 1 0 1000 @9000", "keep_alive"),
    "zero-window probe": (OPEN + ONE + CLOSED_WINDOW, "> A 100 1 0 1000 @400", "zero_window_probe"),
    "one byte again": (OPEN + "> A 1 1 1 1000 @100\n", "> A 1 1 1 1000 @390", "retransmission:tail_loss_probe 4"),
    "one byte that was acknowledged": (
        OPEN + "> A 1 1 1 1000 @100\n< A 1 2 0 1000 @180\n",
        "> A 1 1 1 1000 @9000",
        "keep_alive",
    ),
    "answer to a keep-alive": (
        OPEN + ONE + "< A 1 101 0 1000 @180\n> A 100 1 0 1000 @9000\n",
        "< A 1 101 0 1000 @9080",
        "keep_alive_answer 6",
    ),
    # What a connection does not believe
    "challenge ACK for a SYN": (OPEN + "> S 5000 - 0 1000 @900\n", "< A 1 1 0 1000 @980", "challenge_ack 4"),
    "a SYN is acknowledged": ("> S 0 - 0 1000 @0\n", "< A 1 1 0 1000 @1", ""),
    "challenge ACK for a SYN,ACK": (OPEN + "< SA 0 1 0 1000 @900 sp\n", "> A 1 1 0 1000 @900", "challenge_ack 4"),
    "the first window that is scaled": (
        "> S 0 - 0 1000 @0 sp\n< S 0 - 0 1000 @1 sp\n> SA 0 1 0 1000 @2 sp\n< SA 0 1 0 1000 @3 sp\n",
        "> A 1 1 0 900 @4",
        "",
    ),
    "challenge ACK for a reset": (OPEN + "> R 50 - 0 0 @900\n", "< A 1 1 0 1000 @980", "challenge_ack 4"),
    "ACK after a good reset": (
        OPEN + ONE + "< A 1 101 0 1000 @180\n> R 101 - 0 0 @900\n",
        "< A 1 101 0 1000 @980",
        "duplicate_ack",
    ),
    # Opening
    "simultaneous open": ("> S 0 - 0 1000 @0\n< S 0 - 0 1000 @1\n", "> SA 0 1 0 1000 @2", "simultaneous_open 1 2"),
    "its other half": (
        "> S 0 - 0 1000 @0\n< S 0 - 0 1000 @1\n> SA 0 1 0 1000 @2\n",
        "< SA 0 1 0 1000 @3",
        "simultaneous_open 2 3",
    ),
    # Holes
    "a hole": (OPEN, "> A 101 1 100 1000 @100", "gap"),
    "an ACK of the hole": (OPEN + "> A 101 1 100 1000 @100\n", "< A 1 201 0 1000 @180", "capture_loss"),
}


@pytest.mark.parametrize("first", FIRST_NUMBERS.values(), ids=FIRST_NUMBERS)
@pytest.mark.parametrize("title", CASES)
def test_what_is_found_in_the_last_segment(title: str, first: tuple[int, int]) -> None:
    before, last, wanted = CASES[title]
    analyzer = Analyzer()
    segments = list(whole_segments(before + last, first))
    *_, found = [analyzer.feed(segment).findings for segment in segments]
    assert ", ".join(written(finding, segments[-1].packet) for finding in found) == wanted


def whole_segments(scenario: str, first: tuple[int, int]) -> Iterator[Segment]:
    lines = list(filter(None, scenario.splitlines()))
    plain = segments_of("\n".join(" ".join(line.split()[:7]) for line in lines), first)
    for line, segment in zip(lines, plain, strict=True):
        words = dict(word.partition("=")[::2] for word in line.split()[7:])
        peer = first[1 - segment.side]
        blocks = [block.split("-") for block in words.get("sack", "").split(",") if block]
        yield segment._replace(
            identification=int(words.get("id", 0)),
            options=TcpOptions(
                sack_permitted="sp" in words,
                timestamp=tuple(map(int, words["ts"].split("/"))) if "ts" in words else None,  # type: ignore[arg-type]
                sack_blocks=tuple(((peer + int(left)) % 2**32, (peer + int(right)) % 2**32) for left, right in blocks),
            ),
        )


def written(finding: Finding, last: int) -> str:
    cause = "" if finding.cause is None else f":{finding.cause}"
    earlier = [] if finding.packet == last else [f"about={finding.packet}"]
    return " ".join([finding.kind + cause, *earlier, *map(str, finding.evidence)])


KERNEL_EVENTS = sorted((CAPTURES / "oracle").glob("lab__*.kernel_events.tsv"))
CAUSE_OF_STATE = {"Loss": {Cause.TIMEOUT, Cause.FAST_OPEN_REFUSED}, "Recovery": {Cause.FAST}}


def kernel_retransmissions(path: Path) -> dict[str, dict[int, set[Cause]]]:
    """By host and packet in the capture beside it, the causes that the kernel's congestion state allows."""
    states: dict[tuple[str, str, str], str] = {}
    found: dict[str, dict[int, set[Cause]]] = {"client": {}, "server": {}}
    with path.open(newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t"):
            ends, event = (row["host"], row["local"], row["remote"]), row["event"]
            if event.startswith("cong_state_"):
                states[ends] = event.removeprefix("cong_state_")
            elif event == "tcp_retransmit_synack":
                found[row["host"]][int(row["frame_in_sender_side_capture"])] = {Cause.TIMEOUT, Cause.ANSWER_TO_SYN}
            elif event == "tcp_retransmit_skb":
                causes = CAUSE_OF_STATE.get(states.get(ends, "Open"), {Cause.TAIL_LOSS_PROBE})
                found[row["host"]][int(row["frame_in_sender_side_capture"])] = causes
    return found


def findings_of(path: Path, host: str) -> Iterator[tuple[bool, Finding, tuple[str, ...]]]:
    """Every finding of a lab capture; whether the host sent its packet; Wireshark's names for that packet."""
    with Trace.read(str(path)) as trace:
        for conversation in trace.conversations():
            by_client = conversation.client.address in ("10.9.0.1", "fd00:9::1")
            for row in trace.rows(conversation.number)[0]:
                if row.report is not None:
                    by = "client" if by_client == (row.side is Side.CLIENT) else "server"
                    for finding in row.report.findings:
                        yield by == host, finding, row.report.analysis


@pytest.mark.skipif(not KERNEL_EVENTS, reason=NO_ORACLES)
def test_every_retransmission_of_the_kernel_is_found_with_its_cause_and_none_invented() -> None:
    """Beside the sender all are found; beyond the lossy relay no more than were sent."""
    table: Counter[str] = Counter()
    for events in KERNEL_EVENTS:
        scenario = events.name.removesuffix(".kernel_events.tsv")
        kernel = kernel_retransmissions(events)
        for host, real in kernel.items():
            found, from_afar = {}, 0
            for own, finding, names in findings_of(
                CAPTURES / "captures/kernel_lab" / f"{scenario}__{host}_side.pcap", host
            ):
                if finding.kind is Kind.RETRANSMISSION and own:
                    found[finding.packet] = finding.cause
                    table["real, found"] += 1
                    table["Wireshark: out of order"] += "out_of_order" in names
                elif finding.kind is Kind.RETRANSMISSION:
                    from_afar += 1
                elif finding.kind is Kind.SIMULTANEOUS_OPEN:
                    table["simultaneous open"] += 1
                    table["Wireshark: retransmission"] += "retransmission" in names
            assert found.keys() == real.keys(), (scenario, host)
            assert all(found[packet] in causes for packet, causes in real.items()), (scenario, host)
            assert from_afar <= len(kernel["server" if host == "client" else "client"]), (scenario, host)
    assert table == {
        "real, found": 44,
        "Wireshark: out of order": 8,
        "simultaneous open": 4,
        "Wireshark: retransmission": 4,
    }
