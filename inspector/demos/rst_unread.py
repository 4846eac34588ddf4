"""Closing with something unread: a reset instead of a FIN.

The server closes although bytes wait in its receive buffer. Its kernel tells the client that they were never read:
RST. The client's next recv() raises ConnectionResetError. Had the server answered before, that answer could be lost
too: RFC 9293 flushes all queues at a reset (Linux still hands over what has arrived). Read to the end before you close.
"""

import socket

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("rst-unread")
ADDRESS = ("127.0.0.1", 8001)


def server() -> None:
    """Close without reading."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        wait("hello is sent")
        connection.close()
        tell("closed")


def client() -> None:
    """Send, and be reset."""
    with socket.create_connection(ADDRESS) as connection:
        connection.sendall(b"hello!")
        tell("hello is sent")
        wait("closed")
        try:
            connection.recv(1024)
        except ConnectionResetError as error:
            print("recv():", error)


if __name__ == "__main__":
    play({"server": server, "client": client})
