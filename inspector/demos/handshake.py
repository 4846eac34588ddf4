"""The three-way handshake and nothing else: SYN, SYN,ACK, ACK - and no byte of data.

connect() sends the SYN and returns when the SYN,ACK has come. accept() sends nothing: the kernel has completed the
handshake before the server's program calls it. A SYN takes one sequence number, so the first byte of data has number
1.
"""

import socket

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("handshake")
ADDRESS = ("127.0.0.1", 8001)


def server() -> None:
    """Accept only after the client is connected."""
    with socket.create_server(ADDRESS) as listener:
        wait("connected")
        connection, address = listener.accept()
        with connection:
            print(f"accept() took the finished connection of {address} out of the queue")
            tell("accepted")
            connection.recv(1)  # until the client closes


def client() -> None:
    """Connect, and say so before anybody has accepted."""
    with socket.create_connection(ADDRESS):
        print("connect() has returned, and accept() was not called yet")
        tell("connected")
        wait("accepted")


if __name__ == "__main__":
    play({"server": server, "client": client})
