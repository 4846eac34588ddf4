"""Draws the pictures of the documentation with the program itself: python docs/make_pictures.py [FOLDER].

Each is what the command named in ``PICTURES`` prints for a bundled capture. A test runs this and compares.
"""

import sys
from pathlib import Path

from inspector.calls import journal
from inspector.calls.matching import CallIndex
from inspector.capture import bundled
from inspector.render.svg import export_svg
from inspector.trace.calls import conversation_calls
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderOptions, LadderPart, ladders_of

WIDTH = 120
PICTURES = {name: f"inspector replay {name}" for name in ("hello", "udp", "sticky", "nonblocking")}


def draw(name: str, title: str) -> str:
    """The picture of a bundled capture's first conversation, as SVG."""
    path = bundled.find(name)
    assert path is not None, name
    with Trace.read(str(path)) as trace:
        rows, end = trace.rows(1)
        conversation = trace.conversation(1)
        calls = CallIndex(journal.load(journal.path_beside(str(path)))[0])
        part = LadderPart(conversation, end, rows, conversation_calls(calls, conversation, rows))
        lines = list(ladders_of([part], LadderOptions(width=WIDTH)))
    return export_svg(lines, title, WIDTH)


def main(folder: Path) -> None:
    """Write every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, title in PICTURES.items():
        (folder / f"{name}.svg").write_text(draw(name, title), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
