"""Nobody listens: the SYN is answered by a reset, at once.

connect() raises ConnectionRefusedError. It is the other host's kernel that says no: the host is there, the port is
not. No answer at all would be something else: a lost or filtered SYN, and a connect() that waits for minutes.
"""

import socket

from inspector.demos import Demo, play

DEMO = Demo("refused", roles=("client",))
ADDRESS = ("127.0.0.1", 8001)


def client() -> None:
    """Knock at a closed door."""
    try:
        socket.create_connection(ADDRESS)
    except ConnectionRefusedError as error:
        print("connect():", error)


if __name__ == "__main__":
    play({"client": client})
