"""The same conversation over IPv6: other addresses and a longer header below, the same TCP above."""

import socket

from inspector.demos import Demo, play
from inspector.demos.sockets import receive_exactly

DEMO = Demo("ipv6")
ADDRESS = ("::1", 8001)


def server() -> None:
    """Serve one client, close first."""
    with socket.create_server(ADDRESS, family=socket.AF_INET6) as listener:
        connection, _address = listener.accept()
        with connection:
            connection.sendall(receive_exactly(connection, len(b"hello")) + b" world")


def client() -> None:
    """Say hello."""
    with socket.create_connection(ADDRESS) as connection:
        connection.sendall(b"hello")
        print(receive_exactly(connection, len(b"hello world")).decode())
        connection.recv(1)  # until the server closes


if __name__ == "__main__":
    play({"server": server, "client": client})
