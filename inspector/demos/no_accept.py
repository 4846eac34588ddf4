"""A server that never calls accept - and a client that is connected all the same.

The kernel completes the handshake and acknowledges data by itself; accept() only takes a finished connection out of
the queue. What came before is there to be read afterwards.
"""

import socket

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("no-accept")
ADDRESS = ("127.0.0.1", 8001)


def server() -> None:
    """Listen, wait until the client has sent and closed, and only then accept."""
    with socket.create_server(ADDRESS) as listener:
        wait("sent and closed")
        connection, _address = listener.accept()
        with connection:
            print("recv():", connection.recv(1024))


def client() -> None:
    """Connect, send, close: nobody has accepted meanwhile."""
    with socket.create_connection(ADDRESS) as connection:
        connection.sendall(b"hello")
    print("connected, sent and closed")
    tell("sent and closed")


if __name__ == "__main__":
    play({"server": server, "client": client})
