"""One socket for both: a listener on :: takes IPv4 clients too, and shows them as ::ffff:127.0.0.1.

On the wire the second client's packets are plain IPv4; only the server's program sees the mapped address.
"""

import socket

from inspector.demos import Demo, play

DEMO = Demo("dual-stack")
PORT = 8001


def server() -> None:
    """Serve one client of each kind."""
    with socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        for _ in range(2):
            connection, address = listener.accept()
            with connection:
                print("accept():", address[0])


def client() -> None:
    """Come once over IPv6 and once over IPv4."""
    for host in ("::1", "127.0.0.1"):
        with socket.create_connection((host, PORT)) as connection:
            connection.recv(1)  # until the server closes


if __name__ == "__main__":
    play({"server": server, "client": client})
