"""What several demos need: reading exactly as many bytes as are wanted."""

import socket


def receive_exactly(connection: socket.socket, count: int) -> bytes:
    """Read ``count`` bytes: one recv() may return fewer, since TCP has bytes and no messages.

    Raises ConnectionError when the stream ends before.
    """
    received = b""
    while len(received) < count:
        piece = connection.recv(count - len(received))
        if not piece:  # b"" never means "nothing yet": the peer has closed
            raise ConnectionError(f"closed after {len(received)} of {count} bytes")
        received += piece
    return received
