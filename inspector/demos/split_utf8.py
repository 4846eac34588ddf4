"""A character cut in two: recv() counts bytes, and 你 has three of them.

400 times 你 are 1200 bytes. recv(1024) takes 341 characters and one byte of the next: decoding that piece fails. Right
is to decode when the message is complete - here: at the end of the stream - or to use an incremental decoder.
"""

import socket

from inspector.demos import FIXED, TUTORIAL, Demo, play
from inspector.demos.stage import tell, wait

DEMO = Demo("split-utf8", variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8001)
TEXT = "你" * 400


def in_pieces(connection: socket.socket) -> str:
    """What the tutorial does: take each piece for text."""
    text = ""
    while piece := connection.recv(1024):
        try:
            text += piece.decode()
        except UnicodeDecodeError as error:
            print(f"UnicodeDecodeError: {error}")
    return text


def whole(connection: socket.socket) -> str:
    """Bytes until the message is complete, then text."""
    message = b""
    while piece := connection.recv(1024):
        message += piece
    return message.decode()


def server(variant: str) -> None:
    """Read pieces of at most 1024 bytes; decode each, or first put the message together."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            wait("all is sent")
            text = in_pieces(connection) if variant == TUTORIAL else whole(connection)
            print(f"{len(text)} characters, {'right' if text == TEXT else 'wrong'}")


def client(_variant: str) -> None:
    """Send all at once."""
    with socket.create_connection(ADDRESS) as connection:
        connection.sendall(TEXT.encode())
        connection.shutdown(socket.SHUT_WR)
        tell("all is sent")
        connection.recv(1)  # until the server closes


if __name__ == "__main__":
    play({"server": server, "client": client})
