"""A file is sent: its size first, then its bytes - and what happens when nothing says where the size ends.

The tutorial sends the size as decimal text and then the file. Both arrive in one recv(): ``4`` and ``2024`` become
the size 42024, and the server waits for bytes that never come, since b"" is not taken for the end. Right: a header of
fixed length with size and hash, exact reads, a limit, and an answer. Variant ``half-way``: the client dies in the
middle, and the server notices, because it looks for the end.
"""

import hashlib
import socket
import struct

from inspector.demos import FIXED, TUTORIAL, Demo, play
from inspector.demos.sockets import receive_exactly
from inspector.demos.stage import tell, wait

HALF_WAY = "half-way"
DEMO = Demo("upload", variants=(FIXED, TUTORIAL, HALF_WAY))
ADDRESS = ("127.0.0.1", 8001)
HEADER = struct.Struct("!Q32s")  # size, SHA-256
LARGEST = 1 << 20
FILE = b"2024"
SPINS_SHOWN = 5


def server(variant: str) -> None:
    """Receive one file."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            if variant == TUTORIAL:
                wait("all is sent")
                receive_as_in_the_tutorial(connection)
            else:
                receive_file(connection)


def receive_file(connection: socket.socket) -> None:
    """Header, then exactly so many bytes, then whether they are the right ones."""
    try:
        size, digest = HEADER.unpack(receive_exactly(connection, HEADER.size))
        if size > LARGEST:
            raise ValueError(f"a file of {size} bytes is not taken here")
        data = receive_exactly(connection, size)
    except ConnectionError as error:
        print(f"no file: {error}")
        return
    right = hashlib.sha256(data).digest() == digest
    print(f"{size} bytes, hash {'right' if right else 'wrong'}")
    connection.sendall(b"ok" if right else b"no")


def receive_as_in_the_tutorial(connection: socket.socket) -> None:
    """Take one recv() for the size, and wait for so much without looking for the end."""
    size = int(connection.recv(1024).decode())
    print(f"size {size}: the size and the file stuck together")
    received = b""
    for _ in range(SPINS_SHOWN):  # the tutorial's loop has no end: it spins, with all of a processor's time
        received += connection.recv(1024)
    print(f"{len(received)} of {size} bytes; recv() returns b'' again and again, and nobody asks why")


def client(variant: str) -> None:
    """Send the file."""
    with socket.create_connection(ADDRESS) as connection:
        if variant == TUTORIAL:
            connection.sendall(str(len(FILE)).encode())
            connection.sendall(FILE)
            tell("all is sent")
            return
        data = FILE * 256
        connection.sendall(HEADER.pack(len(data), hashlib.sha256(data).digest()))
        if variant == HALF_WAY:
            connection.sendall(data[: len(data) // 2])
            return
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)  # nothing more to send; the answer can still come
        print("the server says:", receive_exactly(connection, 2).decode())


if __name__ == "__main__":
    play({"server": server, "client": client})
