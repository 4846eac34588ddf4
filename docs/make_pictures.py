"""Draws the pictures of the documentation with the program itself: python docs/make_pictures.py [FOLDER].

Each is what its command prints for a bundled capture. A test runs this and compares.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from inspector.calls import journal
from inspector.calls.matching import CallIndex, SidedCall
from inspector.capture import bundled
from inspector.render.svg import export_svg
from inspector.trace.calls import conversation_calls
from inspector.trace.encapsulation import EncapsulationReader
from inspector.trace.messages import framed
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderOptions, LadderPart, ladders_of
from inspector.views.layer_walk import picture
from inspector.views.line import Line
from inspector.views.messages import framing_words, stream_picture

WIDTH = 120


def ladder(name: str) -> list[Line]:
    """The first conversation of a bundled capture."""
    path = str(bundled.find(name))
    with Trace.read(path) as trace:
        part = LadderPart(trace.conversation(1), trace.rows(1)[1], trace.rows(1)[0], calls_of(trace, path))
        return list(ladders_of([part], LadderOptions(width=WIDTH)))


def layers(name: str, packet: int) -> list[Line]:
    """One packet of a bundled capture."""
    with Trace.read(str(bundled.find(name))) as trace:
        return picture(EncapsulationReader(trace).read(packet), trace.link_type(packet), WIDTH)


def messages(name: str) -> list[Line]:
    """What the client of a bundled capture's first conversation sent."""
    path = str(bundled.find(name))
    with Trace.read(path) as trace:
        found = framed(trace, 1, calls=calls_of(trace, path))
        return list(stream_picture(trace.conversation(1), found.streams[0], framing_words(found), WIDTH))


def calls_of(trace: Trace, path: str) -> list[SidedCall]:
    """The calls of the first conversation."""
    index = CallIndex(journal.load(journal.path_beside(path))[0])
    return conversation_calls(index, trace.conversation(1), trace.rows(1)[0])


PICTURES: dict[str, tuple[str, Callable[[], list[Line]]]] = {
    **{name: (f"inspector replay {name}", partial(ladder, name)) for name in ("hello", "udp", "sticky", "nonblocking")},
    "layers": ("inspector layers http --packet 4", partial(layers, "http", 4)),
    "messages": ("inspector messages frames", partial(messages, "frames")),
}


def draw(name: str) -> str:
    """A picture as SVG."""
    title, lines = PICTURES[name]
    return export_svg(lines(), title, WIDTH)


def main(folder: Path) -> None:
    """Write every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        (folder / f"{name}.svg").write_text(draw(name), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "pictures")
