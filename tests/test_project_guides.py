"""The READMEs and the quickstart: what they show is what is printed now, and what they tell to type works."""

import re
import runpy
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from inspector.cli.language import choose
from inspector.cli.parser import parse
from inspector.text import language

PROJECT = Path(__file__).parents[1]
README, README_ZH, QUICKSTART = (PROJECT / name for name in ("README.md", "README.zh.md", "docs/zh/quickstart.md"))
MAKE = runpy.run_path(str(PROJECT / "docs" / "make_quickstart.py"))
TYPED = re.compile(r"\.venv/bin/(inspector [^\n`|&]+)")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


@pytest.fixture(autouse=True)
def _language_as_before() -> Iterator[None]:
    spoken = language.spoken()
    yield
    language.speak(spoken)


def text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The blocks of the quickstart in a language."""
    return [found[2] for found in BLOCK.finditer(text(QUICKSTART)) if found[1] == language]


def test_the_quickstart_shows_what_is_printed_now() -> None:
    assert text(QUICKSTART) == MAKE["renewed"](text(QUICKSTART)), "run: python docs/make_quickstart.py"


@pytest.mark.parametrize("path", [README, README_ZH, QUICKSTART], ids=lambda path: path.name)
def test_commands_take_the_options_that_are_shown(path: Path) -> None:
    typed = TYPED.findall(text(path))
    assert len(typed) > 10
    for command in typed:
        parse(choose(shlex.split(command)[1:]))


def test_both_readmes_have_the_same_commands_pictures_and_sections() -> None:
    for pattern in (r"(?m)^    .+$", r"\(docs/(?:zh/)?pictures/(.+?)\)", r"(?m)^(?=## )", r"`--[a-z-]+"):
        assert re.findall(pattern, text(README)) == re.findall(pattern, text(README_ZH)), pattern
    assert "\n[中文](README.zh.md)\n" in text(README)
    assert "\n[English](README.md)\n" in text(README_ZH)


@pytest.mark.parametrize("path", [README, README_ZH, QUICKSTART], ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)\)", text(path)):
        assert (path.parent / link).exists(), link


@pytest.mark.live
def test_the_learners_own_programs_run_and_are_replayed(tmp_path: Path) -> None:
    for name, program in zip(("server.py", "client.py"), blocks("python"), strict=True):
        (tmp_path / name).write_text(program, encoding="utf-8")
    typed = [line for block in blocks("sh") for line in block.splitlines() if "mine.pcapng" in line]
    run, *later = [line for line in typed if "--step" not in line]
    assert '"你好 socket"' in MAKE["output_of"](run, tmp_path)
    assert len(later) == 4
    for command in later:
        assert "8001" in MAKE["output_of"](command, tmp_path) or "你好 SOCKET" in MAKE["output_of"](command, tmp_path)
