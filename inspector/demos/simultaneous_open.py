"""A socket that connects to itself: a simultaneous open without any server.

In a simultaneous open both ends send a SYN; neither is the server, and nobody listens. TCP allows it (RFC 9293,
figure 7). One socket that is bound to the port it connects to is both ends: what it sends, it receives. So only one SYN
is on the wire; it meets its own sender in SYN-SENT, which answers with SYN,ACK. It happens by accident when a client
tries an ephemeral port of its own host again and again.
"""

import socket

from inspector.demos import Demo, play

DEMO = Demo("simultaneous-open", roles=("client",))
ADDRESS = ("127.0.0.1", 8001)


def client() -> None:
    """Connect to the own address."""
    with socket.socket() as connection:
        connection.bind(ADDRESS)
        connection.connect(ADDRESS)
        connection.sendall(b"hello")
        print("recv():", connection.recv(1024))


if __name__ == "__main__":
    play({"client": client})
