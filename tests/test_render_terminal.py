"""How output adapts to where it goes: colour, width, encoding."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.cells import cell_len

from inspector.render.terminal import PLAIN_WIDTH, Painter
from inspector.render.theme import THEME
from inspector.views.line import Line, Span

REPLAY = [sys.executable, "-m", "inspector", "replay", "hello", "--calls", "off"]
VIEWS = Path(__file__).parents[1] / "inspector" / "views"
ESCAPE = re.compile(r"\x1b\[[0-9;]*m")


def piped(*words: str, **settings: str) -> str:
    environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **settings}
    ended = subprocess.run([*REPLAY, *words], capture_output=True, env=environment, check=True)
    return ended.stdout.decode(settings.get("PYTHONIOENCODING", "utf-8"))


def on_terminal(columns: int, *words: str, **settings: str) -> str:
    """What a terminal of that width is sent."""
    owner, terminal = pty.openpty()
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        environment = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "TERM": "xterm-256color", **settings}
        with subprocess.Popen(
            [*REPLAY, *words], stdout=terminal, stderr=terminal, stdin=subprocess.DEVNULL, env=environment
        ):
            os.close(terminal)
            sent = b""
            while piece := _read(owner):
                sent += piece
    finally:
        os.close(owner)
    return sent.decode().replace("\r\n", "\n")


def _read(owner: int) -> bytes:
    try:
        return os.read(owner, 65536)
    except OSError:  # Linux: the last writer has gone
        return b""


def widest(text: str) -> int:
    return max(map(cell_len, ESCAPE.sub("", text).split("\n")))


def test_a_pipe_gets_plain_text_of_100_columns_or_columns() -> None:
    assert widest(piped()) == PLAIN_WIDTH
    assert widest(piped(COLUMNS="140")) == 140
    assert widest(piped("--width", "72", COLUMNS="140")) == 72
    assert "\x1b" not in piped()


@pytest.mark.parametrize("columns", [80, 120])
def test_a_terminal_gets_its_width_in_colour(columns: int) -> None:
    sent = on_terminal(columns)
    assert widest(sent) == columns
    assert ESCAPE.search(sent)
    assert ESCAPE.sub("", sent) == piped(COLUMNS=str(columns))


@pytest.mark.parametrize(
    ("words", "settings"),
    [(["--color", "never"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})],
    ids=["--color never", "NO_COLOR", "dumb"],
)
def test_colour_is_left_out_where_it_is_not_wanted(words: list[str], settings: dict[str, str]) -> None:
    assert "\x1b" not in on_terminal(100, *words, **settings)


def test_colour_can_be_had_in_a_pipe() -> None:
    assert ESCAPE.sub("", piped("--color", "always")) == piped()
    assert piped("--color", "always") != piped()


@pytest.mark.parametrize("settings", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}])
def test_other_encodings_get_ascii_drawings_of_the_same_shape(settings: dict[str, str]) -> None:
    drawn = piped(**settings)
    assert drawn.isascii()
    assert drawn == piped("--ascii")
    assert [len(line) for line in drawn.split("\n")] == [cell_len(line) for line in piped().split("\n")]


def test_text_of_a_capture_is_never_markup() -> None:
    stream = io.StringIO()
    painter = Painter(stream, color="always", width=80)
    painter.paint(Line((Span("[bold red]x[/] :smile: https://example.org", "label.payload"),)))
    assert ESCAPE.sub("", stream.getvalue()) == "[bold red]x[/] :smile: https://example.org\n"


def test_every_style_that_the_views_name_is_in_the_theme() -> None:
    sources = "".join(path.read_text(encoding="utf-8") for path in VIEWS.glob("*.py"))
    named = set(re.findall(r'Span\([^()]*(?:\([^()]*\)[^()]*)*, "([a-z.]+)"\)', sources))
    assert len(named) > 5
    assert named <= THEME.keys()
