"""Draws the pictures of the documentation with the program itself: python docs/make_pictures.py [FOLDER].

They come in both languages. Each is what its command prints for a bundled capture. A test runs this and compares.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from inspector.calls import journal
from inspector.calls.matching import CallIndex, SidedCall
from inspector.capture import bundled
from inspector.cli.explain import explained_packet
from inspector.render.svg import export_svg
from inspector.text import language
from inspector.text.language import Language
from inspector.trace.calls import conversation_calls
from inspector.trace.encapsulation import EncapsulationReader
from inspector.trace.messages import framed
from inspector.trace.trace import Trace
from inspector.views.ladder import LadderOptions, LadderPart, ladders_of
from inspector.views.layer_walk import picture
from inspector.views.line import Line
from inspector.views.messages import framing_words, stream_picture

WIDTH = 120
READABLE = 100  # of text
NAMES = ("hello", "udp", "sticky", "nonblocking")
FOLDERS = {Language.ENGLISH: Path("pictures"), Language.CHINESE: Path("zh", "pictures")}


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


def explanation(name: str, packet: int) -> list[Line]:
    """Why a packet of a bundled capture was sent."""
    path = str(bundled.find(name))
    with Trace.read(path) as trace:
        return list(explained_packet(trace, packet, path, READABLE))


class Picture(NamedTuple):
    """What is typed for it, and what is printed then."""

    command: str
    lines: Callable[[], list[Line]]
    width: int = WIDTH


PICTURES = {
    **{name: Picture(f"inspector replay {name}", partial(ladder, name)) for name in NAMES},
    "layers": Picture("inspector layers http --packet 4", partial(layers, "http", 4)),
    "messages": Picture("inspector messages frames", partial(messages, "frames")),
    "explain": Picture("inspector explain hello --packet 9", partial(explanation, "hello", 9), READABLE),
}


def draw(name: str) -> str:
    """A picture as SVG, in the language spoken."""
    command, lines, width = PICTURES[name]
    spoken = language.spoken()
    return export_svg(lines(), command if spoken is Language.ENGLISH else f"{command} --lang {spoken}", width)


def main(docs: Path) -> None:
    """Write every picture in every language."""
    before = language.spoken()
    for spoken, name in FOLDERS.items():
        language.speak(spoken)
        folder = docs / name
        folder.mkdir(parents=True, exist_ok=True)
        for each in PICTURES:
            (folder / f"{each}.svg").write_text(draw(each), encoding="utf-8")
    language.speak(before)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
