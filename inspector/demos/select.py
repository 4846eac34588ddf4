"""One program, three connections: select() sleeps until a socket is ready and says which.

The server waits for its listener and for every connection at once. A listener is readable when a connection is
complete, a connection when data or its end has come. A connection that has ended is taken out of the list AND closed:
without close() it would stand in CLOSE-WAIT for ever.
"""

import select
import socket

from inspector.demos import Demo, play
from inspector.demos.sockets import receive_exactly
from inspector.demos.stage import tell, wait

DEMO = Demo("select", roles=("server", "first", "second", "third"))
ADDRESS = ("127.0.0.1", 8001)


def server() -> None:
    """Serve until all three have come and gone."""
    served = 0
    with socket.create_server(ADDRESS) as listener:
        waiting = [listener]
        while served < 3:
            readable, _, _ = select.select(waiting, [], [])  # no timeout: it sleeps, it does not look again and again
            for ready in readable:
                if ready is listener:
                    connection, _address = listener.accept()
                    waiting.append(connection)
                elif data := ready.recv(1024):
                    ready.sendall(data.upper())
                else:
                    waiting.remove(ready)
                    ready.close()
                    served += 1


def talk(word: bytes) -> socket.socket:
    """Connect, say a word, read the answer."""
    connection = socket.create_connection(ADDRESS)
    connection.sendall(word)
    print(receive_exactly(connection, len(word)).decode())
    return connection


def first() -> None:
    """The first to come and the last to go."""
    with talk(b"one"):
        tell("first has talked")
        wait("third has gone")


def second() -> None:
    """Comes while the first is there."""
    wait("first has talked")
    with talk(b"two"):
        tell("second has talked")


def third() -> None:
    """Comes last, and lets the first go."""
    wait("second has talked")
    with talk(b"three"):
        pass
    tell("third has gone")


if __name__ == "__main__":
    play({"server": server, "first": first, "second": second, "third": third})
