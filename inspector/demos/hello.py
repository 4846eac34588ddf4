"""The smallest TCP conversation: a client says ``hello``, the server answers ``hello world`` and closes first."""

import socket

from inspector.demos import Demo, play
from inspector.demos.sockets import receive_exactly

DEMO = Demo("hello")
ADDRESS = ("127.0.0.1", 8001)


def server() -> None:
    """Serve one client, then end."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # Who closes first keeps the port in TIME-WAIT for a minute; this lets the next run have it at once.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(ADDRESS)
        listener.listen()
        # The kernel does the handshake by itself; accept() only takes the finished connection out of its queue.
        connection, _address = listener.accept()
        with connection:
            said = receive_exactly(connection, len(b"hello"))
            connection.sendall(said + b" world")
        # Leaving the block closes the connection: the FIN is sent.


def client() -> None:
    """Say hello and read until the server closes."""
    with socket.create_connection(ADDRESS, timeout=10) as connection:
        connection.sendall(b"hello")
        answer = b""
        while piece := connection.recv(1024):  # b"" is the end: the server's FIN has come
            answer += piece
        print(answer.decode())


if __name__ == "__main__":
    play({"server": server, "client": client})
