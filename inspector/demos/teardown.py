"""The four-way teardown, and why a capture often shows three segments: the ACK and the FIN share one.

Each direction is closed by its own FIN, and each FIN is acknowledged. When the passive side's program takes its time
before it closes, its kernel's ACK goes alone: four segments. When it closes at once, the ACK waits for company and
goes with the FIN: three. Both are right. Who closed first stands in TIME-WAIT afterwards.
"""

import socket
import time

from inspector.demos import Demo, play
from inspector.demos.sockets import receive_exactly

DEMO = Demo("teardown", variants=("four", "three"))
ADDRESS = ("127.0.0.1", 8001)
LONGER_THAN_A_DELAYED_ACK_S = 0.3


def server(_variant: str) -> None:
    """Answer, then close first."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            connection.sendall(receive_exactly(connection, len(b"hello")) + b" world")


def client(variant: str) -> None:
    """Close when the server has closed: at once, or after a while."""
    with socket.create_connection(ADDRESS) as connection:
        connection.sendall(b"hello")
        receive_exactly(connection, len(b"hello world"))
        if variant == "three":
            # Linux then holds back an ACK up to 40 ms, in case something is there to go with it.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
        connection.recv(1)  # b"": the server's FIN has come
        if variant == "four":
            time.sleep(LONGER_THAN_A_DELAYED_ACK_S)  # a program that has other things to do: CLOSE-WAIT meanwhile


if __name__ == "__main__":
    play({"server": server, "client": client})
