"""The same twelve bytes, read four at a time, by select, poll and epoll: who is woken how often?

Select, poll and epoll as it is by default are level-triggered: they report a socket as long as it has something, so
four bytes read of twelve means: woken again. Edge-triggered epoll reports only what is new: once for the twelve
bytes, and then not before another byte comes. Who uses it reads until EAGAIN.
"""

import select
import socket
from collections.abc import Callable

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("readiness")
ADDRESS = ("127.0.0.1", 8001)
TRIES = 3  # looks after the twelve bytes have come


def server() -> None:
    """Look with one method after the other, each at a connection of its own."""
    with socket.create_server(ADDRESS) as listener:
        for name, looker in METHODS.items():
            connection, _address = listener.accept()
            with connection:
                ready = looker(connection)
                wait(f"{name}: twelve bytes are sent")
                woken = ["yes" if look(ready, connection) else "no" for _ in range(TRIES)]
                tell(f"{name}: looked")
                wait(f"{name}: one more is sent")
                woken.append("yes" if ready() else "no")
                print(f"{name:22} woken {', '.join(woken[:TRIES])}; after one byte more: {woken[-1]}")
                connection.recv(1024)


def look(ready: Callable[[], bool], connection: socket.socket) -> bool:
    """Whether the method reports the socket; then four bytes are read, not all."""
    woken = ready()
    if woken:
        connection.recv(4)
    return woken


def by_select(connection: socket.socket) -> Callable[[], bool]:
    """select(): the sets are handed over anew each time."""
    return lambda: bool(select.select([connection], [], [], 0)[0])


def by_poll(connection: socket.socket) -> Callable[[], bool]:
    """poll(): a list, without a limit on the numbers of descriptors."""
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return lambda: bool(poll.poll(0))


def by_epoll(connection: socket.socket, events: int = select.EPOLLIN) -> Callable[[], bool]:
    """epoll: the kernel keeps the list."""
    epoll = select.epoll()
    epoll.register(connection, events)
    return lambda: bool(epoll.poll(0))


def by_edges(connection: socket.socket) -> Callable[[], bool]:
    """epoll, edge-triggered."""
    return by_epoll(connection, select.EPOLLIN | select.EPOLLET)


METHODS = {"select": by_select, "poll": by_poll, "epoll, level-triggered": by_epoll, "epoll, edge-triggered": by_edges}


def client() -> None:
    """Twelve bytes, and later one more, for each method."""
    for name in METHODS:
        with socket.create_connection(ADDRESS) as connection:
            connection.sendall(b"twelve bytes")
            tell(f"{name}: twelve bytes are sent")
            wait(f"{name}: looked")
            connection.sendall(b"!")
            tell(f"{name}: one more is sent")
            connection.recv(1)  # until the server closes


if __name__ == "__main__":
    play({"server": server, "client": client})
