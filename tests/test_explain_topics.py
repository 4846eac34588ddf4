"""The topics: their texts, what their pictures show, their commands and code, and the pages as they are printed."""

import contextlib
import io
import re
import runpy
import shlex
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from test_demos_grammar import live
from test_views_golden import check

from inspector import demos
from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.cli import main
from inspector.cli.common import calls_beside
from inspector.cli.parser import parse
from inspector.cli.topic_pictures import Capture, bundled_page
from inspector.explain.narration import Narration, holds, narrated
from inspector.explain.rules import RULES
from inspector.explain.topics import GROUPS, PICTURES, Topic, Variant, nearest, topics
from inspector.text import language, say
from inspector.text.language import Language
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderOptions
from inspector.views.safe_text import cells
from inspector.views.topic_page import steps

PROJECT = Path(__file__).parents[1]
TEXTS = PROJECT / "inspector" / "text" / "topics"
DATA = tomllib.loads((PROJECT / "inspector" / "explain" / "topics.toml").read_text(encoding="utf-8"))
ENTRY = re.compile(r"title|question|(answer|bits|calls|mistake|fix)(_[2-9])?")
LIVE = {"demo", "run", "watch"}
TOPICS = list(topics().values())
LADDERS = [(topic, variant) for topic in TOPICS if topic.picture == "ladder" for variant in topic.variants]


@pytest.fixture(params=list(Language))
def spoken(request: pytest.FixtureRequest) -> Iterator[Language]:
    language.speak(request.param)
    yield request.param
    language.speak(Language.ENGLISH)


def printed(*words: str) -> tuple[int, str, str]:
    """The exit status and what goes to both streams."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before = language.spoken()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*words, "--lang", before])
    language.speak(before)
    return status, *(stream.buffer.getvalue().decode() for stream in (out, err))


def narration_of(topic: Topic, variant: Variant) -> Narration:
    with Trace.read(bundled.located(variant.capture)) as trace:
        capture = Capture(trace, CallIndex(calls_beside(variant.capture)))
        return narrated(capture.scene(variant.conversation), topic.rules)


def test_topics_are_well_formed() -> None:
    assert topics().keys() == DATA.keys()
    names = {rule.name for rule in RULES}
    for topic in TOPICS:
        assert topic.group in GROUPS
        assert topic.picture in PICTURES
        assert set(DATA[topic.name].get("rules", ())) <= names, topic.name
        assert topic.see, topic.name
        assert topic.sources, topic.name
        for variant in topic.variants:
            assert (variant.packet is not None) == (topic.picture == "layers"), topic.name
        if topic.demo is not None:
            demo = demos.find(topic.demo)
            assert demo is not None, topic.name
            assert topic.demo_variant in (None, *demo.variants), topic.name


def test_every_text_belongs_to_a_topic_and_each_has_all_it_needs() -> None:
    assert {path.stem for path in TEXTS.glob("*.toml")} == {topic.area for topic in TOPICS}
    for topic in TOPICS:
        entries = set(tomllib.loads((TEXTS / f"{topic.area}.toml").read_text(encoding="utf-8")))
        pictures = {f"variant_{variant.name}" for variant in topic.variants}
        assert entries >= {"title", "question", "answer", *pictures}, topic.name
        assert all(ENTRY.fullmatch(entry) for entry in entries - pictures), topic.name


def test_every_rule_has_its_topic() -> None:
    assert {rule.topic for rule in RULES} <= topics().keys()


@pytest.mark.parametrize(("topic", "variant"), LADDERS, ids=lambda each: each.name)
def test_pictures_mark_and_tell_what_the_topic_is_about(topic: Topic, variant: Variant) -> None:
    if topic.rules:
        assert any(narration_of(topic, variant).told.values())


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_the_first_picture_shows_the_topic(topic: Topic) -> None:
    """What ``explain TOPIC CAPTURE`` looks for is in the topic's own capture."""
    if topic.picture == "ladder" and topic.rules:
        variant = topic.variants[0]
        with Trace.read(bundled.located(variant.capture)) as trace:
            capture = Capture(trace, CallIndex(calls_beside(variant.capture)))
            assert holds(capture.scene(variant.conversation), topic.deciding)


@pytest.mark.parametrize("width", [60, 80, 100, 130, 160])
@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_pages_keep_to_the_width(topic: Topic, width: int, spoken: Language) -> None:
    status, out, err = printed("explain", topic.name, "--width", str(width))
    assert (status, err) == (0, "")
    wide = {line.strip() for line in (*topic.see, *topic.code.split("\n"))}  # these are to be copied
    assert [line for line in out.splitlines() if cells(line) > width and line.strip() not in wide] == []


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_pages_in_ascii_and_in_colour(topic: Topic) -> None:
    status, out, _ = printed("explain", topic.name, "--ascii", "--width", "80")
    assert status == 0
    assert ("\n> " in out) == ("\n▸ " in printed("explain", topic.name, "--width", "80")[1])
    colored = printed("explain", topic.name, "--color", "always", "--width", "80")[1]
    plain = printed("explain", topic.name, "--color", "never", "--width", "80")[1]
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_code_is_python(topic: Topic) -> None:
    compile(topic.code, topic.name, "exec")
    assert "#" not in topic.code.replace("'#'", ""), "a comment would be in one language"


@pytest.mark.parametrize(
    "command", sorted({command for topic in TOPICS for command in topic.see if command.startswith("inspector ")})
)
def test_commands_to_try_work(command: str) -> None:
    words = shlex.split(command)[1:]
    options = parse(words)
    if options.command == "demo":
        demo = demos.find(options.name)
        assert demo is not None
        assert options.variant in (None, *demo.variants)
    elif options.command not in LIVE and "--step" not in words:
        status, out, _ = printed(*words)
        assert status == 0
        assert out


@pytest.mark.parametrize("name", ["handshake", "teardown"])
def test_the_show_pieces(name: str, spoken: Language) -> None:
    lines = bundled_page(topics()[name], LadderOptions(width=100))
    check(f"topic_{name}_{spoken}_100", "\n".join(line.text for line in lines) + "\n")


def test_the_list_has_every_topic_on_a_line(spoken: Language) -> None:
    for width in (60, 100, 160):
        status, out, _ = printed("explain", "--width", str(width))
        assert status == 0
        assert [line.split()[0] for line in out.splitlines() if line[:1].isalpha() and line[:1].isascii()][
            : len(TOPICS)
        ] == [topic.name for topic in TOPICS]
        assert all(cells(line) <= width for line in out.splitlines())
        assert "…" not in out


def test_the_list_has_every_question_whole(spoken: Language) -> None:
    for width in (60, 80, 120):
        out = "".join(printed("explain", "--width", str(width))[1].split())
        for topic in TOPICS:
            asked = "".join(say(f"topics.{topic.area}.question").split())
            assert asked in out, (topic.name, width)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("handshak", "handshake"),
        ("tear-down", "teardown"),
        ("TIME_WAIT", "time-wait"),
        ("helo", "hello"),
        ("Sticky packets", "sticky"),
    ],
)
def test_a_misspelt_name_is_offered_with_the_right_one(word: str, found: str) -> None:
    assert found in nearest(word, bundled.names())
    status, out, err = printed("explain", word)
    assert (status, out) == (2, "")
    assert found in err


def test_a_topic_is_found_by_what_it_is_called() -> None:
    language.speak(Language.CHINESE)
    assert nearest("粘包")[0] == "sticky"
    assert nearest("四次挥手")[0] == "teardown"
    language.speak(Language.ENGLISH)
    assert nearest("") == []


def test_a_word_that_is_like_nothing() -> None:
    status, _, err = printed("explain", "xyzzy")
    assert status == 2
    assert "xyzzy" in err


def test_a_packet_is_of_a_capture_even_where_a_topic_has_its_name() -> None:
    status, out, _ = printed("explain", "handshake", "--packet", "1")
    assert status == 0
    assert "connect(127.0.0.1:8001)" in out
    assert printed("explain", "--packet", "1")[0] == 2
    assert printed("explain", "handshake", "hello", "--packet", "1")[0] == 2


def test_a_topic_in_a_capture() -> None:
    status, out, err = printed("explain", "handshake", "hello")
    assert (status, err) == (0, "")
    assert out.count("TCP 1") == 1
    assert "hello world" in out
    assert printed("explain", "time-wait", "time-wait", "--conversation", "2")[1].count("TCP 2") == 1
    assert printed("explain", "time-wait", "time-wait", "--conversation", "3")[0] == 2


def test_a_topic_that_a_capture_does_not_have(tmp_path: Path, spoken: Language) -> None:
    whole = (PROJECT / "captures" / "half-open.pcap").read_bytes()
    file = tmp_path / "open.pcap"
    file.write_bytes(whole[: 24 + 3 * 16 + 74 + 74 + 66])  # the three packets of the handshake
    status, out, err = printed("explain", "teardown", str(file))
    assert (status, out) == (1, "")
    assert {Language.ENGLISH: "still open", Language.CHINESE: "尚未关闭"}[spoken] in err
    [offered] = re.findall(rf"inspector explain (\S+) {file}", err)
    assert printed("explain", offered, str(file))[0] == 0
    assert "inspector explain teardown" in err


@pytest.mark.parametrize(
    ("topic", "capture"), [("half-close", "teardown"), ("teardown", "refused"), ("handshake", "udp")]
)
def test_what_only_looks_like_a_topic(topic: str, capture: str) -> None:
    assert printed("explain", topic, capture)[0] == 1


@pytest.mark.parametrize(
    "words",
    [
        "handshake hello --live",
        "hello --live",
        "--live",
        "hello --packet 1 --live",
        "hello --step",
        "--step",
        "--json",
        "handshake --json",
        "handshake --conversation 1",
        "hello --packet 1 --conversation 1",
        "hello hello",
    ],
)
def test_what_does_not_go_together_is_refused(words: str, spoken: Language) -> None:
    status, out, err = printed("explain", *words.split())
    assert (status, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert "inspector explain TOPIC" in err or "inspector explain FILE" in err


def test_step_waits_after_each_row_that_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def shown(keys: str) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(keys))
        return printed("explain", "handshake", "handshake", "--step")[1]

    whole = printed("explain", "handshake", "handshake")[1]
    pages = [shown("\n" * count + "q\n") for count in range(4)]
    assert [page.count("\n▸ ") for page in pages] == [1, 2, 3, 3]
    assert all(whole.startswith(page) for page in pages)
    assert pages[3] == whole


def test_steps_end_with_what_is_told() -> None:
    lines = list(bundled_page(topics()["refused-or-timeout"], LadderOptions(width=80)))
    portions = list(steps(lines))
    assert [line for portion in portions for line in portion] == lines
    assert len(portions) > 3


def told_states(topic: str, capture: str) -> list[tuple[int, str, str]]:
    variant = Variant("", capture)
    return [
        (packet, str(reason.case.parameters["side"]), str(reason.case.parameters["after"]))
        for packet, found in sorted(narration_of(topics()[topic], variant).told.items())
        for reason in found
        if "after" in reason.case.parameters
    ]


def test_states_are_told_where_the_ladder_draws_them() -> None:
    def after(states: Sequence[tuple[int, str, str]], packet: int) -> set[str]:
        return {state for place, _, state in states if place == packet}

    crossing = told_states("teardown", "simultaneous-close")
    assert after(crossing, 13) == {"FIN-WAIT-1", "CLOSING"}
    assert after(crossing, 15) == {"CLOSING", "TIME-WAIT"}
    assert after(told_states("handshake", "handshake"), 3) == {"ESTABLISHED"}


def test_nobody_closed_first_where_both_did() -> None:
    told = narration_of(topics()["teardown"], Variant("", "simultaneous-close")).told
    assert "last_ack" not in {reason.rule.name for found in told.values() for reason in found}


def test_what_is_far_from_the_marked_rows_is_folded() -> None:
    out = printed("explain", "teardown", "slow-reader", "--width", "80")[1]
    assert "⋮" in out
    assert len(out.splitlines()) < 200


@live
def test_a_live_run() -> None:
    status, out, _ = printed("explain", "handshake", "--live")
    assert status == 0
    assert out.count("\n▸ ") == 3


def pages(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8")
        for name in ("topics", "zh/topics")
        for path in sorted((folder / name).iterdir())
    }


def test_the_pages_of_the_documentation_are_up_to_date(tmp_path: Path) -> None:
    runpy.run_path(str(PROJECT / "docs" / "make_topics.py"))["main"](tmp_path)
    assert pages(PROJECT / "docs") == pages(tmp_path), "run: python docs/make_topics.py"
