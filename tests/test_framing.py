"""Every framing: its messages on a stream that can be read, the same for every chunking, and bytes that do not fit."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inspector.framing.framer import Message
from inspector.framing.registry import UnknownFraming, names, opener

HANDSHAKE = b"\x16\x03\x01\x00\x03abc"
DNS = b"\x00\x0d" + b"\x00\x07\x01\x00" + bytes(8) + b"x"
UPGRADE = b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"

# framing, stream, messages as (text, bytes of header, kind, complete); "" for the problem, or its word
# ruff: noqa: E501
CASES = [
    ("length:!I", b"\0\0\0\3abc\0\0\0\0\0\0\0\2de", [(b"\0\0\0\3abc", 4), (b"\0\0\0\0", 4), (b"\0\0\0\2de", 4)]),
    ("length:<H", b"\3\0abc\2\0d", [(b"\3\0abc", 2), (b"\2\0d", 2, "", False)]),
    ("length:>H,header", b"\0\5abc\0\2", [(b"\0\5abc", 2), (b"\0\2", 2)]),
    ("length:B,offset=1,after=1", b"x\2yabz\0q", [(b"x\2yab", 3), (b"z\0q", 3)]),
    ("length:!I", b"\0\0\0\1a\0\0", [(b"\0\0\0\1a", 4), (b"\0\0", 2, "", False)]),
    ("length:!i", b"\0\0\0\1a\xff\xff\xff\xfe", [(b"\0\0\0\1a", 4)], "length"),
    ("length:!I,max=10", b"\0\0\0\1a\0\0\0\x0b", [(b"\0\0\0\1a", 4)], "length"),
    ("line", "你好\r\nx\n\nrest".encode(), [("你好\r\n".encode(), 0), (b"x\n", 0), (b"\n", 0), (b"rest", 4, "", False)]),
    ("delimiter:||", b"a||b|c||", [(b"a||", 3), (b"b|c||", 5)]),
    (r"delimiter:\0", b"a\0b\0", [(b"a\0", 2), (b"b\0", 2)]),
    ("fixed:3", b"abcdefg", [(b"abc", 0), (b"def", 0), (b"g", 1, "", False)]),
    ("raw", b"anything", [(b"anything", 0)]),
    ("raw", b"", []),
    ("size-then-body", b"42024", [(b"42024", 1)]),
    ("size-then-body", b"12345", [(b"12345", 5, "", False)]),
    ("size-then-body", b"x", [], "no_size"),
    ("json-lines", b'{"a": 1}\n[2]\n', [(b'{"a": 1}\n', 0), (b"[2]\n", 0)]),
    ("json-lines", b"1\nno\n", [(b"1\n", 0)], "json"),
    ("tls", HANDSHAKE + b"\x17\x03\x03\x00\x01z", [(HANDSHAKE, 5, "handshake"), (b"\x17\x03\x03\x00\x01z", 5, "application_data")]),
    ("tls", b"GET / HTTP/1.1", [], "record"),
    ("dns", DNS + DNS[:5], [(DNS, 2, "query"), (DNS[:5], 2, "", False)]),
    ("dns", b"\0\1x", [], "length"),
    ("resp", b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n+OK\r\n", [(b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n", 4), (b"+OK\r\n", 5)]),
    ("resp", b"$-1\r\n:7\r\n%1\r\n+a\r\n:1\r\n", [(b"$-1\r\n", 5), (b":7\r\n", 4), (b"%1\r\n+a\r\n:1\r\n", 4)]),
    ("resp", b"$3\r\nabcde\r\n", [], "resp"),
    ("http", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nHEAD / HTTP/1.1\r\n\r\n", [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27, "GET"), (b"HEAD / HTTP/1.1\r\n\r\n", 19, "HEAD")]),
    ("http", b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPUT", [
        (b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 38, "POST"), (b"PUT", 3, "", False)]),
    ("http", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end", [
        (b"HTTP/1.1 100 Continue\r\n\r\n", 25, "100"), (b"HTTP/1.1 200 OK\r\n\r\nuntil the end", 19, "200")]),
    ("http", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\nHTTP/1.1 204 No\r\n\r\n", [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n0\r\nT: 1\r\n\r\n", 47, "200"),
        (b"HTTP/1.1 204 No\r\n\r\n", 19, "204")]),
    ("http", b"\r\nGET / HTTP/1.1\n\nGET / HTTP/1.0\n\n", [(b"\r\nGET / HTTP/1.1\n\n", 18, "GET"), (b"GET / HTTP/1.0\n\n", 16, "GET")]),
    ("http", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nabc", [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\nabc", 63, "200")]),
    ("http", b"GET /s http1.1\r\n\r\n", [], "start_line"),
    ("http", b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", [], "content_length"),
    ("http", b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\nabcd", [], "transfer_encoding"),
    ("http", b"POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\n", [], "content_length"),
    ("websocket", UPGRADE + b"\x01\x02ab\x89\x00\x80\x01c\x82\x80mask", [
        (UPGRADE, len(UPGRADE), "upgrade"), (b"\x89\x00", 2, "ping"), (b"\x01\x02ab\x89\x00\x80\x01c", 2, "text"),
        (b"\x82\x80mask", 6, "binary")]),
    ("websocket", UPGRADE + b"\xc1\x01x", [(UPGRADE, len(UPGRADE), "upgrade"), (b"\xc1\x01x", 2, "text")]),
    ("websocket", UPGRADE + b"\x7f\x00", [(UPGRADE, len(UPGRADE), "upgrade")], "frame"),
]  # fmt: skip

ANY_BYTES = (
    *("length:!I", "length:<h,header", "line", "http", "tls", "dns", "resp", "websocket", "json-lines"),
    *("size-then-body", "fixed:3", "delimiter:,"),
)
WRONG = ("nothing", "length", "length:x", "length:!I,more", "fixed:0", "fixed:x", "line:3", "delimiter:")


def cut(spec: str, pieces: list[bytes]) -> tuple[list[Message], str]:
    framer = opener(spec)()[0]
    found = [message for piece in pieces for message in framer.feed(piece)]
    found += framer.finish()
    return found, "" if framer.problem is None else framer.problem.reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]} {case[1][:12]!r}")
def test_the_messages_of_a_stream(case: tuple[str, bytes, list[tuple[object, ...]], str]) -> None:
    spec, stream, expected, *problem = case
    found, reason = cut(spec, [stream])
    seen = [(stream[m.start : m.end], m.header_end - m.start, m.kind, m.complete) for m in found]
    assert seen == [(*each, *("", True)[len(each) - 2 :]) for each in expected]
    assert reason == (problem[0] if problem else "")


@given(st.sampled_from(CASES), st.data())
def test_any_chunking_gives_the_same_messages(case: tuple[str, bytes], data: st.DataObject) -> None:
    spec, stream = case[:2]
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert cut(spec, pieces) == cut(spec, [stream])


@given(st.sampled_from(ANY_BYTES), st.lists(st.binary(max_size=40), max_size=6))
def test_bytes_of_any_kind_make_no_trouble(spec: str, pieces: list[bytes]) -> None:
    """Messages lie in the stream, one after the other, in whatever pieces the bytes come."""
    stream = b"".join(pieces)
    found, problem = cut(spec, pieces)
    assert cut(spec, [stream]) == (found, problem)
    ends = [0, *(message.end for message in found)]
    assert all(message.start <= message.header_end <= message.end <= len(stream) for message in found)
    assert all(message.start == end for message, end in zip(found, ends, strict=False)) or spec == "websocket"


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=20), st.sampled_from(["!I", "<I", "!H", "<H", "!Q", "!i"]))
def test_what_is_packed_is_found_again(bodies: list[bytes], layout: str) -> None:
    stream = b"".join(struct.pack(layout, len(body)) + body for body in bodies)
    found, problem = cut(f"length:{layout}", [stream])
    assert [stream[message.header_end : message.end] for message in found] == bodies
    assert not problem


@pytest.mark.parametrize(
    ("spec", "before", "missing", "after", "bodies", "reason"),
    [
        ("length:!B", b"\5ab", 3, b"\1x", [5, 1], ""),
        ("length:!B", b"\5ab", 4, b"\1x", [5], "missing"),
        ("length:!H", b"\0\1a", 100, b"\0\1b", [1], "missing"),
        ("http", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na", 2, b"b", [4], ""),
        ("http", b"HTTP/1.1 200 OK\r\nCon", 2, b"b\r\n\r\n", [], "missing"),
        ("tls", b"\x17\x03\x03\0\4a", 2, b"b", [4], ""),
        ("line", b"ab", 3, b"c\n", [7], ""),
        (r"delimiter:\0", b"a\0b", 3, b"c\0", [0, 0], ""),
        ("fixed:3", b"abc", 4, b"ef", [3, 3, 3], ""),
        ("raw", b"abc", 4, b"ef", [9], ""),
    ],
)
def test_missing_bytes_are_no_message(
    spec: str, before: bytes, missing: int, after: bytes, bodies: list[int], reason: str
) -> None:
    framer = opener(spec)()[0]
    found = [*framer.feed(before), *framer.feed_missing(missing), *framer.feed(after), *framer.finish()]
    if spec == "line":
        assert [message.end - message.start for message in found] == bodies
    else:
        assert [message.end - message.header_end for message in found if message.complete] == bodies
    assert (framer.problem.reason if framer.problem else "") == reason


def test_the_answer_to_head_has_no_body() -> None:
    requests, responses = opener("http")()
    requests.feed(b"HEAD / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    found = responses.feed(answer + answer + b"hi")
    assert [message.end - message.start for message in found] == [len(answer), len(answer) + 2]


@pytest.mark.parametrize("spec", WRONG)
def test_a_framing_that_does_not_exist_is_refused(spec: str) -> None:
    with pytest.raises(UnknownFraming):
        opener(spec)


def test_a_framing_of_a_third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pairs.py").write_text(
        "from inspector.framing.fixed import FixedFramer\n"
        "def of_size(argument):\n"
        "    size = int(argument)\n"
        "    return lambda: (FixedFramer(size), FixedFramer(size))\n"
    )
    metadata = tmp_path / "pairs-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pairs\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[packet_inspector.framings]\npairs = pairs:of_size\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert [message.end for message in cut("pairs:2", [b"abcd"])[0]] == [2, 4]
    with pytest.raises(UnknownFraming):
        opener("pairs:two")


def test_every_framing_is_tested_here() -> None:
    assert {case[0].partition(":")[0] for case in CASES} == set(names())
