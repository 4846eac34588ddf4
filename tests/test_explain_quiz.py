"""The quiz: what is right is what follows in the capture, exactly one choice is, and it works in a pipe."""

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ladder_scenarios import scenario_part
from test_tcp_scenarios import SCENARIOS

from inspector.capture import bundled
from inspector.explain.quiz import CHOICES, Ask, Question, chosen, flag_names, questions_of, sides_of
from inspector.explain.rules import RULES
from inspector.explain.scene import Scene
from inspector.text import language
from inspector.text.language import Language
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderOptions
from inspector.views.quiz import answer_lines, question_lines, score_lines
from inspector.views.safe_text import cells

REAL = Path("/work/shared/captures/captures")


@cache
def scenes() -> list[Scene]:
    """Of all bundled captures and all scenarios of TCP."""
    found: list[Scene] = []
    for name in bundled.names():
        with Trace.read(bundled.located(name)) as trace:
            found += [Scene(each, *trace.rows(each.number, 64)) for each in trace.conversations()]
    for _, scenario in SCENARIOS:
        conversation, end, rows, *_ = scenario_part(scenario)
        found.append(Scene(conversation, rows, end))
    return found


def truth(question: Question) -> tuple[object, ...]:
    """What the capture says, read in another way than the questions are made."""
    scene, place = question.moment.scene, question.moment.place
    row = scene.rows[place]
    assert row.report is not None
    _, side = sides_of(question)
    match question.ask:
        case Ask.NEXT:
            return row.side, flag_names(row.report.segment.flags)
        case Ask.NUMBERS:
            return row.report.relative_seq, row.report.relative_ack
        case Ask.STATE:
            return ((row.report.client, row.report.server)[side].state,)
    reports = [each.report for each in scene.rows[place:] if each.report is not None]
    moves = [move for report in reports for move in report.transitions]
    return next((move.after,) for move in moves if move.side is side and move.cause == row.packet)


@settings(deadline=None)
@given(seed=st.integers(0, 10**6), which=st.integers(0, 10**6))
def test_exactly_one_choice_is_what_follows_in_the_capture(seed: int, which: int) -> None:
    scene = scenes()[which % len(scenes())]
    for question in questions_of(scene, Random(seed)):
        assert len(set(question.choices)) == len(question.choices) == CHOICES
        assert question.choices[question.right] == truth(question)
    assert all(question.because for question in chosen(questions_of(scene, Random(seed)), 8, Random(seed)))


def test_every_kind_of_question_is_there() -> None:
    questions = [question for scene in scenes() for question in questions_of(scene, Random(1))]
    assert {question.ask for question in questions} == set(Ask)
    assert {each.row.packet for each in (question.moment for question in questions)} > {2, 3, 4}
    picked = chosen(questions, 8, Random(1))
    assert len(picked) == 8
    assert len({question.ask for question in picked}) == len(Ask)
    assert len({(id(question.moment.scene), question.moment.place) for question in picked}) == 8


def test_a_packet_that_programs_decide_is_not_asked_for() -> None:
    """Whether data, a FIN or nothing comes next is theirs; the answer to a SYN, to data, to a FIN is the kernel's."""
    for scene in scenes():
        for question in questions_of(scene, Random(1)):
            if question.ask is Ask.NEXT:
                before = scene.rows[question.moment.place - 1]
                assert not question.moment.row.payload_bytes
                assert before.side is not question.moment.side


@pytest.fixture(params=Language)
def spoken(request: pytest.FixtureRequest) -> Iterator[Language]:
    before = language.spoken()
    language.speak(request.param)
    yield request.param
    language.speak(before)


@pytest.mark.parametrize("width", [60, 100])
def test_questions_and_answers_can_be_said(width: int, spoken: Language) -> None:
    for scene in scenes()[::5]:
        for question in questions_of(scene, Random(2)):
            lines = [
                *question_lines(question, 1, 8, LadderOptions(width=width)),
                *answer_lines(question, 0, width),
                *score_lines(1, 1, width),
                *score_lines(0, 0, width),
            ]
            assert max(cells(line.text) for line in lines) <= width
            assert not any("{" in line.text for line in lines[-3:])


def inspector(*words: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment}
    command = [sys.executable, "-m", "inspector", "quiz", *words]
    return subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env=environment,
        check=False,
    )


def test_the_same_seed_asks_the_same() -> None:
    first, again, other = (inspector("--seed", seed, stdin="a\n" * 8) for seed in ("7", "7", "8"))
    assert first.returncode == 0
    assert first.stdout == again.stdout != other.stdout
    assert "of 8 answers were right." in first.stdout


def test_right_and_wrong_answers_are_counted() -> None:
    right = 0
    for letter in "abcd":
        done = inspector("hello", "--seed", "3", "--count", "1", stdin=f"{letter}\n")
        assert done.returncode == 0
        right += "\n1 of 1 answer was right." in done.stdout
        assert ("Right: " in done.stdout) is ("\n1 of 1" in done.stdout)
        assert "RFC" in done.stdout
    assert right == 1


@pytest.mark.parametrize(("answers", "score"), [("", "No question"), ("q\n", "No question"), ("a\nq\n", "of 1 answer")])
def test_the_end_of_input_and_q_end_it_with_the_score(answers: str, score: str) -> None:
    done = inspector("--seed", "1", stdin=answers)
    assert done.returncode == 0
    assert score in done.stdout
    assert done.stderr == ""


def test_what_is_no_letter_is_asked_again() -> None:
    done = inspector("hello", "--seed", "1", "--count", "1", stdin="\nz\nab\nB\n")
    assert done.stdout.count("Please answer") == 3
    assert "of 1 answer" in done.stdout


def test_every_line_has_room_whatever_is_asked_and_in_ascii() -> None:
    for words in (("split-utf8", "--ascii"), ("http-tutorial", "--ascii", "--lang", "zh"), ("hello", "--lang", "zh")):
        done = inspector(*words, "--width", "60", "--count", "30", stdin="x\na\n" * 30)
        assert done.returncode == 0
        assert max(map(cells, done.stdout.splitlines())) <= 60


def test_bytes_that_are_no_text_are_no_answer() -> None:
    done = inspector("hello", "--seed", "1", "--count", "1", stdin="\udcff\na\n", PYTHONIOENCODING="utf-8:strict")
    assert "of 1 answer" in done.stdout


def test_a_topic_limits_the_questions() -> None:
    done = inspector("time-wait", "--seed", "1", "--count", "2", stdin="a\nb\n")
    assert done.returncode == 0
    assert "TIME-WAIT" in done.stdout
    assert {rule.topic for rule in RULES} >= {"handshake", "teardown", "time-wait"}


def test_a_name_that_is_nothing_is_refused_with_the_nearest() -> None:
    done = inspector("handshak")
    assert done.returncode == 2
    assert "handshake" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_capture_without_tcp_or_packets_says_what_can_be_asked(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pcap"
    empty.write_bytes(bytes.fromhex("d4c3b2a1020004000000000000000000ffff000001000000"))
    for name in (bundled.located("udp"), str(empty)):
        done = inspector(name)
        assert done.returncode == 0
        assert "nothing to ask" in done.stdout


def test_a_torn_capture_is_asked_about_as_far_as_it_goes(tmp_path: Path) -> None:
    torn = tmp_path / "torn.pcapng"
    torn.write_bytes(Path(bundled.located("hello")).read_bytes()[:-20])
    done = inspector(str(torn), "--seed", "1", stdin="a\n" * 8)
    assert done.returncode == 3
    assert "answers were right" in done.stdout
    assert len(done.stderr.splitlines()) == 1


SAMPLE = sorted(path for path in REAL.rglob("*.pcap") if path.stat().st_size < 100_000)[::12]


@pytest.mark.skipif(not SAMPLE, reason="the real captures are not here")
@pytest.mark.parametrize("path", SAMPLE, ids=lambda path: path.name)
def test_real_captures_are_asked_about(path: Path) -> None:
    with Trace.read(str(path)) as trace:
        for conversation in trace.conversations()[:10]:
            scene = Scene(conversation, *trace.rows(conversation.number, 64, 200))
            for question in questions_of(scene, Random(1)):
                assert question.choices[question.right] == truth(question)
                assert len(list(question_lines(question, 1, 8, LadderOptions(width=100)))) > CHOICES
