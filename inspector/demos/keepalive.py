"""Is anybody there? Keep-alive probes on an idle connection, first answered, then not.

TCP notices nothing when the peer's cable is pulled: an idle connection stays ESTABLISHED. With SO_KEEPALIVE the
kernel asks after a while with a segment without data. Unanswered three times, it gives up: a reset, and ETIMEDOUT for
the program. The default is two hours; here it is a second. A filter plays the pulled cable.
"""

import ctypes
import socket
import struct
import time

from inspector.demos import Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("keepalive", net_admin=True)
ADDRESS = ("127.0.0.1", 8001)
ANSWERED_S = 2.5
SO_ATTACH_FILTER = 26  # socket(7)
_THROW_AWAY = struct.pack("HBBI", 0x06, 0, 0, 0)  # one instruction of the packet filter: keep 0 bytes


def server() -> None:
    """Be silent, then be gone."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            time.sleep(ANSWERED_S)  # the kernel answers the probes meanwhile
            instructions = ctypes.create_string_buffer(_THROW_AWAY)
            connection.setsockopt(
                socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(instructions))
            )
            wait("the client has given up")


def client() -> None:
    """Wait for something that never comes."""
    with socket.create_connection(ADDRESS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 1)  # seconds of silence before the first probe
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 1)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        try:
            connection.recv(1)
        except TimeoutError as error:
            print("recv():", error)
        tell("the client has given up")


if __name__ == "__main__":
    play({"server": server, "client": client})
