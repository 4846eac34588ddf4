"""Nobody answers the SYN: connect() waits until its patience ends.

A filter on the listener throws every SYN away, as a firewall would. The kernel sends the SYN again and again; the
client gives up after five seconds. Without a timeout it would be told ETIMEDOUT after about two minutes. Compare
``refused``: there an answer comes at once.
"""

import ctypes
import socket
import struct
import time

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("unanswered", net_admin=True)
ADDRESS = ("127.0.0.1", 8001)
PATIENCE_S = 5
SO_ATTACH_FILTER = 26  # socket(7)
_THROW_AWAY = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction of the packet filter: keep 0 bytes


def server() -> None:
    """Listen, and hear nothing."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        instructions = ctypes.create_string_buffer(_THROW_AWAY)
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(instructions)))
        listener.bind(ADDRESS)
        listener.listen()
        wait("given-up")


def client() -> None:
    """Connect, with some patience."""
    begin = time.monotonic()
    with socket.socket() as connection:
        connection.settimeout(PATIENCE_S)
        try:
            connection.connect(ADDRESS)
        except TimeoutError as error:
            print(f"{type(error).__name__} after {time.monotonic() - begin:.0f} s: {error}")
    tell("given-up")


if __name__ == "__main__":
    play({"server": server, "client": client})
