"""Messages against segments and calls: pictures of bundled captures, and what is said about them."""

import json
import struct
import tracemalloc
from pathlib import Path

import pytest
from capture_building import Frame, pcap
from decode_building import ipv4, link, tcp
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from test_views_golden import check

from inspector.capture import bundled
from inspector.cli import main
from inspector.framing.framer import Message
from inspector.framing.registry import opener
from inspector.tcp.reassembly import Gap
from inspector.tcp.states import Known, Side
from inspector.trace.conversation import Conversation, Endpoint
from inspector.trace.messages import MessageStream, Span, touching
from inspector.trace.trace import Trace
from inspector.views.line import Line, line_in_ascii
from inspector.views.line import Span as Text
from inspector.views.message_findings import findings
from inspector.views.messages import stream_picture

CLIENT, SERVER = Endpoint("127.0.0.1", 50_000), Endpoint("127.0.0.1", 8001)
CONVERSATION = Conversation(1, "TCP", CLIENT, SERVER, Known.SEEN, 1, 1, 1, 1, 0, 1)


def stream(
    framing: str, pieces: list[bytes], gaps: tuple[Gap, ...] = (), receives: tuple[int, ...] = ()
) -> MessageStream:
    """A stream whose segments are the pieces, packets from 1 on; ``receives`` are where the recvs ended."""
    framer = opener(framing)()[0]
    messages = [message for piece in pieces for message in framer.feed(piece)] + framer.finish()
    ends = [sum(map(len, pieces[: at + 1])) for at in range(len(pieces))]
    numbered = enumerate(zip(pieces, ends, strict=True), start=1)
    segments = [Span(end - len(piece), end, packet) for packet, (piece, end) in numbered]
    read = [Span(start, end) for start, end in zip((0, *receives), receives, strict=False)]
    return MessageStream(Side.CLIENT, b"".join(pieces), messages, segments, [], read, list(gaps), framer.problem)


@pytest.mark.parametrize(
    ("framing", "pieces", "receives", "said"),
    [
        ("length:!B", [b"\3abc", b"\2de"], (), []),
        ("length:!B", [b"\3abc\2de"], (), ["bytes 0 to 7: segment #1 carries bytes of 2 messages (1 to 2)"]),
        ("length:!B", [b"\3a", b"bc"], (), ["bytes 0 to 4: message 1 lies in 2 segments (#1 to #2)"]),
        ("length:!H", [b"\0", b"\1a"], (), ["bytes 0 to 3: the header of message 1 is cut"]),
        ("length:!B", [b"\3abc", b"\5d"], (), ["bytes 4 to 6: the stream ends within message 2: 2 B of it came"]),
        ("length:!H", [b"\0\1a"] * 2, (6,), ["bytes 0 to 6: one recv() of 6 B took bytes of 2 messages (1 to 2)"]),
        ("raw", ["你好".encode()], (4, 6), ["a recv() of 4 B ended within a character, at offset 4"]),
        ("size-then-body", [b"42024"], (5,), ["bytes 0 to 5: one recv() of 5 B took the header of message 1 together"]),
        ("tls", [b"plain text"], (), ["from offset 0 on the bytes do not fit"]),
        ("length:!I", [b"\xff\xff\xff\xffx"], (), ["the length at offset 0 reads 4,294,967,295: "]),
        ("length:!i", [b"\xff\xff\xff\xffx"], (), ["the length at offset 0 reads -1: "]),
        ("length:!I,header", [b"\0\0\0\0x"], (), ["the length at offset 0 reads 0: "]),
        ("line", [b"x" * 600_000, b"x" * 600_000], (), ["from offset 0 on no end mark comes within 1,048,576 B"]),
    ],
)
def test_what_is_said(framing: str, pieces: list[bytes], receives: tuple[int, ...], said: list[str]) -> None:
    sentences = list(findings(stream(framing, pieces, receives=receives)))
    assert len(sentences) == len(said), sentences
    for sentence, beginning in zip(sentences, said, strict=True):
        assert sentence.startswith(beginning)


def test_without_a_framing_calls_are_held_against_calls() -> None:
    sticky = stream("raw", [b"hello", b"world"], receives=(10,))._replace(is_framed=False)
    sticky = sticky._replace(sends=[Span(0, 5), Span(5, 10)])
    [said] = findings(sticky)
    assert said.startswith("bytes 0 to 10: one recv() of 10 B took what 2 send()s gave (5 + 5 B), sticky")
    parted = stream("raw", [b"hello"], receives=(2, 5))._replace(is_framed=False, sends=[Span(0, 5)])
    [said] = findings(parted)
    assert said.startswith("bytes 0 to 5: one send() of 5 B was taken by 2 recv()s")


def test_of_many_like_findings_some_are_said_and_the_others_counted() -> None:
    said = list(findings(stream("length:!B", [b"\2a", *[b"b\2a"] * 8, b"b"])))
    assert sum("lies in 2 segments" in sentence for sentence in said) == 5
    assert "… and 4 more of this kind" in said


def test_a_control_frame_within_a_message_cuts_it_in_two() -> None:
    upgrade = b"GET / HTTP/1.1\r\n\r\n"
    pieces = [upgrade, b"\x01\x08" + b"a" * 8, b"\x89\x06" + b"p" * 6, b"\x80\x08" + b"b" * 8]
    drawn = stream("websocket", pieces)
    lines = list(stream_picture(CONVERSATION, drawn._replace(messages=sorted(drawn.messages)), "websocket", 100))
    messages, segments = (line.text for line in lines if line.text.startswith(("messages", "segments")))
    assert len(messages) == len(segments)
    assert "6 B" in messages


def test_a_kind_that_finds_no_room_gives_way_to_the_size() -> None:
    record = b"\x17\x03\x03\x00\x64" + bytes(100)
    lines = [line.text for line in stream_picture(CONVERSATION, stream("tls", [record] * 2), "tls", 100)]
    assert any("╤════ 100 B ════╞" in line for line in lines)


def test_datagrams_have_a_row_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "udp-overflow", "--width", "100"]) == 0
    shown = capsys.readouterr().out
    assert "20 datagrams" in shown
    assert "segment" not in shown
    assert "no recv() took 14 of these datagrams" in shown


def test_a_receive_that_cut_a_datagram_is_shown() -> None:
    messages = [Message(0, 10, 0), Message(10, 30, 10)]
    segments = [Span(0, 10, 1), Span(10, 30, 2)]
    cut = MessageStream(Side.CLIENT, bytes(30), messages, segments, [], [Span(10, 14)], [], None)
    lines = [line.text for line in stream_picture(CONVERSATION, cut._replace(is_datagrams=True), "", 100)]
    assert any("4 of 20 B" in line for line in lines)
    assert any("one recv() took 4 B of datagram 2; the 16 B behind them are lost" in line for line in lines)


def test_a_long_stream_is_drawn_in_bounded_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = (struct.pack("!I", 96) + bytes(96)) * 60_000
    path = tmp_path / "long.pcap"
    sent = enumerate(data[at : at + 30_000] for at in range(0, len(data), 30_000))
    frames = (link("ethernet", ipv4(tcp(each, seq=1 + 30_000 * at), 6)).data for at, each in sent)
    path.write_bytes(pcap([Frame(0, frame, len(frame)) for frame in frames]))
    tracemalloc.start()
    try:
        assert main(["messages", str(path), "--width", "100"]) == 0
        assert tracemalloc.get_traced_memory()[1] < 60_000_000
    finally:
        tracemalloc.stop()
    shown = capsys.readouterr().out
    assert "6,000,000 B · 200 segments · 60,000 messages" in shown
    assert "this stream is long" in shown


def test_segments_that_bring_nothing_new_are_shown_apart(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "retransmit", "--direction", "to-server", "--width", "100"]) == 0
    shown = capsys.readouterr().out
    assert "again     ├ #5 ┤" in shown
    assert "segment #5 carries bytes 0 to 5 once more" in shown


@pytest.mark.parametrize("name", ["frames", "http", "retransmit", "mtu"])
def test_python_gets_the_same_messages(name: str) -> None:
    with Trace.read(str(bundled.find(name))) as trace:
        client, server = trace.conversation(1).messages()
        assert b"".join(part.data for side, part in trace.stream(1) if side is Side.CLIENT) == client.data
        assert b"".join(part.data for side, part in trace.stream(1) if side is Side.SERVER) == server.data
        with pytest.raises(ValueError, match="nosuch"):
            trace.conversation(1).messages("nosuch")


@given(
    st.lists(st.integers(0, 9), max_size=12).map(sorted),
    st.integers(0, 60),
    st.integers(1, 60),
)
def test_intervals_are_found_as_by_looking_at_each(sizes: list[int], start: int, size: int) -> None:
    ends = [sum(sizes[: at + 1]) for at in range(len(sizes))]
    spans = [Span(end - each, end) for end, each in zip(ends, sizes, strict=True) if each]
    found = [spans[at] for at in touching(spans, start, start + size)]
    assert found == [span for span in spans if span.start < start + size and span.end > start]


def test_what_was_not_captured_is_said_and_drawn() -> None:
    with_gap = stream("raw", [b"abc", bytes(4), b"def"], (Gap(3, 7),))
    assert any("bytes 3 to 7 were not captured" in sentence for sentence in findings(with_gap))
    assert any("missing" in line.text for line in stream_picture(CONVERSATION, with_gap, "raw", 100))


@pytest.mark.parametrize(
    ("name", "framing"), [("sticky", "fixed:5"), ("frames", "length:!I"), ("upload-tutorial", "size-then-body")]
)
def test_pictures(name: str, framing: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", name, "--framing", framing, "--width", "100"]) == 0
    check(f"messages_{name}", capsys.readouterr().out)


@given(
    st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=12),
    st.sampled_from(["length:!B", "line", "fixed:7", "raw", "tls"]),
    st.lists(st.integers(1, 300), max_size=8),
    st.integers(60, 160),
)
def test_rows_stand_under_each_other_and_keep_the_width(
    pieces: list[bytes], framing: str, cuts: list[int], width: int
) -> None:
    size = sum(map(len, pieces))
    receives = tuple(sorted({cut for cut in cuts if cut < size} | {size}))
    drawn = stream_picture(CONVERSATION, stream(framing, pieces, receives=receives), framing, width)
    lines = [line.text.rstrip() for line in drawn]
    assert max(map(cell_len, lines)) <= width
    assert all(line_in_ascii(Line((Text(line),))).text.isascii() for line in lines)
    segments = [line for line in lines if line.startswith("segments")]
    received = [line for line in lines if line.startswith("recv()")]
    assert [len(line) for line in segments] == [len(line) for line in received]


def test_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "frames", "--framing", "length:!I", "--json"]) == 0
    messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [message["end"] - message["header_end"] for message in messages] == [3, 13, 6, 1]
    assert len(messages[0]["segments"]) == 5
    assert (messages[0]["direction"], messages[0]["framing"]) == ("to-server", "length:!I")
    assert all(message["complete"] for message in messages)


def test_an_unknown_framing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "hello", "--framing", "nonsense:3"]) == 2
    assert "json-lines" in capsys.readouterr().err


def test_datagrams_are_messages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["messages", "udp", "--json"]) == 0
    messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(message["direction"], message["end"]) for message in messages] == [("to-server", 6), ("to-client", 6)]
    assert [message["segments"] for message in messages] == [[1], [2]]
    assert {message["framing"] for message in messages} == {"datagram"}
    assert all([call["name"] for call in message["calls"]] == ["sendto", "recvfrom"] for message in messages)


def test_a_capture_that_claims_gigabytes_is_missing_costs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = bundled.find("sticky")
    assert path is not None
    with Trace.read(str(path)) as trace:
        columns = trace.columns
        at = int(columns.position[5]) + int(columns.transport_offset[5]) + 4  # the second "world": its sequence number
        seq = int(columns.seq[5])
    data = bytearray(path.read_bytes())
    data[at : at + 4] = ((seq + 900_000_000) % 2**32).to_bytes(4, "big")
    hostile = tmp_path / "hostile.pcapng"
    hostile.write_bytes(data)
    tracemalloc.start()
    try:
        assert main(["messages", str(hostile), "--width", "100"]) == 0
        assert tracemalloc.get_traced_memory()[1] < 50_000_000
    finally:
        tracemalloc.stop()
    assert "were not captured: what is behind them is not shown" in capsys.readouterr().out
