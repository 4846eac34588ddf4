"""Forty milliseconds for nothing: two small writes, then a read.

Nagle's algorithm holds the second small segment back while the first is not acknowledged; the receiver delays its ACK,
on Linux by 40 ms or more, hoping to send it along with an answer. Each waits for the other. One sendall() with
everything does not stall; TCP_NODELAY does not either. Write-write-read is the tutorial's way.
"""

import socket
import time

from inspector.demos import FIXED, TUTORIAL, Demo, play
from inspector.demos.sockets import receive_exactly

DEMO = Demo("nagle", variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8001)
WARM_UP = 4  # a new connection acknowledges at once; after some questions and answers it waits
EXCHANGES = WARM_UP + 1


def server(_variant: str) -> None:
    """Answer each question of eight bytes with two."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            for _ in range(EXCHANGES):
                receive_exactly(connection, 8)
                connection.sendall(b"ok")
            connection.recv(1)  # until the client closes


def client(variant: str) -> None:
    """Ask in one piece some times, then once in two."""
    with socket.create_connection(ADDRESS) as connection:
        for _ in range(WARM_UP):
            connection.sendall(b"question")
            receive_exactly(connection, 2)
        begin = time.monotonic()
        if variant == FIXED:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"ques")
        connection.sendall(b"tion")
        receive_exactly(connection, 2)
        print(f"answer after {(time.monotonic() - begin) * 1000:.1f} ms")


if __name__ == "__main__":
    play({"server": server, "client": client})
