"""One key from the person at the terminal."""

import sys

_QUIT = ("", "q", "Q", "\x03", "\x04")  # the end of input, Ctrl-C and Ctrl-D among them


def one_key() -> bool:
    """Wait for a key, or for a line where standard input is no terminal; False when it says to end."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip() not in _QUIT[1:] and not sys.stdin.closed
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        return sys.stdin.read(1) not in _QUIT
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
