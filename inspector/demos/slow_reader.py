"""A reader that does not read: its window closes, and the sender is stopped.

The receive buffer fills, the advertised window goes to 0, the send buffer fills, and a blocking sendall() would wait;
here the socket does not block, so send() raises BlockingIOError. The sender's kernel asks with probes whether there
is room again. When the reader reads, a window update lets everything go on. Nothing is lost: that is flow control.
"""

import socket
import time

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("slow-reader")
ADDRESS = ("127.0.0.1", 8001)
PIECE = bytes(16_384)
SLEEP_S = 1.0


def server() -> None:
    """Sleep while the buffers are full, then read everything."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # before listen(): the handshake tells it
        listener.bind(ADDRESS)
        listener.listen()
        connection, _address = listener.accept()
        with connection:
            wait("the buffers are full")
            time.sleep(SLEEP_S)  # the lesson: what the sender's kernel does meanwhile
            received = 0
            while piece := connection.recv(65_536):
                received += len(piece)
            print(f"{received:,} bytes received")


def client() -> None:
    """Send until nothing more fits, then wait, then close."""
    with socket.create_connection(ADDRESS) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 32_768)
        connection.setblocking(False)
        sent = 0
        try:
            while True:
                sent += connection.send(PIECE)
        except BlockingIOError as error:
            print(f"{sent:,} bytes sent, then send(): {error}")
        tell("the buffers are full")
        connection.setblocking(True)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(1)  # until the server closes


if __name__ == "__main__":
    play({"server": server, "client": client})
