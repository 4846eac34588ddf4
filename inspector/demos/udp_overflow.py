"""Twenty datagrams, six of them received: a full receive buffer drops the rest without a word.

Every datagram is on the wire - on loopback none is lost on the way. The receiver's program reads late and its buffer
is small; what finds no room is thrown away, and neither side is told. UDP leaves pacing to the programs.
"""

import socket

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("udp-overflow")
ADDRESS = ("127.0.0.1", 8002)
SENT = 20


def server() -> None:
    """Read when all has been sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        endpoint.bind(ADDRESS)
        wait("all are sent")
        endpoint.setblocking(False)
        received = 0
        while True:
            try:
                endpoint.recvfrom(1024)
            except BlockingIOError:
                break
            received += 1
        print(f"{received} of {SENT} datagrams received")


def client() -> None:
    """Send faster than anybody reads."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as endpoint:
        for number in range(SENT):
            endpoint.sendto(b"%02d" % number + bytes(498), ADDRESS)
    tell("all are sent")


if __name__ == "__main__":
    play({"server": server, "client": client})
