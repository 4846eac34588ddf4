"""Messages while a capture runs: those that the whole capture has, each when its last byte has come."""

import tracemalloc
from pathlib import Path

import pytest
from capture_building import Frame, pcap
from decode_building import ipv4, link, tcp

from inspector.capture import bundled
from inspector.capture.files import open_capture
from inspector.cli import main
from inspector.framing.registry import opener
from inspector.tcp.reassembly import Piece
from inspector.trace.following import Follower
from inspector.trace.live import LiveTrace
from inspector.trace.live_messages import LiveMessage, LiveMessages, LiveProblem
from inspector.trace.messages import framed
from inspector.trace.trace import Trace
from inspector.views.messages import message_lines

NAMES = ["frames", "http", "tls", "udp", "chat", "sticky", "split-utf8", "upload", "retransmit", "frames-tutorial"]
MOST_BYTES = 1 << 20


def live(path: str, framing: str) -> list[LiveMessage]:
    return [each for each in everything(path, framing) if isinstance(each, LiveMessage)]


def everything(path: str, framing: str) -> list[LiveMessage | LiveProblem]:
    trace, messages = LiveTrace(), LiveMessages(framing)
    found: list[LiveMessage | LiveProblem] = []
    with open_capture(path) as capture:
        for batch in capture.batches():
            for arrival in trace.feed(batch, *trace.select(batch)):
                found += messages.feed(arrival)
        found += messages.finish()
    return found


@pytest.mark.parametrize("framing", ["raw", "length:!I", "line"])
@pytest.mark.parametrize("name", NAMES)
def test_they_are_those_of_the_whole_capture(name: str, framing: str) -> None:
    path = str(bundled.find(name))
    with Trace.read(path) as trace:
        expected = [
            (number, stream.sender, message, stream.data[message.start : message.end][: 1 << 16])
            for number in range(1, trace.conversation_count + 1)
            if trace.conversation(number).protocol == "TCP"
            for stream in framed(trace, number, framing).streams
            for message in stream.messages
        ]
    found = [
        (each.conversation.number, each.side, each.followed.message, each.followed.first_bytes)
        for each in live(path, framing)
        if each.conversation.protocol == "TCP"
    ]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(("name", "framing"), [("frames", "length:!I"), ("http", "http"), ("tls", "tls"), ("udp", "")])
def test_the_framing_is_found_while_they_come(name: str, framing: str) -> None:
    found = live(str(bundled.find(name)), "auto")
    assert {each.framing for each in found} == {framing}
    assert [each.first for each in found] == [True] + [False] * (len(found) - 1)


def test_that_bytes_do_not_fit_is_told_once() -> None:
    [client, server] = everything(str(bundled.find("hello")), "tls")
    assert isinstance(client, LiveProblem)
    assert isinstance(server, LiveProblem)
    lines = [line.text for line in message_lines([client, server], 100)]
    assert lines[0] == "TCP 1  client → server  from offset 0 on the bytes do not fit this framing"


def test_datagrams_need_no_framing() -> None:
    assert {each.framing for each in live(str(bundled.find("udp")), "tls")} == {""}


def test_a_message_names_the_packets_that_brought_it() -> None:
    first = live(str(bundled.find("frames")), "auto")[0]
    assert [packet for _, packet in first.followed.packets] == [4, 6, 8, 10, 12]


def test_a_long_message_is_not_held() -> None:
    follower = Follower(opener("raw")()[0])
    tracemalloc.start()
    for number in range(200):
        follower.feed(Piece(number * 100_000, bytes(100_000), number + 1))
    assert tracemalloc.get_traced_memory()[0] < MOST_BYTES
    tracemalloc.stop()
    [followed] = follower.finish()
    assert (followed.message.end, len(followed.packets)) == (20_000_000, 200)
    assert len(followed.first_bytes) < 200_000


def test_names_of_headers_cannot_reach_the_terminal_unseen(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    request = b"GET / HTTP/1.1\r\n\x1b[31mEvil\x07: \x1b]0;title\x07\r\nHost: a\r\n\r\n"
    path = tmp_path / "evil.pcap"
    frame = link("ethernet", ipv4(tcp(request))).data
    path.write_bytes(pcap([Frame(1000, frame, len(frame))]))
    for words in (["--fields"], ["--hex"], [], ["--field", "http.line"], ["--field", "nosuch"]):
        main(["layers", str(path), "--packet", "1", *words])
        shown = capsys.readouterr()
        assert "\x1b" not in shown.out + shown.err
        assert "\x07" not in shown.out + shown.err
