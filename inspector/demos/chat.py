"""A chat in which the server speaks first, and two ways to make it hang.

The tutorial's server serves one client at a time: the second is connected - the kernel does that - and hears nothing
until the first has gone. And an empty line sends nothing at all: sendall(b"") makes no packet, the server waits for
the client, the client for the server. Right is a thread for each connection, and a line end behind every message, so
that an empty one is a byte too.
"""

import socket
import threading

from inspector.demos import FIXED, TUTORIAL, Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("chat", roles=("server", "first", "second"), variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8001)
GREETING = "欢迎来到聊天室\n"
PATIENCE_S = 0.5  # a watchdog: without it the deadlock would last for ever


def server(variant: str) -> None:
    """Serve two clients: one after the other, or both at once."""
    with socket.create_server(ADDRESS) as listener:
        threads = []
        for _ in range(2):
            connection, _address = listener.accept()
            if variant == TUTORIAL:
                serve(connection)
            else:
                threads.append(threading.Thread(target=serve, args=(connection,)))
                threads[-1].start()
        for thread in threads:
            thread.join()


def serve(connection: socket.socket) -> None:
    """Greet, answer, and end when the client does."""
    with connection:
        connection.sendall(GREETING.encode())
        while connection.recv(1024):  # b"": the client has closed
            connection.sendall("你说啥?\n".encode())


def first(variant: str) -> None:
    """Say something, then nothing."""
    with socket.create_connection(ADDRESS) as connection:
        print(connection.recv(1024).decode().strip())
        tell("first is greeted")
        end_of_line = b"" if variant == TUTORIAL else b"\n"
        connection.settimeout(PATIENCE_S)
        for said in ("hello", ""):
            connection.sendall(said.encode() + end_of_line)
            try:
                print(connection.recv(1024).decode().strip())
            except TimeoutError:
                print(f"no answer to {said!r} in {PATIENCE_S} s: nothing was sent, both sides wait")
        wait("second has listened")


def second(_variant: str) -> None:
    """Connect while the first is there."""
    wait("first is greeted")
    with socket.create_connection(ADDRESS) as connection:
        connection.settimeout(2 * PATIENCE_S)
        try:
            print(connection.recv(1024).decode().strip())
        except TimeoutError:
            print("connected, and not greeted: the server is busy with the first")
        tell("second has listened")
        connection.settimeout(None)
        connection.sendall(b"bye\n")
        connection.shutdown(socket.SHUT_WR)
        while heard := connection.recv(1024):  # to the end: closing with something unread would reset the connection
            print(heard.decode().strip())


if __name__ == "__main__":
    play({"server": server, "first": first, "second": second})
