"""The pictures in the documentation say what the program draws now."""

import re
import runpy
from html import unescape
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
FOLDERS = ("pictures", "zh/pictures")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All pictures as the program draws them now."""
    folder = tmp_path_factory.mktemp("docs")
    runpy.run_path(str(DOCS / "make_pictures.py"))["main"](folder)
    return folder


def words(folder: Path) -> dict[str, list[str]]:
    """The texts in each picture; how a release of rich spells the SVG around them is its own affair."""
    return {
        path.name: [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text("utf-8"))]
        for path in folder.iterdir()
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_pictures_are_up_to_date(folder: str, drawn: Path) -> None:
    assert words(DOCS / folder) == words(drawn / folder), "run: python docs/make_pictures.py"


@pytest.mark.parametrize("folder", FOLDERS)
def test_pictures_fetch_nothing(folder: str) -> None:
    for path in (DOCS / folder).iterdir():
        assert not re.search(r"@font-face|@import|href=|src=|url\((?!#)", path.read_text("utf-8"))
