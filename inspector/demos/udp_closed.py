"""A datagram to a port where nobody is: sendto() succeeds, and an ICMP error comes back.

UDP has no connection that could fail. The other host's kernel answers with ICMP "port unreachable", and only a socket
that has called connect() - which sends nothing, it only remembers the peer - is told of it: ConnectionRefusedError.
"""

import socket

from inspector.demos import Demo, play

DEMO = Demo("udp-closed", roles=("client",))
ADDRESS = ("127.0.0.1", 8002)


def client() -> None:
    """Send to nobody, with a socket that hears of it and with one that does not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unconnected:
        unconnected.settimeout(0.3)  # without it recvfrom() would wait for ever
        unconnected.sendto(b"anybody?", ADDRESS)
        try:
            unconnected.recvfrom(1024)
        except TimeoutError:
            print("unconnected: no answer, no error")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connected:
        connected.connect(ADDRESS)
        connected.send(b"anybody?")
        try:
            connected.recv(1024)
        except ConnectionRefusedError as error:
            print("connected:", error)


if __name__ == "__main__":
    play({"client": client})
