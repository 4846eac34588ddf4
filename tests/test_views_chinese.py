"""Pictures in Chinese, whose characters take two cells: they keep their width, and their columns stay in line."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from html import unescape
from itertools import pairwise

import pytest
from ladder_scenarios import drawn
from rich.cells import cell_len
from test_render_terminal import piped
from test_views_golden import check

from inspector.calls import journal
from inspector.calls.call import SocketCall
from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.cli import main
from inspector.cli.common import table_entries
from inspector.render.svg import export_svg
from inspector.text import language
from inspector.text.language import Language
from inspector.trace.calls import conversation_calls
from inspector.trace.encapsulation import EncapsulationReader
from inspector.trace.messages import framed
from inspector.trace.selection import Selection
from inspector.trace.trace import Trace
from inspector.views.header_diagram import diagram_lines
from inspector.views.header_fields import field_lines
from inspector.views.hex_dump import hex_lines
from inspector.views.ladder import LadderOptions, LadderPart, ladder_of, ladders_of
from inspector.views.layer_walk import picture
from inspector.views.layers import boxes, heading
from inspector.views.line import Line
from inspector.views.live_ladder import LiveLadder
from inspector.views.messages import framing_words, stream_picture
from inspector.views.table import plain_lines, table_lines
from inspector.views.timeline import Moment, activity, timeline_lines

WIDTHS = [60, 80, 100, 140]
LIFELINES = "│├┤┝┥"
WALLS = "┌┐│├┤┼┴┬└┘"
LABEL = re.compile("(?:偏移|消息|字节流|报文段) +")
MOST_PACKETS = 12  # of a capture, layer by layer


@pytest.fixture(autouse=True)
def _in_chinese() -> Iterator[None]:
    spoken = language.spoken()
    language.speak(Language.CHINESE)
    yield
    language.speak(spoken)


def columns_of(text: str, marks: str) -> set[int]:
    """The cells that these characters stand in."""
    return {cell_len(text[:at]) for at, char in enumerate(text) if char in marks}


def calls_of(name: str) -> list[SocketCall]:
    path = journal.path_beside(str(bundled.find(name)))
    return journal.load(path)[0] if path.is_file() else []


def parts_of(name: str, trace: Trace) -> Iterator[LadderPart]:
    index = CallIndex(calls_of(name))
    for conversation in trace.conversations():
        rows, end = trace.rows(conversation.number)
        yield LadderPart(conversation, end, rows, conversation_calls(index, conversation, rows))


def grown(part: LadderPart, options: LadderOptions) -> list[Line]:
    """The ladder that is drawn while its packets and calls come, first all packets and then all calls."""
    ladder = LiveLadder(options)
    lines = ladder.head(part.conversation)
    for row in part.rows:
        lines += ladder.feed(row)
    for side, call, *_ in part.calls:
        lines += ladder.call(side, call, enters=True, returns=True)
    return [*lines, *ladder.finish(part.conversation, part.end)]


def assert_fits(lines: Iterable[Line], width: int) -> None:
    for line in lines:
        assert cell_len(line.text.rstrip()) <= width, line.text


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_ladder_with_calls(width: int) -> None:
    with Trace.read(str(bundled.find("hello"))) as trace:
        check(f"hello_calls_{width}_zh", drawn(next(parts_of("hello", trace)), width=width))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("layers_http_80_zh", ["layers", "http", "--packet", "4", "--width", "80"]),
        ("layers_http_100_zh", ["layers", "http", "--packet", "4", "--width", "100"]),
        ("layers_fields_100_zh", ["layers", "hello", "--packet", "1", "--fields", "--width", "100"]),
        ("layers_diagram_60_zh", ["layers", "ipv6", "--packet", "4", "--diagram", "--width", "60"]),
        ("messages_sticky_zh", ["messages", "sticky", "--width", "100"]),
        ("conversations_select_zh", ["conversations", "select", "--width", "100"]),
        ("timeline_select_zh", ["timeline", "select", "--width", "100"]),
    ],
)
def test_pictures(name: str, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lang", "zh", *words]) == 0
    check(name, capsys.readouterr().out)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", bundled.names())
@pytest.mark.parametrize("draw", [ladder_of, grown], ids=["whole", "live"])
@pytest.mark.parametrize("calls", ["auto", "off"])
def test_lifelines_are_straight(
    name: str, width: int, calls: str, draw: Callable[[LadderPart, LadderOptions], Iterable[Line]]
) -> None:
    options = LadderOptions(width=width, calls=calls, live=draw is grown)
    with Trace.read(str(bundled.find(name))) as trace:
        for part in parts_of(name, trace):
            lines = list(draw(part, options))
            assert_fits(lines, width)
            texts = [line.text for line in lines if "── " not in line.text and columns_of(line.text, LIFELINES)]
            rows = [columns for text in texts if len(columns := columns_of(text, LIFELINES)) > 1]
            assert len(reduce(set.intersection, rows)) >= 2, "\n".join(texts)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", bundled.names())
@pytest.mark.parametrize("style", ["rfc", "buffers"])
def test_other_ladders_keep_their_width(name: str, width: int, style: str) -> None:
    options = LadderOptions(width=width, style="rfc") if style == "rfc" else LadderOptions(width=width, buffers=True)
    with Trace.read(str(bundled.find(name))) as trace:
        assert_fits(ladders_of(parts_of(name, trace), options), width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", bundled.names())
def test_boxes_and_fields_stand_under_each_other(name: str, width: int) -> None:
    with Trace.read(str(bundled.find(name))) as trace:
        reader = EncapsulationReader(trace)
        for number in range(1, min(len(trace), MOST_PACKETS) + 1):
            packet = reader.read(number)
            assert_fits(heading(packet, width), width)
            assert_fits(picture(packet, trace.link_type(number), width), width)
            assert_fits(diagram_lines(packet, width), width)
            if width >= 80:
                assert_fits([*field_lines(packet, width), *hex_lines(packet, [], width)], width)
            walls = [columns_of(line.text, WALLS) for line in boxes(packet, width)[:-1]]
            assert all(above <= below for above, below in pairwise(walls))
            assert_closed(diagram_lines(packet, width))


def assert_closed(lines: Iterable[Line]) -> None:
    """The walls beside the names of fields stand over those beside the values."""
    for names, values in pairwise(line.text for line in lines):
        if names.startswith("│") and cell_len(names) > len(names):
            assert columns_of(names, "│") == columns_of(values, "│"), names


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", bundled.names())
def test_messages_begin_in_one_column(name: str, width: int) -> None:
    with Trace.read(str(bundled.find(name))) as trace:
        for part in parts_of(name, trace):
            if not part.conversation.payload_bytes:
                continue
            found = framed(trace, part.conversation.number, calls=part.calls)
            for stream in found.streams:
                lines = list(stream_picture(part.conversation, stream, framing_words(found), width))
                assert_fits(lines, width)
                texts = [line.text for line in lines]
                labels = [label[0] for text in texts if (label := LABEL.match(text))]
                assert len(set(map(cell_len, labels))) == 1 or not stream.data or stream.is_datagrams, "\n".join(texts)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", bundled.names())
def test_tables_and_timelines_keep_their_width(name: str, width: int) -> None:
    with Trace.read(str(bundled.find(name))) as trace:
        conversations = trace.conversations()
        entries = table_entries(trace, conversations, Selection())
        table = list(table_lines(entries, width))
        moments = {
            each.number: [Moment(time_ns, activity(flags, size)) for time_ns, flags, size in trace.packets(each.number)]
            for each in conversations
        }
        assert_fits(timeline_lines(conversations, moments, calls_of(name), width), width)
    assert [line.text.rstrip() for line in table] == list(plain_lines(entries, width))
    if width >= 80:
        assert_fits(table, width)


def test_ascii_replaces_drawings_and_leaves_words() -> None:
    drawn_in_ascii, whole = piped("--lang", "zh", "--ascii"), piped("--lang", "zh")
    assert all(char.isascii() or cell_len(char) == 2 for char in drawn_in_ascii)
    assert "三次握手" in drawn_in_ascii
    assert list(map(cell_len, drawn_in_ascii.split("\n"))) == list(map(cell_len, whole.split("\n")))
    assert piped("--lang", "zh", PYTHONIOENCODING="gbk") == drawn_in_ascii
    assert piped("--lang", "zh", PYTHONIOENCODING="ascii").isascii()


def test_a_picture_for_documents_gives_each_character_its_cells() -> None:
    with Trace.read(str(bundled.find("udp"))) as trace:
        picture_of_udp = export_svg(ladder_of(next(parts_of("udp", trace)), LadderOptions(width=80)), "udp", 80)
    texts = re.findall(r'<text [^>]*textLength="([\d.]+)"[^>]*>([^<]*)</text>', picture_of_udp)
    widths = {round(float(length) / cell_len(unescape(text)), 3) for length, text in texts if text.strip()}
    assert len(widths) == 1
    assert any("握手" in text for _, text in texts)
