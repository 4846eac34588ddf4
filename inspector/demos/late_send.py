"""Sending to somebody who has gone: the first send succeeds, the second fails.

The server has closed. The client's first sendall() only puts bytes into its own send buffer; the answer on the wire
is a reset, since nobody is there to read. Only the next sendall() finds out: BrokenPipeError (EPIPE).
"""

import socket

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("late-send")
ADDRESS = ("127.0.0.1", 8001)


def server() -> None:
    """Accept and close."""
    with socket.create_server(ADDRESS) as listener:
        listener.accept()[0].close()
        tell("closed")


def client() -> None:
    """Send twice into the void."""
    with socket.create_connection(ADDRESS) as connection:
        wait("closed")
        connection.sendall(b"hello")
        print("first sendall(): no error")
        try:
            connection.sendall(b"hello again")
        except BrokenPipeError as error:
            print("second sendall():", error)


if __name__ == "__main__":
    play({"server": server, "client": client})
