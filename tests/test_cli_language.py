"""Every command speaks the language asked for, also where it fails; the environment decides where none is."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.cells import cell_len

from inspector.capture.privileges import can_capture
from inspector.cli.parser import COMMANDS

PROJECT = Path(__file__).parents[1]
HELLO = PROJECT / "captures" / "hello.pcapng"
INSPECTOR = [sys.executable, "-m", "inspector"]
CHINESE = re.compile("[\u4e00-\u9fff]")
# Three English words in a row; names of things in commands, options and paths are not counted.
SENTENCE = re.compile(r"(?<![-/\w.'])[A-Za-z]{2,} [a-z]{2,} [a-z]{2,}\b")
COMMAND_TO_COPY = re.compile(r"(sudo|su|inspector|ip link|editcap|ss|export|man) [-\w./=:' ]+")
needs_right = pytest.mark.skipif(not can_capture(), reason="needs the right to capture")

FAILURES = {
    "no such file": ["replay", "/nonexistent/trace.pcap"],
    "no such name": ["replay", "nosuch"],
    "a directory": ["packets", "/etc"],
    "text": ["conversations", str(PROJECT / "pyproject.toml")],
    "an empty file": ["replay", "/dev/null"],
    "a torn file": ["packets", "{torn}"],
    "a port out of range": ["watch", "--port", "65536"],
    "no number": ["replay", "hello", "--conversation", "one"],
    "not above 0": ["replay", "hello", "--speed", "0"],
    "a conversation that is not there": ["follow", "hello", "--conversation", "2"],
    "raw without a direction": ["follow", "hello", "--conversation", "1", "--raw"],
    "a host that is no address": ["packets", "hello", "--host", "localhost!"],
    "no such command": ["wach"],
    "no such option": ["replay", "hello", "--nosuch"],
    "an option that could be two": ["replay", "hello", "--st"],
    "an option without its value": ["watch", "--port"],
    "a value for a flag": ["replay", "hello", "--step=3"],
    "no such choice": ["replay", "hello", "--style", "nosuch"],
    "an argument missing": ["replay"],
    "one too many": ["replay", "hello", "again"],
    "speed and step": ["replay", "hello", "--speed", "2", "--step"],
    "no such demo": ["demo", "nosuch"],
    "no such variant": ["demo", "hello", "--variant", "nosuch"],
    "nothing to run": ["run"],
    "no folder to write to": ["run", "--output", "/nonexistent/out", "--", "true"],
    "nothing drawn": ["replay", "hello", "--port", "1"],
}
SHOWING = {
    "overview": ["--help"],
    **{f"{command} --help": [command, "--help"] for command in COMMANDS},
    "list of demos": ["demo", "--list"],
    "doctor": ["doctor"],
    "calls": ["calls", "sticky"],
    "ladder with calls": ["replay", "nonblocking-tutorial"],
}


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """A command with nothing in its environment that it was not given."""
    given = {"PATH": os.environ["PATH"], "HOME": "/", "COLUMNS": "80", **environment}
    return subprocess.run(command, capture_output=True, encoding="utf-8", env=given, check=False, cwd=PROJECT)


def inspector(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run([*INSPECTOR, *words], **environment)


def english_in(text: str) -> list[str]:
    """English sentences, as far as they are not what a user is to type."""
    return SENTENCE.findall(COMMAND_TO_COPY.sub("", text))


@pytest.fixture
def torn(tmp_path: Path) -> str:
    path = tmp_path / "torn.pcapng"
    path.write_bytes(HELLO.read_bytes()[:690])
    return str(path)


@pytest.mark.parametrize("name", FAILURES)
def test_failures_are_told_in_the_language(name: str, torn: str) -> None:
    words = [word.format(torn=torn) for word in FAILURES[name]]
    lang, rest = ["--lang", "zh"], words
    chinese, english = inspector(*lang, *rest), inspector("--lang", "en", *rest, LANG="zh_CN.UTF-8")
    assert CHINESE.search(chinese.stderr)
    assert english_in(chinese.stderr) == []
    assert not CHINESE.search(english.stderr)
    assert english.stderr.isascii()
    assert chinese.returncode == english.returncode
    assert len(chinese.stderr.splitlines()) == len(english.stderr.splitlines()) >= 1


@pytest.mark.parametrize("name", SHOWING)
def test_commands_speak_the_language(name: str) -> None:
    chinese, english = inspector(*SHOWING[name], LANG="zh_CN.UTF-8"), inspector(*SHOWING[name], LANG="en_US.UTF-8")
    assert chinese.returncode == english.returncode == 0
    assert CHINESE.search(chinese.stdout)
    if name.endswith("--help") or name in ("overview", "list of demos", "doctor"):
        assert english_in(chinese.stdout) == []
        assert not CHINESE.search(english.stdout.replace("你好", ""))
    lines = chinese.stdout.splitlines()
    assert [line for line in lines if cell_len(line) > 80 and "/" not in line] == []


@needs_right
@pytest.mark.live
def test_a_watch_speaks_the_language() -> None:
    done = inspector("watch", "--duration", "0.2", "--port", "1", LANG="zh_CN.UTF-8")
    assert done.stderr.startswith("inspector: 正在观察 lo，端口 1；按 Ctrl-C 结束\n")
    assert english_in(done.stderr) == []
    for words in (["--interface", "nosuch0"], ["--filter", "tcp["], ["--pid", "99999999"]):
        assert english_in(inspector("watch", *words, LANG="zh_CN.UTF-8").stderr) == []


@pytest.mark.skipif(can_capture() and not shutil.which("setpriv"), reason="has the right, and no way to lose it")
def test_who_has_no_right_is_told_how_to_get_it() -> None:
    without_right = ["setpriv", "--bounding-set", "-net_raw"] if can_capture() else []
    done = run([*without_right, *INSPECTOR, "watch"], LANG="zh_CN.UTF-8")
    assert done.returncode == 1
    assert done.stderr.startswith("inspector: 抓包需要 root 权限；请运行：")


@pytest.mark.live
def test_a_demo_and_a_run_speak_the_language() -> None:
    demo = inspector("demo", "refused", LANG="zh_CN.UTF-8")
    assert CHINESE.search(demo.stderr)
    assert "无人监听" in demo.stdout
    assert "── 发生了什么 ──" in demo.stdout
    done = inspector("run", "--", "/nonexistent/program", LANG="zh_CN.UTF-8")
    assert done.returncode == 1
    assert "没有这个文件或目录" in done.stderr


@pytest.mark.live
def test_what_follows_the_dashes_is_the_programs() -> None:
    program = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "--lang", "x", "--lang=zh"]
    done = inspector("run", "--lang", "en", "--", *program, LANG="zh_CN.UTF-8")
    assert "['--lang', 'x', '--lang=zh']" in done.stderr
    assert "running in" in done.stderr


@pytest.mark.parametrize(
    ("environment", "chinese"),
    [
        ({}, False),
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "zh_TW"}, True),
        ({"LANG": "en_US.UTF-8"}, False),
        ({"LANG": "de_DE.UTF-8"}, False),
        ({"LANG": "C.UTF-8"}, False),
        ({"LC_MESSAGES": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, True),
        ({"LC_MESSAGES": "en_US.UTF-8", "LANG": "zh_CN.UTF-8"}, False),
        ({"LC_ALL": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8", "LC_MESSAGES": "zh_CN.UTF-8", "LANG": "zh_CN.UTF-8"}, False),
        ({"LC_ALL": "", "LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "zh_CN.UTF-8", "PYTHONIOENCODING": "ascii"}, False),  # it could not be shown
    ],
    ids=str,
)
def test_the_environment_decides(environment: dict[str, str], chinese: bool) -> None:
    assert bool(CHINESE.search(inspector("replay", "nosuch", **environment).stderr)) is chinese


@pytest.mark.parametrize("variable", ["LANG", "LC_ALL"])
def test_under_sudo_the_language_is_that_of_who_called_it(variable: str) -> None:
    """A sudo that keeps nothing of the environment, played by a shell whose own environment has the language."""
    kept = f"env -u {variable} SUDO_USER=root {sys.executable} -m inspector replay nosuch; exit"
    done = run(["sh", "-c", kept], **{variable: "zh_CN.UTF-8"})
    assert CHINESE.search(done.stderr)


def test_the_option_wins_and_the_last_of_two() -> None:
    assert "没有这个文件" in inspector("--lang", "en", "replay", "nosuch", "--lang=zh", LANG="en_US.UTF-8").stderr
    assert "no such file" in inspector("replay", "nosuch", "--lang", "zh", "--lang", "en", LANG="zh_CN.UTF-8").stderr


@pytest.mark.parametrize("words", [["--lang"], ["--lang="], ["--lang", "fr"]])
def test_a_language_that_is_not_there_is_refused(words: list[str]) -> None:
    chinese, english = (inspector("replay", "hello", *words, LANG=lang) for lang in ("zh_CN.UTF-8", "C.UTF-8"))
    assert chinese.returncode == english.returncode == 2
    assert "可选：en、zh" in chinese.stderr
    assert "there are: en, zh" in english.stderr


def test_words_stay_readable_where_pictures_are_ascii() -> None:
    done = inspector("replay", "sticky", "--ascii", LANG="zh_CN.UTF-8")
    assert "close(监听套接字)" in done.stdout
    assert not set("─━│├┤┝┥▶◀") & set(done.stdout)


def test_other_encodings_of_chinese_are_written() -> None:
    environment = {"PATH": os.environ["PATH"], "LANG": "zh_CN.GBK", "PYTHONIOENCODING": "gbk"}
    done = subprocess.run([*INSPECTOR, "doctor"], capture_output=True, encoding="gbk", env=environment, check=True)
    assert "抓包权限" in done.stdout
    assert "export LC_ALL=zh_CN.UTF-8" in done.stdout
