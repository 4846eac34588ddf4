"""Sockets that never wait: BlockingIOError is no failure, it says "not yet" - and the kernel goes on meanwhile.

accept() and recv() find nothing (EAGAIN); connect() has sent its SYN and does not wait for the answer (EINPROGRESS).
Right is to wait with select() until the socket is ready, and then to ask SO_ERROR how the connect ended. The
tutorial's programs take the exception for the end: not a byte is sent, although the handshake is complete.
"""

import select
import socket

from inspector.demos import FIXED, TUTORIAL, Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("nonblocking", variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8001)


def server(variant: str) -> None:
    """Accept and read without ever blocking in either."""
    with socket.create_server(ADDRESS) as listener:
        listener.setblocking(False)
        try:
            listener.accept()
        except BlockingIOError as error:
            print("accept():", error)
        tell("server has tried")
        if variant == TUTORIAL:
            wait("client has tried")
            return
        select.select([listener], [], [])
        connection, _address = listener.accept()
        with connection:
            connection.setblocking(False)  # an accepted socket is blocking again on Linux
            try:
                connection.recv(1024)
            except BlockingIOError as error:
                print("recv():", error)
            tell("server has read nothing")
            select.select([connection], [], [])
            print("recv():", connection.recv(1024))


def client(variant: str) -> None:
    """Connect without waiting, then wait for the right thing."""
    wait("server has tried")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.setblocking(False)
        try:
            connection.connect(ADDRESS)
        except BlockingIOError as error:
            print("connect():", error)
        if variant == TUTORIAL:
            print("nothing is sent: the exception was taken for a failure")
            connection.close()
            tell("client has tried")
            return
        select.select([], [connection], [])  # writable: the connect has ended, well or not
        print("SO_ERROR:", connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        wait("server has read nothing")
        connection.sendall(b"hello")


if __name__ == "__main__":
    play({"server": server, "client": client})
