"""The framing of a stream found from its bytes: the right one, or none."""

import struct
import time
from random import Random

import pytest

from inspector.capture import bundled
from inspector.cli import main
from inspector.framing.inference import Extent, infer
from inspector.tcp.reassembly import Gap, Piece
from inspector.tcp.states import Side
from inspector.trace.messages import infer_parts, inferred
from inspector.trace.trace import Trace

WORDS = [b"hello", b"how are you", "你好".encode(), b"fine, and you?", b"bye"]


@pytest.mark.parametrize(
    ("name", "conversation", "framing"),
    [
        ("frames", 1, "length:!I"),
        ("http", 1, "http"),
        ("fetch", 3, "http"),
        ("tls", 1, "tls"),
        ("chat", 1, "line"),
        ("hello", 1, None),
        ("sticky", 1, None),
        ("split-utf8", 1, None),
        ("slow-reader", 1, None),
    ],
)
def test_real_conversations(name: str, conversation: int, framing: str | None) -> None:
    path = bundled.find(name)
    assert path is not None
    with Trace.read(str(path)) as trace:
        best, _ = inferred(trace, conversation)
    assert (None if best is None else best.framing) == framing


@pytest.mark.parametrize("layout", ["!H", "<H", "!I", "<I", "!Q", "<Q"])
@pytest.mark.parametrize("counted", [False, True])
def test_length_prefixes_of_every_form(layout: str, counted: bool) -> None:
    extra = struct.calcsize(layout) if counted else 0
    data = b"".join(struct.pack(layout, len(word) + extra) + word for word in WORDS)
    best, next_best = infer((data, ()))
    assert best is not None
    assert best.framing == f"length:{layout}{',header' if counted else ''}"
    assert best.messages == len(WORDS)
    assert next_best is None or next_best.bits < best.bits


def test_a_length_of_one_byte_needs_segments_or_text_to_be_believed() -> None:
    dice = Random(1)
    messages = [bytes([size]) + dice.randbytes(size) for size in (40, 7, 200, 90, 12, 33)]
    data = b"".join(messages)
    starts = [sum(map(len, messages[:at])) for at in range(1, len(messages))]
    best, _ = infer((data, starts))
    assert best is not None
    assert best.framing == "length:!B"
    assert infer((data, ())).best is None


def test_nothing_is_claimed_of_bytes_without_a_framing() -> None:
    dice = Random(2)
    claimed = 0
    for _ in range(300):
        both = [(dice.randbytes(dice.randrange(1, 3000)), range(0, 3000, 500)) for _ in range(2)]
        claimed += infer(both[0], both[1]).best is not None
    assert claimed <= 1  # by chance a length of one byte leads to the end in both directions
    assert infer((b"", ())).best is None
    assert infer((bytes(5000), range(0, 5000, 100))).best is None


def test_a_stream_that_is_too_long_is_judged_by_its_beginning() -> None:
    word = struct.pack("!I", 96) + bytes(range(96))
    best, _ = infer((word * 5000, ()))
    assert best is not None
    assert best.framing == "length:!I"


def test_the_message_that_never_came_does_not_hide_the_framing() -> None:
    data = b"".join(struct.pack("!I", len(word)) + word for word in WORDS)
    best, _ = infer(data[:-2])
    assert best is not None
    assert (best.framing, best.messages, best.extent) == ("length:!I", len(WORDS) - 1, Extent.CUT_OFF)


@pytest.mark.parametrize(
    ("to_server", "to_client", "framing"),
    [
        (b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"HTTP/1.1 304 Not Modified\r\n\r\n", "http"),
        (
            b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n\x81\x85\x01\x02\x03\x04iggis",
            b"HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\n\r\n\xc1\x05\xcaH\xcd\xc9\x07",
            "websocket",
        ),
        (b"*1\r\n$4\r\nPING\r\n", b"+PONG\r\n", "resp"),
        (b"*2\r\n$4\r\nKEYS\r\n$1\r\n*\r\n", b"*500\r\n" + b"$1\r\nk\r\n" * 500, "resp"),
        (b"USER ann\r\nQUIT\r\n", b"+OK\r\n+OK 2 messages\r\n+OK bye\r\n", "line"),
        (
            b'{"question": "how are you today, my dear?"}\n',
            b'{"answer": "fine, and how are you, my dear?"}\n',
            "json-lines",
        ),
    ],
)
def test_protocols_that_are_like_others(to_server: bytes, to_client: bytes, framing: str) -> None:
    best, _ = infer(to_server, to_client)
    assert best is not None
    assert best.framing == framing


def test_an_answer_without_the_framing_speaks_against_it() -> None:
    data = b"".join(struct.pack("!I", len(word)) + word for word in WORDS)
    assert infer(data, b"ok").best is None


def test_a_download_that_is_longer_than_what_is_looked_at() -> None:
    request = b"GET /film HTTP/1.1\r\nHost: h\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + Random(3).randbytes(1_000_000)
    best, _ = infer(request, (answer, range(0, len(answer), 1448)))
    assert best is not None
    assert (best.framing, best.extent) == ("http", Extent.BEGINNING)


@pytest.mark.parametrize("size", [1_000, 100_000, 1_000_000])
def test_long_streams_without_a_framing_are_claimed_by_none(size: int) -> None:
    dice = Random(4)
    for _ in range(10):
        assert infer((dice.randbytes(size), range(0, size, 1448))).best is None


@pytest.mark.parametrize(
    ("piece", "framing"),
    [(b"\n", "line"), (b"\0", None), (b"1\n", "line"), (b"a:\n", "line"), (b"+\r\n", "resp")],
)
def test_many_tiny_messages_take_no_time(piece: bytes, framing: str | None) -> None:
    data = piece * (600_000 // len(piece))
    begin = time.process_time()
    best, _ = infer((data, range(0, len(data), 100)), (data, range(0, len(data), 100)))
    assert time.process_time() - begin < 2  # seconds; 0.3 where nothing else runs
    assert (None if best is None else best.framing) == framing


def test_what_is_behind_a_gap_is_not_looked_at() -> None:
    data = b"".join(struct.pack("!I", len(word)) + word for word in WORDS)
    parts = [(Side.CLIENT, Piece(0, data, 1)), (Side.CLIENT, Gap(len(data), len(data) + 99))]
    best, _ = infer_parts(parts)
    assert best is not None
    assert (best.framing, best.extent) == ("length:!I", Extent.BEGINNING)


def test_the_command_says_how_it_was_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "frames", "--width", "160"]) == 0
    assert "found: all 4 messages of both directions fit to the last byte" in capsys.readouterr().out
    assert main(["messages", "hello", "--width", "100"]) == 0
    assert "none fits" in capsys.readouterr().out
    assert main(["messages", "upload-tutorial", "--width", "160"]) == 0
    assert "It may be size-then-body" in capsys.readouterr().out
