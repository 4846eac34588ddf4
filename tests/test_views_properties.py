"""Whatever is captured: no line is wider than the screen, and nothing reaches it that a terminal would obey."""

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder_scenarios import part_of
from rich.cells import cell_len
from tcp_traffic import connection

from inspector.calls.call import ReadySocket, SocketCall
from inspector.calls.matching import SidedCall
from inspector.tcp.reassembly import Piece
from inspector.tcp.states import Side
from inspector.trace.conversation import ConnectionEnd
from inspector.views.ladder import Ladder, LadderOptions, ladders_of
from inspector.views.line import Line
from inspector.views.live_ladder import LiveLadder
from inspector.views.safe_text import cells, safe_line, safe_stream, safe_text
from inspector.views.stream import stream_lines
from inspector.views.table import TableEntry, plain_lines, table_lines

HARMLESS = {"Ll", "Lu", "Lt", "Lm", "Lo", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"}
HARMLESS |= {"Sm", "Sc", "Sk", "So", "Zs"}
payloads = st.binary(min_size=1, max_size=200) | st.text(min_size=1, max_size=100).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)
options = st.builds(
    LadderOptions,
    width=st.integers(60, 200),
    ascii=st.booleans(),
    absolute_time=st.booleans(),
    raw_numbers=st.booleans(),
    style=st.sampled_from(["arrows", "rfc"]),
    unfold=st.booleans(),
    buffers=st.booleans(),
)


def check(text: str, width: int | None, *, ascii_only: bool = False) -> None:
    """No wider than the screen, and every character stands for itself."""
    assert all(unicodedata.category(char) in HARMLESS for char in text), ascii(text)
    assert cells(text) == cell_len(text)
    assert width is None or cell_len(text) <= width, text
    assert not ascii_only or text.isascii(), text


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32), payloads, options)
def test_a_ladder_stays_within_its_width(seed: int, payload: bytes, drawing: LadderOptions) -> None:
    part = part_of(connection(seed), payload)
    for line in ladders_of([part], drawing):
        check(line.text, drawing.width, ascii_only=drawing.ascii)


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32), payloads, options)
def test_so_does_a_ladder_that_grows(seed: int, payload: bytes, drawing: LadderOptions) -> None:
    conversation, end, rows, *_ = part_of(connection(seed), payload)
    ladder = Ladder(drawing)
    lines = ladder.head(conversation)
    for row in rows:
        lines += ladder.feed(row)
    lines += ladder.finish(conversation, end)
    for line in lines:
        check(line.text, drawing.width, ascii_only=drawing.ascii)


@st.composite
def random_calls(draw: st.DrawFn) -> list[SidedCall]:
    """Calls of both sides, overlapping as those of threads do, some of which never return."""
    calls = []
    for _ in range(draw(st.integers(0, 12))):
        enter_ns = draw(st.integers(0, 20_000_000))
        call = SocketCall(
            process=1,
            thread=1,
            name=draw(st.sampled_from(["connect", "recv", "sendall", "accept", "epoll", "close", "setsockopt"])),
            fd=3,
            socket=1,
            enter_ns=enter_ns,
            exit_ns=draw(st.one_of(st.none(), st.integers(enter_ns, 21_000_000))),
            asked=draw(st.one_of(st.none(), st.integers(0, 10**9))),
            returned=draw(st.one_of(st.none(), st.integers(0, 10**9))),
            error=draw(st.sampled_from(["", "", "EAGAIN", "ECONNREFUSED", "E2BIG"])),
            protocol="TCP",
            detail=draw(st.sampled_from(["", "127.0.0.1|8001", "TCP_NODELAY=1", "\x1b[2J"])),
            ready=(ReadySocket(3, 1, "TCP", ("::1", 8001), None), ReadySocket(4, 0x11, "TCP", None, ("::1", 5))),
            data=draw(payloads),
        )
        calls.append(SidedCall(draw(st.sampled_from(Side)), call))
    return sorted(calls, key=lambda sided: sided.call.enter_ns)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32), random_calls(), options, st.sampled_from(["auto", "rows"]))
def test_a_ladder_with_calls_stays_within_its_width(
    seed: int, calls: list[SidedCall], drawing: LadderOptions, where: str
) -> None:
    part = part_of(connection(seed))._replace(calls=calls)
    for line in ladders_of([part], replace(drawing, calls=where)):
        check(line.text, drawing.width, ascii_only=drawing.ascii)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 2**32), max_size=5), st.integers(80, 200))
def test_tables_stay_within_their_width(seeds: list[int], width: int) -> None:
    entries = []
    for seed in seeds:
        conversation, end, *_ = part_of(connection(seed))
        assert isinstance(end, ConnectionEnd)
        entries.append(TableEntry(conversation, end, 3))
    drawn = [line.text for line in table_lines(entries, width)]
    for text in drawn:
        check(text, width)
    assert [text.rstrip() for text in drawn] == list(plain_lines(entries, width))


@given(st.lists(st.tuples(st.sampled_from(Side), payloads), max_size=6), st.booleans())
def test_a_stream_is_harmless(said: list[tuple[Side, bytes]], hexadecimal: bool) -> None:
    parts = [(side, Piece(0, data, 1)) for side, data in said]
    lines: list[Line] = list(stream_lines(parts, hexadecimal=hexadecimal, width=80))
    for line in lines:
        check(line.text, 80 if hexadecimal else None)


@given(payloads, st.integers(1, 60), st.booleans(), st.booleans())
def test_a_quote_fits(data: bytes, limit: int, ascii_only: bool, cut: bool) -> None:
    check(safe_line(data, limit, ascii_only=ascii_only, cut=cut), limit, ascii_only=ascii_only)


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("hello world", "hello world"),
        ("好的", "好的"),
        ("\x1b[2J\x1b]0;title\x07", "\\x1b[2J\\x1b]0;title\\x07"),
        ("[red]markup[/red]", "[red]markup[/red]"),
        ("a\u202eb\u2066c\u200bd", "a\\u202eb\\u2066c\\u200bd"),
        ("line\nnext\r\tend\0", "line\\nnext\\r\\tend\\0"),
        ("\x85\x9b31m", "\\x85\\x9b31m"),
        ("\ufeff\u2028\u2029\u00ad", "\\ufeff\\u2028\\u2029\\xad"),
        ("e\u0301", "e\\u0301"),
        ("\U0001f1e9\U0001f1ea\U000e0041", "\\U0001f1e9\\U0001f1ea\\U000e0041"),
        (b"\xff\xfe\xc3".decode("utf-8", "surrogateescape"), "\\xff\\xfe\\xc3"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(hostile: str, shown: str) -> None:
    assert safe_text(hostile) == shown


def test_newlines_of_a_stream_stay() -> None:
    assert safe_stream("one\ntwo\x1b\n") == "one\ntwo\\x1b\n"


@pytest.mark.parametrize(
    ("data", "limit", "cut", "shown"),
    [
        (b"hello", 5, False, "hello"),
        (b"hello!", 5, False, "hell…"),
        (b"hello", 5, True, "hell…"),
        ("好的好".encode(), 5, False, "好的…"),
        ("好的".encode()[:-1], 9, True, "好…"),
        ("好的".encode()[:-1], 12, False, "好\\xe7\\x9a"),
        (b"a\\x1b", 9, False, "a\\\\x1b"),
    ],
)
def test_quotes_are_cut_between_characters(data: bytes, limit: int, cut: bool, shown: str) -> None:
    assert safe_line(data, limit, cut=cut) == shown


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32), random_calls(), options, st.sampled_from(["auto", "rows"]))
def test_a_live_ladder_with_calls_stays_within_its_width(
    seed: int, calls: list[SidedCall], drawing: LadderOptions, where: str
) -> None:
    part = part_of(connection(seed))
    drawing = replace(drawing, calls=where, live=True, width=max(drawing.width, 64))  # a tag stands before each line
    ladder = LiveLadder(drawing)
    lines = ladder.head(part.conversation)
    for each in calls[: len(calls) // 2]:
        lines += ladder.call(each.side, each.call, enters=True, returns=False)
    for row in part.rows:
        lines += ladder.feed(row)
    for each in calls:
        lines += ladder.call(each.side, each.call, enters=False, returns=True)
    lines += ladder.finish(part.conversation, part.end)
    for line in lines:
        check(line.text, drawing.width, ascii_only=drawing.ascii)
