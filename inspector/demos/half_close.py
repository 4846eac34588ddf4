"""Closing one direction only: shutdown(SHUT_WR) sends the FIN, and the answer still comes.

The client has nothing more to say and says so; the server reads until b"", then answers, then closes. Between the two
FINs the connection is half-closed: FIN-WAIT-2 at the client, CLOSE-WAIT at the server, and data flows one way.
"""

import socket

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("half-close")
ADDRESS = ("127.0.0.1", 8001)


def server() -> None:
    """Read everything, then answer."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            received = b""
            while piece := connection.recv(1024):
                received += piece
            wait("the client has shut down")
            connection.sendall(b"%d bytes" % len(received))


def client() -> None:
    """Send, end the sending, read the answer."""
    with socket.create_connection(ADDRESS) as connection:
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        tell("the client has shut down")
        while piece := connection.recv(1024):
            print(piece.decode())


if __name__ == "__main__":
    play({"server": server, "client": client})
