"""Lines break where a reader of either language breaks them, and never beyond the width."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from inspector.text import language
from inspector.text.language import Language
from inspector.views.ladder_layout import filled, relative_time, wrapped

NOT_FIRST = "，。；：、？！）》”"
NOT_LAST = "（《“"
texts = st.text("你好世界，。：；、）”（“《》abcXYZ019 ().,-=", max_size=60).map(lambda text: " ".join(text.split()))
chinese = st.lists(st.sampled_from(["三次握手", "报文段", "SYN,ACK", "connect()", "5", "B"]), min_size=1, max_size=12)


def without_spaces(lines: list[str]) -> str:
    return "".join(lines).replace(" ", "")


@given(texts, st.integers(2, 60))
@example("（（你好））", 4)
def test_every_line_has_room_and_nothing_is_lost(text: str, width: int) -> None:
    lines = wrapped(text.split(" "), width, " ")
    assert all(cell_len(line) <= width for line in lines)
    assert without_spaces(lines) == text.replace(" ", "")


@given(chinese, st.sampled_from("，。；：、）”"), st.sampled_from("（“"), st.integers(24, 60))
def test_punctuation_stays_with_its_word(words: list[str], behind: str, before: str, width: int) -> None:
    text = " ".join(f"{before}{word}{behind}" if at % 2 else f"{word}{behind}" for at, word in enumerate(words))
    for line in wrapped(text.split(" "), width, " "):
        assert line[0] not in NOT_FIRST, line
        assert line[-1] not in NOT_LAST, line


@given(chinese, st.integers(12, 60))
def test_a_line_ends_only_where_the_next_word_has_no_room(words: list[str], width: int) -> None:
    lines = wrapped(" ".join(words).split(" "), width, " ")
    for line, following in pairwise(lines):
        first = following.split(" ")[0] if following[0].isascii() else following[0]
        assert cell_len(line) + cell_len(first) + following[0].isascii() > width - 1, (line, following)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("收到 ACK，内核就不再重传。", 10, ["收到 ACK，", "内核就不再", "重传。"]),
        ("服务器（先关闭）", 8, ["服务器", "（先关", "闭）"]),
        ("“你好”占六个字节", 8, ["“你好”占", "六个字节"]),
        ("the server closes first", 12, ["the server", "closes first"]),
        ("ConnectionRefusedError", 10, ["Connection", "RefusedErr", "or"]),
    ],
)
def test_what_is_broken_where(text: str, width: int, lines: list[str]) -> None:
    assert wrapped(text.split(" "), width, " ") == lines


@given(texts, st.integers(16, 60))
def test_a_paragraph_has_no_more_lines_than_it_needs(text: str, width: int) -> None:
    lines, needed = filled(text, width), wrapped(text.split(" "), width, " ")
    assert len(lines) == len(needed)
    assert without_spaces(lines) == text.replace(" ", "")
    assert all(cell_len(line) <= width for line in lines)


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        (
            "no card and no cable exist here, and nobody asks\n",
            45,
            ["no card and no cable exist here, and", "nobody asks\n"],
        ),
        (
            "seen · packets 8, 9 · inspector\xa0explain\xa0teardown",
            40,
            ["seen · packets 8, 9 ·", "inspector explain teardown"],
        ),
        ("it waits for the last ACK (RFC 9293 §3.10.4).", 32, ["it waits for the last ACK", "(RFC 9293 §3.10.4)."]),
    ],
)
def test_a_paragraph_ends_with_more_than_a_word(text: str, width: int, lines: list[str]) -> None:
    assert filled(text, width) == lines


def test_figures_stay_whole() -> None:
    assert wrapped(["15 个数据包", "28 B 数据", "用时 3 ms"], 24, " · ") == ["15 个数据包 · 28 B 数据", "用时 3 ms"]


@pytest.mark.parametrize("spoken", Language)
@given(st.integers(-(2**64), 2**64))
@example(-1_472_003_999 * 10**9)
@example(99_999_999_999_999)
@example(-99_999_500_000_000)
def test_a_time_has_room_in_its_column(spoken: Language, delta_ns: int) -> None:
    language.speak(spoken)
    try:
        assert cell_len(relative_time(delta_ns)) <= 10
    finally:
        language.speak(Language.ENGLISH)
