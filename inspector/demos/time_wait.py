"""Address already in use: who closes first keeps the port for a minute in TIME-WAIT, and how a server starts again.

The first server closes first, so its end of the connection stands in TIME-WAIT: late segments must not reach a new
connection on the same port. A second server on that port fails with EADDRINUSE, unless BOTH have set SO_REUSEADDR.
"""

import socket

from inspector.demos import FIXED, TUTORIAL, Demo, play

DEMO = Demo("time-wait", variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8001)


def serve_one(variant: str) -> None:
    """Bind, accept, close first."""
    with socket.socket() as listener:
        if variant == FIXED:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(ADDRESS)
        listener.listen()
        connection, _address = listener.accept()
        connection.close()


def server(variant: str) -> None:
    """Serve once, start again at once."""
    serve_one(variant)
    try:
        serve_one(variant)
        print("the second server had the port at once")
    except OSError as error:
        print("bind():", error)


def client(variant: str) -> None:
    """Connect to the first server, and to the second if there will be one."""
    for _ in range(2 if variant == FIXED else 1):
        while True:
            try:
                connection = socket.create_connection(ADDRESS)
                break
            except ConnectionRefusedError:  # the second server is not there yet
                continue
        with connection:
            connection.recv(1)  # until the server closes


if __name__ == "__main__":
    play({"server": server, "client": client})
