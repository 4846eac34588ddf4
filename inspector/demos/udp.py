"""One datagram each way: no handshake, no connection, nothing to close; each recvfrom() is one datagram."""

import socket

from inspector.demos import Demo, play

DEMO = Demo("udp")
ADDRESS = ("127.0.0.1", 8002)
LARGEST_DATAGRAM = 65_507  # what a smaller buffer cannot hold is thrown away


def server() -> None:
    """Answer one datagram, then end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.bind(ADDRESS)
        _text, sender = endpoint.recvfrom(LARGEST_DATAGRAM)
        endpoint.sendto("好的".encode(), sender)


def client() -> None:
    """Ask once; a datagram may be lost, so wait for the answer only so long."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.settimeout(5)
        endpoint.sendto("你好".encode(), ADDRESS)
        answer, _sender = endpoint.recvfrom(LARGEST_DATAGRAM)
        print(answer.decode())


if __name__ == "__main__":
    play({"server": server, "client": client})
