"""What is fuzzed: functions that take any bytes, and must come back without an exception that is not a Problem.

``fuzz.py`` lets a fuzzer drive them; ``test_fuzz_found.py`` runs them over the seeds and over what was ever found.
"""

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from inspector.calls import journal
from inspector.calls.strace import StraceReader
from inspector.decode.addresses import AddressTable
from inspector.decode.dissect import dissect
from inspector.decode.exceptional import decode_frame
from inspector.framing.framer import Framer, FramingError, Message
from inspector.framing.inference import infer
from inspector.framing.registry import names, opener
from inspector.render.json_lines import packet_line
from inspector.text.problems import Problem
from inspector.trace.messages import framed
from inspector.trace.reader import PacketValues
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderOptions, LadderPart, ladders_of
from inspector.views.packets import packet_view

CAPTURES = Path(__file__).parents[2] / "captures"
_MOST_CONVERSATIONS = 3
_ARGUMENTS = {"length": "!H", "fixed": "3", "delimiter": ";"}
_SPECS = [":".join(filter(None, (name, _ARGUMENTS.get(name)))) for name in names()]


def files(data: bytes) -> None:
    """A capture file: read, analysed, reassembled, framed and drawn."""
    descriptor = os.memfd_create("capture")
    try:
        os.write(descriptor, data)
        with Trace.read(f"/proc/self/fd/{descriptor}") as trace:
            for record in trace.records():
                packet_line(record)
            for line in islice(packet_view(trace.records(), 80), 200):
                assert line.text.isprintable()
            for conversation in trace.conversations()[:_MOST_CONVERSATIONS]:
                rows, end = trace.rows(conversation.number, payload_limit=64)
                part = LadderPart(conversation, end, rows)
                assert all(line.text.isprintable() for line in ladders_of([part], LadderOptions(width=80)))
                framed(trace, conversation.number)
    except Problem:
        pass
    finally:
        os.close(descriptor)


def frames(data: bytes) -> None:
    """One frame of the link type that the first byte names: decoded, dissected, its segment read."""
    link_type, frame = (data[0] if data else 1), data[1:]
    headers = decode_frame(frame, link_type, len(frame), AddressTable())
    assert headers.transport_offset <= len(frame)
    dissect(frame, link_type, len(frame))
    numbers = dict.fromkeys(PacketValues._fields, 0)
    fields = {**numbers, "protocol": 6, "network": 4, "transport_offset": headers.transport_offset}
    if frame:
        PacketValues(**{**fields, "payload_offset": min(headers.payload_offset, len(frame))}).segment(frame)


def framings(data: bytes) -> None:
    """A byte stream in every framing, whole and in pieces: the messages are the same."""
    step = 1 + data[0] % 64 if data else 1
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    for spec in _SPECS:
        for whole, cut in zip(opener(spec)(), opener(spec)(), strict=True):
            assert messages(whole, [data]) == messages(cut, pieces), spec
    infer(data)


def messages(framer: Framer, pieces: list[bytes]) -> list[Message]:
    found: list[Message] = []
    try:
        for piece in pieces:
            found += framer.feed(piece)
        found += framer.finish()
    except FramingError:
        pass
    return found


def calls(data: bytes) -> None:
    """What strace writes, in two pieces; and a journal of calls."""
    reader = StraceReader()
    list(reader.feed_bytes(data[: len(data) // 2]))
    list(reader.feed_bytes(data[len(data) // 2 :]))
    list(reader.finish())
    descriptor = os.memfd_create("journal")
    try:
        os.write(descriptor, data)
        journal.load(Path(f"/proc/self/fd/{descriptor}"))
    except Problem:
        pass
    finally:
        os.close(descriptor)


def _seeds_of_files() -> Iterator[bytes]:
    for path in sorted(CAPTURES.glob("*.pcapng")):
        if path.stat().st_size < 8_000:
            yield path.read_bytes()


def _seeds_of_frames() -> Iterator[bytes]:
    for name in ("hello", "udp-closed", "http", "tls", "ipv6", "mtu-ethernet"):
        with Trace.read(str(CAPTURES / f"{name}.pcapng")) as trace:
            for packet in range(1, min(len(trace), 12) + 1):
                yield bytes([trace.link_type(packet) & 0xFF]) + trace.frame(packet)[:400]


def _seeds_of_framings() -> Iterator[bytes]:
    for name in ("http", "frames", "sticky", "tls", "upload", "chat"):
        with Trace.read(str(CAPTURES / f"{name}.pcapng")) as trace:
            for conversation in trace.conversations()[:2]:
                for _, part in trace.stream(conversation.number):
                    if data := getattr(part, "data", b""):
                        yield b"\7" + data[:600]


def _seeds_of_calls() -> Iterator[bytes]:
    yield b"7 100.5 socket(AF_INET, SOCK_STREAM, IPPROTO_TCP) = 3<TCP:[8]> <0.000017>\n7 100.6 close(3<TCP:[8]>) = 0\n"
    yield b'7 100.7 sendto(3<TCP:[127.0.0.1:5->127.0.0.1:8001]>, "a\\0\\377", 3, 0, NULL, 0 <unfinished ...>\n'
    for path in sorted(CAPTURES.glob("*.calls.jsonl"))[:12]:
        yield path.read_bytes()[:2_000]


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[], Iterator[bytes]]]] = {
    "files": (files, _seeds_of_files),
    "frames": (frames, _seeds_of_frames),
    "framings": (framings, _seeds_of_framings),
    "calls": (calls, _seeds_of_calls),
}
