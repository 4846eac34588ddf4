"""Messages with a length before them, cut in every way: a header in four segments, three messages in one.

TCP keeps the order of bytes, not the pieces in which they were sent. Reading exactly the header, then exactly the
body, is right whatever the pieces are. Taking what one recv(4) gives for the whole header fails once one is cut.
"""

import socket
import struct

from inspector.demos import FIXED, TUTORIAL, Demo, play
from inspector.demos.sockets import receive_exactly
from inspector.demos.stage import tell, wait

DEMO = Demo("frames", variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8001)
LENGTH = struct.Struct("!I")
LONGEST = 1024
MESSAGES = ("alex正在吃", "饺子", "!")


def server(variant: str) -> None:
    """Read four messages; as in the tutorial: take each recv() for a whole one."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            wait("the first byte is sent")
            try:
                for _ in range(1 + len(MESSAGES)):
                    print(receive_in_one(connection) if variant == TUTORIAL else receive_message(connection))
            except struct.error as error:
                print(f"struct.error: {error}: recv(4) returned less than a header")
                tell("the server has given up")


def receive_message(connection: socket.socket) -> str:
    """The length first, then exactly so many bytes; decoded only when all of them are there."""
    (length,) = LENGTH.unpack(receive_exactly(connection, LENGTH.size))
    if length > LONGEST:
        raise ValueError(f"a message of {length} bytes is not expected here")
    return receive_exactly(connection, length).decode()


def receive_in_one(connection: socket.socket) -> str:
    """The tutorial's way: right only while nothing is cut."""
    (length,) = LENGTH.unpack(connection.recv(LENGTH.size))
    return connection.recv(length).decode()


def client(variant: str) -> None:
    """Send, and see whether the server has had enough."""
    with socket.create_connection(ADDRESS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # each send() its own segment
        try:
            send_all(connection, variant)
            connection.recv(1)  # until the server closes
        except OSError as error:  # what was not read when the server closed was answered by a reset
            print(error)


def send_all(connection: socket.socket, variant: str) -> None:
    """One message with its header byte by byte, then three in one piece."""
    first = frame("你")
    for at in range(LENGTH.size):
        connection.sendall(first[at : at + 1])
        if at == 0:
            tell("the first byte is sent")
            if variant == TUTORIAL:
                wait("the server has given up")
    connection.sendall(first[LENGTH.size :])
    connection.sendall(b"".join(map(frame, MESSAGES)))


def frame(message: str) -> bytes:
    """Length and body; the length counts bytes, not characters."""
    body = message.encode()
    return LENGTH.pack(len(body)) + body


if __name__ == "__main__":
    play({"server": server, "client": client})
