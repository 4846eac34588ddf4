"""The pictures in the documentation say what the program draws now."""

import re
import runpy
from html import unescape
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def words(folder: Path) -> dict[str, list[str]]:
    """The texts in each picture; how a release of rich spells the SVG around them is its own affair."""
    return {
        path.name: [unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", path.read_text("utf-8"))]
        for path in folder.iterdir()
    }


def test_pictures_are_up_to_date(tmp_path: Path) -> None:
    runpy.run_path(str(DOCS / "make_pictures.py"))["main"](tmp_path)
    assert words(DOCS / "pictures") == words(tmp_path), "run: python docs/make_pictures.py"


def test_pictures_fetch_nothing() -> None:
    for path in (DOCS / "pictures").iterdir():
        assert not re.search(r"@font-face|@import|href=|src=|url\((?!#)", path.read_text("utf-8"))
