"""No answer to a SYN: it is sent again, and again, until somebody answers.

A filter on the listener throws the SYNs away for two and a half seconds. The client's connect() waits; its kernel
sends the SYN again after a second, and so on; the pauses grow, on a newer Linux only after the first few. Compare
``refused``: there an answer comes at once.
"""

import ctypes
import socket
import struct
import time

from inspector.demos import Demo, play

DEMO = Demo("syn-retry", net_admin=True)
ADDRESS = ("127.0.0.1", 8001)
LOSS_S = 2.5
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27  # socket(7)
_THROW_AWAY = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction of the packet filter: keep 0 bytes


def server() -> None:
    """Listen, and be deaf for a while."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        instructions = ctypes.create_string_buffer(_THROW_AWAY)
        listener.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(instructions)))
        listener.bind(ADDRESS)
        listener.listen()
        time.sleep(LOSS_S)
        listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        listener.accept()[0].close()


def client() -> None:
    """Connect, with patience."""
    begin = time.monotonic()
    with socket.create_connection(ADDRESS, timeout=20) as connection:
        print(f"connected after {time.monotonic() - begin:.0f} s")
        connection.recv(1)


if __name__ == "__main__":
    play({"server": server, "client": client})
