"""A capture read live, in batches of any size, is the capture read from its file; what is kept of it has bounds."""

import gc
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from itertools import count, cycle
from pathlib import Path

import pytest
from decode_building import ICMP, UDP, Frame, batch_of, icmp, ipv4, ipv6, tcp, udp
from hypothesis import given, settings
from hypothesis import strategies as st
from trace_building import part_of

from inspector.capture.batch import FrameBatch
from inspector.capture.files import open_capture
from inspector.tcp.options import NO_OPTIONS
from inspector.tcp.segment import Flag
from inspector.text.problems import FileProblem
from inspector.trace import live as live_module
from inspector.trace.conversation import ConnectionEnd, Conversation, PacketRecord, Row
from inspector.trace.live import KEPT_FRAME_BYTES, KEPT_SUMMARIES, Arrival, LiveTrace
from inspector.trace.trace import Trace
from inspector.views.ladder import Ladder, LadderOptions

CAPTURES = Path(__file__).parents[2] / "shared" / "captures" / "captures"
LARGEST_BYTES = 100_000
EACH_KIND = 3


def is_readable(path: Path) -> bool:
    try:
        open_capture(str(path)).close()
    except FileProblem:
        return False
    return True


def captures() -> Iterator[Path]:
    """Some of every kind."""
    for kind in sorted(CAPTURES.glob("*")):
        small = [path for path in sorted(kind.glob("*.pcap*")) if path.stat().st_size < LARGEST_BYTES]
        yield from [path for path in small if is_readable(path)][:EACH_KIND]


ODD = "ndpi__fuzz-2006-09-29-28586.pcap"  # has a malformed segment that looks like a SYN
FILES = [*captures(), *CAPTURES.glob(f"*/{ODD}")]
needs_captures = pytest.mark.skipif(not FILES, reason="the shared captures are not here")


def in_batches(path: Path, sizes: Sequence[int]) -> Iterator[FrameBatch]:
    """The frames of a capture in batches of these sizes, over and over; an empty one now and then, as live."""
    with open_capture(str(path)) as capture:
        wanted = cycle(sizes)
        for batch in capture.batches():
            start = 0
            while start < len(batch):
                size = next(wanted)
                yield part_of(batch, start, start + size)
                start += size


def fed(batches: Iterable[FrameBatch]) -> tuple[LiveTrace, list[Arrival]]:
    live = LiveTrace()
    return live, [arrival for batch in batches for arrival in live.feed(batch, *live.select(batch))]


def without_options(record: PacketRecord) -> PacketRecord:
    """A list of packets shows no options but those of a SYN, and no identification: a file is not read for them."""
    report = record.report
    if report is None:
        return record
    segment = report.segment._replace(identification=0)
    if not segment.flags & Flag.SYN:
        segment = segment._replace(options=NO_OPTIONS)
    return record._replace(report=report._replace(segment=segment))


class Whole:
    """Everything a trace says of a capture file."""

    def __init__(self, path: Path) -> None:
        with Trace.read(str(path)) as trace:
            self.frames = [trace.frame(packet) for packet in range(1, len(trace) + 1)]
            self.records = list(map(without_options, trace.records()))
            self.conversations: list[tuple[Conversation, ConnectionEnd | None]] = []
            self.rows: dict[int, list[Row]] = {}
            for conversation in trace.conversations():
                rows, end = trace.rows(conversation.number)
                self.conversations.append((conversation, end))
                self.rows[conversation.number] = [row._replace(comment="") for row in rows]


def compare(path: Path, sizes: Sequence[int]) -> None:
    whole = Whole(path)
    live, arrivals = fed(in_batches(path, sizes))
    assert [without_options(arrival.record) for arrival in arrivals] == whole.records
    assert live.conversations() == whole.conversations
    assert [live.frame(packet) for packet in range(1, len(arrivals) + 1)] == whole.frames
    for number, rows in whole.rows.items():
        ours = [arrival for arrival in arrivals if arrival.record.conversation == number]
        assert [arrival.row for arrival in ours] == rows
        assert [arrival.first for arrival in ours] == [True] + [False] * (len(ours) - 1)
    assert live.captured == live.shown == len(whole.records)


@needs_captures
@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_packet_by_packet_is_as_from_the_file(path: Path) -> None:
    compare(path, [1])


@needs_captures
@settings(max_examples=100, deadline=None)
@given(st.sampled_from(FILES or [Path()]), st.lists(st.integers(0, 40), min_size=1, max_size=6).filter(any))
def test_any_batches_are_as_from_the_file(path: Path, sizes: list[int]) -> None:
    compare(path, sizes)


def host(number: int) -> str:
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def connection(number: int) -> list[Frame]:
    """The frames of a short connection of a client of its own: opened, then reset."""
    opening = tcp(source_port=40_000, destination_port=80, seq=100, ack=0, flags=Flag.SYN)
    answer = tcp(source_port=80, destination_port=40_000, seq=300, ack=101, flags=Flag.RST | Flag.ACK)
    client, server = host(number), "11.0.0.1"
    return [
        Frame(ipv4(opening, source=client, destination=server)),
        Frame(ipv4(answer, source=server, destination=client)),
    ]


def feed(live: LiveTrace, frames: list[Frame], size: int = 500) -> None:
    """All frames in batches of a size."""
    for start in range(0, len(frames), size):
        batch = batch_of(frames[start : start + size])
        for _ in live.feed(batch, *live.select(batch)):
            pass


def test_of_many_closed_conversations_the_latest_are_listed_and_the_others_counted() -> None:
    live, many = LiveTrace(), 12_500
    feed(live, [frame for number in range(many) for frame in connection(number)])
    listed = live.conversations()
    waiting = len(listed) - KEPT_SUMMARIES
    assert KEPT_SUMMARIES == 10_000
    assert 0 < waiting <= 1_000
    assert [conversation.number for conversation, _ in listed] == list(range(many - len(listed) + 1, many + 1))
    assert {(conversation.packets_to_server, conversation.packets_to_client) for conversation, _ in listed} == {(1, 1)}
    assert {end.outcome.opening for _, end in listed if end is not None} == {"refused"}
    assert live.forgotten.conversations == many - len(listed)
    assert live.forgotten.packets == 2 * live.forgotten.conversations
    assert live.shown == 2 * many


def test_a_conversation_that_begins_when_the_reader_is_late_is_passed_over_whole() -> None:
    late_ns = 0
    live = LiveTrace(lateness_ns=lambda time_ns: late_ns)
    (first, first_end), (second, second_end), third = (connection(number) for number in range(3))
    feed(live, [first])
    late_ns = 500_000_000
    feed(live, [first_end, second])
    late_ns = 0
    feed(live, [second_end, *third])
    listed = [conversation for conversation, _ in live.conversations()]
    assert [(conversation.client.address, conversation.packets) for conversation in listed] == [
        (host(0), 2),
        (host(2), 2),
    ]
    assert (live.passed_over.conversations, live.passed_over.packets) == (1, 2)
    assert (live.taken, live.shown) == (6, 4)


def test_a_conversation_that_is_shown_is_left_when_its_reader_is_very_late() -> None:
    late_ns = 0
    live = LiveTrace(lateness_ns=lambda time_ns: late_ns)
    (first, first_end), (second, second_end) = (connection(number) for number in range(2))
    feed(live, [first, second])
    late_ns = 2_000_000_000
    feed(live, [first_end])
    late_ns = 0
    feed(live, [first_end, second_end])
    listed = [(conversation.client.address, conversation.packets) for conversation, _ in live.conversations()]
    assert listed == [(host(0), 1), (host(1), 2)]
    assert (live.passed_over.conversations, live.passed_over.packets) == (1, 2)


def test_a_packet_of_a_conversation_that_was_summed_up_begins_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_KEPT_CLOSED", 2)
    live = LiveTrace()
    feed(live, [frame for number in range(3) for frame in connection(number)])
    feed(live, connection(2)[1:] + connection(0)[1:])
    assert [(conversation.number, conversation.packets) for conversation, _ in live.conversations()] == [
        (1, 2),
        (2, 2),
        (3, 3),
        (4, 1),
    ]


def test_of_open_conversations_the_one_idle_for_longest_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_KEPT_OPEN", 2)
    live = LiveTrace()
    first, second, third = (connection(number)[0] for number in range(3))
    feed(live, [first, second, first, third, first, second], size=1)
    assert [(conversation.number, conversation.packets) for conversation, _ in live.conversations()] == [
        (1, 3),
        (2, 1),
        (3, 1),
        (4, 1),
    ]


def test_a_conversation_stays_until_the_end_of_the_batch_that_has_its_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_KEPT_CLOSED", 2)
    live = LiveTrace()
    feed(live, [frame for number in [*range(9), 0] for frame in connection(number)])
    assert [conversation.packets for conversation, _ in live.conversations()] == [4] + [2] * 8


def test_of_the_frames_the_latest_4_mib_are_kept() -> None:
    live, payload = LiveTrace(), bytes(60_000)
    feed(live, [Frame(ipv4(udp(number.to_bytes(4, "big") + payload), UDP)) for number in range(1_500)])
    kept = [packet for packet in range(1, 1_501) if live.frame(packet)]
    assert kept == list(range(kept[0], 1_501))
    assert KEPT_FRAME_BYTES == 4 << 20
    assert KEPT_FRAME_BYTES - 2 * len(payload) < sum(len(live.frame(packet)) for packet in kept) <= KEPT_FRAME_BYTES
    assert live.frame(1_500)[28:32] == (1_499).to_bytes(4, "big")
    assert live.frame(0) == live.frame(1) == live.frame(1_501) == b""


def test_ten_thousand_conversations_at_once_are_all_kept_apart() -> None:
    live, many = LiveTrace(), 10_000
    opened, ended = zip(*map(connection, range(many)), strict=True)
    feed(live, [*opened, *ended])
    listed = [conversation for conversation, _ in live.conversations()]
    assert [(each.number, each.client.address) for each in listed] == [
        (1 + number, host(number)) for number in range(many)
    ]
    assert {(each.packets_to_server, each.packets_to_client) for each in listed} == {(1, 1)}


def test_a_clock_that_is_set_back_is_no_lateness_and_no_disorder() -> None:
    now_ns = 1_000_000_000_000
    live = LiveTrace(lateness_ns=lambda time_ns: now_ns - time_ns, waiting=lambda: 0)
    rows = []
    for at_ns, frame in zip((now_ns, now_ns - 3_600 * 10**9), connection(1), strict=True):
        batch = batch_of([frame])
        batch.time_ns[:] = now_ns = at_ns
        rows += [arrival.row for arrival in live.feed(batch, *live.select(batch))]
    assert [row.packet for row in rows] == [1, 2]
    [(conversation, end)] = live.conversations()
    assert (conversation.packets, conversation.start_ns, conversation.end_ns) == (2, now_ns, 1_000_000_000_000)
    assert end is not None
    assert end.outcome.opening == "refused"
    ladder = Ladder(LadderOptions(width=100))
    lines = [*ladder.head(conversation), *(line for row in rows for line in ladder.feed(row))]
    assert any("RST" in line.text for line in lines)


def flood() -> Iterator[Frame]:
    """Traffic that never meets itself again: connections, datagrams, errors about them, fragments, IPv6."""
    for number in count():
        client, server = host(number), "11.0.0.1"
        datagram = ipv4(udp(b"asked", destination_port=1 + number % 60_000), UDP, source=client, destination=server)
        error = icmp(3, 3, datagram[:28])
        part = ipv4(udp(b"part"), UDP, more=True, identification=number & 0xFFFF, source=client, destination=server)
        yield from connection(number)
        yield Frame(datagram)
        yield Frame(ipv4(error, ICMP, source=server, destination=client))
        yield Frame(part)
        yield Frame(ipv6(udp(b"asked"), UDP, source=f"fd00::{number >> 16:x}:{number & 0xFFFF:x}"))


@pytest.fixture
def traced_memory() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def test_addresses_that_come_again_are_told_right_after_others_were_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "_KEPT_ADDRESSES", 10)
    monkeypatch.setattr(live_module, "_KEPT_OPEN", 5)
    live, told = LiveTrace(), []
    sources = [f"fd00::{1 + number % (3 if number % 2 else 200):x}" for number in range(600)]
    for source in sources:
        batch = batch_of([Frame(ipv6(udp(b"asked"), UDP, source=source))])
        told += [arrival.record.source for arrival in live.feed(batch, *live.select(batch))]
    assert told == [f"[{source}]:40000" for source in sources]
    assert len(live._intake.decoder.addresses) < 20
    clients = {conversation.client.address for conversation, _ in live.conversations()}
    assert clients == set(sources)


@pytest.mark.usefixtures("traced_memory")
def test_memory_does_not_grow_with_the_traffic(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_module, "KEPT_SUMMARIES", 100)
    monkeypatch.setattr(live_module, "_KEPT_CLOSED", 100)
    monkeypatch.setattr(live_module, "_KEPT_OPEN", 100)
    monkeypatch.setattr(live_module, "KEPT_FRAME_BYTES", 10_000)
    monkeypatch.setattr(live_module, "_KEPT_ADDRESSES", 100)
    monkeypatch.setattr("inspector.trace.reader._NAMES_KEPT", 100)
    monkeypatch.setattr("inspector.decode.addresses._TEXTS_KEPT", 100)
    monkeypatch.setattr("inspector.decode.fast._FRAGMENTED_DATAGRAMS_KEPT", 100)
    monkeypatch.setattr("inspector.decode.fragments._DATAGRAMS_KEPT", 100)
    live, frames = LiveTrace(), flood()
    sizes = []
    for _ in range(5):
        feed(live, [next(frames) for _ in range(2_000)])
        gc.collect()
        sizes.append(tracemalloc.get_traced_memory()[0])
    assert sizes[-1] - sizes[1] < 60_000, sizes  # a hundred bytes kept of each connection would be 120,000
