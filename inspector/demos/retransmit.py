"""A segment is lost, and TCP sends it again: nobody's program notices.

A filter on the server's socket throws its segments away for a while, as a bad line would. The client's sendall() has
long returned: it means "the kernel has taken it", not "it has arrived". No ACK comes, so the kernel sends the segment
again, and waits twice as long each time.
"""

import ctypes
import socket
import struct
import time

from inspector.demos import Demo, play
from inspector.demos.sockets import receive_exactly
from inspector.demos.stage import tell, wait

DEMO = Demo("retransmit", net_admin=True)
ADDRESS = ("127.0.0.1", 8001)
LOSS_S = 1.0
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # socket(7)
_THROW_AWAY = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction of the packet filter: keep 0 bytes


def server() -> None:
    """Be deaf for a second, then read."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            lose_everything(connection)
            tell("the line is dead")
            time.sleep(LOSS_S)
            connection.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
            print("recv():", receive_exactly(connection, len(b"hello")))


def lose_everything(connection: socket.socket) -> None:
    """Drop whatever comes for this socket, after it was captured; Linux asks for CAP_NET_ADMIN for that."""
    instructions = ctypes.create_string_buffer(_THROW_AWAY)
    program = struct.pack("HP", 1, ctypes.addressof(instructions))
    connection.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)


def client() -> None:
    """Send once."""
    with socket.create_connection(ADDRESS) as connection:
        wait("the line is dead")
        connection.sendall(b"hello")
        print("sendall() has returned")
        connection.recv(1)  # until the server closes


if __name__ == "__main__":
    play({"server": server, "client": client})
