"""A connection that is never closed: CLOSE-WAIT here, FIN-WAIT-2 there, for as long as the program runs.

The tutorial's select server takes an ended connection out of its list and forgets it. The client's FIN is
acknowledged by the kernel, but only close() sends the server's own. CLOSE-WAIT always means: this program has not
closed.
"""

import select
import socket

from inspector.demos import FIXED, TUTORIAL, Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("close-wait", variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8001)


def server(variant: str) -> None:
    """Serve one connection with select; what is done at its end makes the difference."""
    with socket.create_server(ADDRESS) as listener:
        waiting = [listener]
        ended: list[socket.socket] = []
        while not ended:
            for ready in select.select(waiting, [], [])[0]:
                if ready is listener:
                    waiting.append(listener.accept()[0])
                elif not ready.recv(1024):
                    waiting.remove(ready)
                    ended.append(ready)  # something still refers to it, as the loop variable does in the tutorial
        if variant == FIXED:
            ended[0].close()
        tell("the server has seen the end")
        wait("the client has looked")


def client(_variant: str) -> None:
    """Talk, end the sending, look for the server's end."""
    with socket.create_connection(ADDRESS) as connection:
        connection.sendall(b"hello")
        connection.shutdown(socket.SHUT_WR)
        wait("the server has seen the end")
        connection.settimeout(0.5)
        try:
            print("recv():", connection.recv(1))
        except TimeoutError:
            print("no FIN from the server: it stands in CLOSE-WAIT")
        tell("the client has looked")


if __name__ == "__main__":
    play({"server": server, "client": client})
