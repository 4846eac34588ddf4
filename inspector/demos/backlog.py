"""A queue of one: listen(1) lets two connections be complete, and the next SYNs are dropped, not refused.

Linux takes one more than the backlog says. A SYN that finds the queue full gets no answer; the client's kernel sends
it again after a second, and connects once accept() has made room.
"""

import select
import socket

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("backlog")
ADDRESS = ("127.0.0.1", 8001)
CLIENTS = 3


def server() -> None:
    """Listen with a queue of one; accept when the third has been turned away once."""
    with socket.create_server(ADDRESS, backlog=1) as listener:
        wait("two are connected, one is not")
        connections = [listener.accept()[0] for _ in range(CLIENTS)]
        for connection in connections:
            connection.close()


def client() -> None:
    """Connect three times without waiting, then see who is connected."""
    sockets = []
    for number in range(CLIENTS):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(ADDRESS)
        _, writable, _ = select.select([], [connection], [], 0.2)
        print(f"connection {number + 1}:", "complete" if writable else "no answer to the SYN")
        sockets.append(connection)
    tell("two are connected, one is not")
    _, writable, _ = select.select([], sockets[-1:], [], 5)
    print("connection 3:", "complete after the SYN was sent again" if writable else "still no answer")
    for connection in sockets:
        connection.setblocking(True)
        connection.recv(1)  # until the server closes
        connection.close()


if __name__ == "__main__":
    play({"server": server, "client": client})
