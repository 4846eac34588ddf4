"""Two sends, one recv: TCP carries bytes, and nothing in them says where one send ended (粘包).

The client sends ``hello`` and ``world``; both have arrived before the server reads, and one recv() returns
``helloworld``. Then it sends both again, each after its length in four bytes, and the server tells them apart.
"""

import socket
import struct

from inspector.demos import Demo, play
from inspector.demos.sockets import receive_exactly
from inspector.demos.stage import tell, wait

DEMO = Demo("sticky")
ADDRESS = ("127.0.0.1", 8001)
LENGTH = struct.Struct("!I")  # network byte order, unsigned: the same four bytes on every machine
LONGEST = 1024  # never believe a length without a limit


def server() -> None:
    """Read late once, then read by lengths."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            wait("both are sent")
            print("one recv():", connection.recv(1024))
            tell("read")
            for _ in range(2):
                print("one message:", receive_message(connection))


def receive_message(connection: socket.socket) -> bytes:
    """The length first, then exactly so many bytes."""
    (length,) = LENGTH.unpack(receive_exactly(connection, LENGTH.size))
    if length > LONGEST:
        raise ValueError(f"a message of {length} bytes is not expected here")
    return receive_exactly(connection, length)


def client() -> None:
    """Send two words, twice."""
    with socket.create_connection(ADDRESS) as connection:
        for word in (b"hello", b"world"):
            connection.sendall(word)
        tell("both are sent")
        wait("read")
        for word in (b"hello", b"world"):
            connection.sendall(LENGTH.pack(len(word)) + word)


if __name__ == "__main__":
    play({"server": server, "client": client})
