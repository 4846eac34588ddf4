"""Address already in use: who closes first keeps the port for a minute in TIME-WAIT, and how a server starts again.

The first server closes first, so its end of the connection stands in TIME-WAIT: late segments must not reach a new
connection on the same port. A second server on that port fails with EADDRINUSE, unless BOTH have set SO_REUSEADDR.
"""

import socket

from inspector.demos import FIXED, TUTORIAL, Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("time-wait", variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8001)


def listening(variant: str) -> socket.socket:
    """A server's socket; the tutorial forgets one line."""
    listener = socket.socket()
    if variant == FIXED:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(ADDRESS)
    except OSError:
        listener.close()
        raise
    listener.listen()
    return listener


def serve_one(listener: socket.socket) -> None:
    """Accept one client and close first; then close the listener too, as a server that ends."""
    with listener:
        connection, _address = listener.accept()
        connection.close()


def server(variant: str) -> None:
    """Serve once, start again when the old connection stands in TIME-WAIT."""
    serve_one(listening(variant))
    wait("the client has closed")
    try:
        listener = listening(variant)
    except OSError as error:
        print("bind():", error)
    else:
        print("the second server had the port at once")
        tell("listening again")
        serve_one(listener)


def talk() -> None:
    """Connect and close second."""
    with socket.create_connection(ADDRESS) as connection:
        connection.recv(1)  # until the server closes


def client(variant: str) -> None:
    """Connect to the first server, and to the second if there is one."""
    talk()
    tell("the client has closed")
    if variant == FIXED:
        wait("listening again")
        talk()


if __name__ == "__main__":
    play({"server": server, "client": client})
