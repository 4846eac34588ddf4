"""How much fits into a segment: 65,483 bytes on loopback, 1,448 on an Ethernet.

The largest segment follows from the MTU: 1,500 on Ethernet, less 40 bytes of headers is the MSS, less 12 of timestamps
is the payload. Loopback's MTU is 65,536, but no IPv4 packet is longer than 65,535: its MSS is 65,495. Nobody asks the
program: it calls sendall() once.
"""

import socket

from inspector.demos import Demo, play
from inspector.demos.sockets import receive_exactly

DEMO = Demo("mtu", variants=("loopback", "ethernet"), mtu_of={"ethernet": 1500})
ADDRESS = ("127.0.0.1", 8001)
SIZE = 20_000


def server(_variant: str) -> None:
    """Take it all."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            print(f"{len(receive_exactly(connection, SIZE)):,} bytes received")


def client(_variant: str) -> None:
    """Send it in one call."""
    with socket.create_connection(ADDRESS) as connection:
        connection.sendall(bytes(SIZE))
        connection.recv(1)  # until the server closes


if __name__ == "__main__":
    play({"server": server, "client": client})
