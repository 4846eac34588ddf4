"""Closing hard: SO_LINGER with a time of 0 makes close() send a reset, and no TIME-WAIT is left.

Whatever was not yet delivered is thrown away, and the peer sees ConnectionResetError instead of the end of the
stream. It is no cure for "address already in use": that is what SO_REUSEADDR is for.
"""

import socket
import struct

from inspector.demos import Demo, play

DEMO = Demo("linger")
ADDRESS = ("127.0.0.1", 8001)
ON_FOR_0_SECONDS = struct.pack("ii", 1, 0)


def server() -> None:
    """Read until the end, which is none."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            print("recv():", connection.recv(1024))
            connection.sendall(b"ok")
            try:
                connection.recv(1024)
            except ConnectionResetError as error:
                print("recv():", error)


def client() -> None:
    """Talk, then abort."""
    with socket.create_connection(ADDRESS) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ON_FOR_0_SECONDS)
        connection.sendall(b"hello")
        print("recv():", connection.recv(1024))


if __name__ == "__main__":
    play({"server": server, "client": client})
