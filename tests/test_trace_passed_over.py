"""What comes faster than it can be shown is counted as if every frame were decoded, and nearly none is."""

from collections.abc import Iterator, Sequence

import pytest
from decode_building import ICMP, UDP, Frame, batch_of, icmp, ipv4, ipv6, link, tcp, udp
from hypothesis import given
from hypothesis import strategies as st

from inspector.decode.fast import Decoder
from inspector.trace import live as live_module
from inspector.trace import passed_over
from inspector.trace.live import Arrival, LiveTrace
from inspector.trace.selection import Selection

SYN, ACK, RST = 0x02, 0x10, 0x04
ASKED = ipv4(udp(b"asked", source_port=7), UDP)
FRAMES = [
    *[link(kind, ipv4(udp(b"x" * 18, source_port=port), UDP)) for kind in ("ethernet", "802.1Q") for port in (7, 8)],
    link("ethernet", ipv4(udp(b"longer than that", source_port=7), UDP)),
    link("ethernet", ipv4(udp(b"says too much", source_port=7, udp_bytes=99), UDP)),
    link("ethernet", ipv4(udp(b"behind options", source_port=7), UDP, options=bytes(4))),
    link("ethernet", ipv4(udp(b"in a tunnel's port", source_port=7, destination_port=4789), UDP)),
    link("ethernet", ipv4(udp(b"the first part..", source_port=7), UDP, more=True, identification=9)),
    link("ethernet", ipv4(b"and the last one", UDP, fragment_offset=24, identification=9)),
    link("ethernet", ipv6(udp(b"x" * 18, source_port=7), UDP)),
    link("ethernet", ipv6(tcp(b"data", flags=ACK))),
    link("ethernet", ipv4(icmp(3, 3, ASKED[:28]), ICMP, source="10.0.0.2", destination="10.0.0.1")),
    *[
        link("ethernet", ipv4(tcp(b"data"[:size], flags=flags, seq=seq), identification=seq))
        for size, flags, seq in [(0, SYN, 1), (0, SYN, 5), (4, ACK, 2), (4, ACK, 6), (0, ACK, 6), (0, RST, 10)]
    ],
    *[
        link(
            "ethernet",
            ipv4(
                tcp(b"data"[:size], source_port=80, destination_port=40000, flags=flags, seq=seq),
                source="10.0.0.2",
                destination="10.0.0.1",
            ),
        )
        for size, flags, seq in [(0, SYN | ACK, 50), (0, ACK, 51), (4, ACK, 51)]
    ],
    Frame(link("ethernet", ipv4(udp(b"x" * 18, source_port=7), UDP)).data[:50], 1, 60),
    link("raw", ipv4(udp(b"x" * 18, source_port=7), UDP)),
    Frame(b"no packet"),
]
MASSES = st.lists(st.tuples(st.sampled_from(range(len(FRAMES))), st.integers(1, 12)), min_size=1, max_size=12)
STEPS = st.lists(st.tuples(st.booleans(), MASSES), min_size=1, max_size=5)


def fed(live: LiveTrace, frames: list[Frame], *, decode_all: bool) -> Iterator[Arrival]:
    batch = batch_of(frames, room_behind=100)
    if decode_all:
        yield from live.feed(batch, *live.select(batch))
        return
    for part in live.parts(batch):
        if part.selected is None:
            yield from live.feed(part.batch, *live.select(part.batch))
        else:
            live.count(part, part.selected)


def shown(steps: Sequence[tuple[bool, Sequence[tuple[int, int]]]], selection: Selection, *, decode_all: bool) -> object:
    late_ns = 0
    live = LiveTrace(selection, lateness_ns=lambda _: late_ns)
    records = []
    for late, masses in steps:
        late_ns = 5_000_000_000 * late
        frames = [FRAMES[number] for number, times in masses for _ in range(times)]
        records += [arrival.record for arrival in fed(live, frames, decode_all=decode_all)]
    return records, live.captured, live.taken, live.shown, live.passed_over, live.conversations()


@given(steps=STEPS, ports=st.sampled_from([(), (7,), (8, 80)]))
def test_counted_without_decoding_is_counted_right(
    steps: Sequence[tuple[bool, Sequence[tuple[int, int]]]], ports: tuple[int, ...]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passed_over, "_PIECE", 2)
        patch.setattr(passed_over, "_VAIN_BATCHES", 1)
        selection = Selection(frozenset(ports))
        steps = [step for step in steps for _ in range(2)]
        assert shown(steps, selection, decode_all=False) == shown(steps, selection, decode_all=True)


@pytest.mark.parametrize("ports", [(), (9,)])
def test_a_flood_is_not_decoded(monkeypatch: pytest.MonkeyPatch, ports: tuple[int, ...]) -> None:
    decoded: list[int] = []
    decode = Decoder.decode
    monkeypatch.setattr(Decoder, "decode", lambda self, batch: decoded.append(len(batch)) or decode(self, batch))
    live = LiveTrace(Selection(frozenset(ports)), lateness_ns=lambda _: 2_000_000_000)
    for number in range(4):
        other = [link("ethernet", ipv4(udp(b"rare", source_port=100 + number), UDP))]
        frames = FRAMES[:2] * 5_000 + other + FRAMES[:1] * 5_000
        assert list(fed(live, frames, decode_all=False)) == []
    assert decoded in ([15_001] * 2 + [1_024] * 2, [15_001] + [1_024] * 3)
    assert (live.captured, live.taken, live.shown) == (60_004, 0 if ports else 60_004, 0)
    assert live.passed_over.conversations == (0 if ports else 6)
    assert live.passed_over.payload_bytes == (0 if ports else 60_000 * 18 + 4 * 4)


def test_of_what_waits_most_of_it_is_left_before_it_is_read() -> None:
    waiting = 0
    live = LiveTrace(lateness_ns=lambda _: 0, waiting=lambda: waiting)
    many, other = FRAMES[0], link("ethernet", ipv4(udp(b"rare", source_port=99), UDP))
    assert len(list(fed(live, [many] * 300 + [other], decode_all=True))) == 301
    waiting = 20_000
    assert [arrival.record.packet for arrival in fed(live, [many] * 300 + [other], decode_all=True)] == [602]
    waiting = 0
    assert [arrival.record.packet for arrival in fed(live, [many, other], decode_all=True)] == [604]
    assert (live.passed_over.conversations, live.passed_over.packets, live.shown) == (1, 301, 303)
    assert live_module._FLOOD < 20_000
