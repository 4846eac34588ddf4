"""HTTP is text in TCP: a request line, headers, an empty line, and a body as long as the headers say.

The client asks for ``/s?wd=你好``. In a URL only ASCII may stand, so the six bytes of 你好 are sent percent-encoded;
the answer is read until its Content-Length is complete. The tutorial's request has the characters raw and ``http1.1``
without a slash: a malformed request line, answered by 400; and it takes one recv() for the whole answer.
"""

import socket
from urllib.parse import quote, unquote

from inspector.demos import FIXED, TUTORIAL, Demo, play
from inspector.demos.sockets import receive_exactly

DEMO = Demo("http", variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8080)
END_OF_HEADERS = b"\r\n\r\n"
LONGEST_HEADERS = 8192


def server(_variant: str) -> None:
    """Answer one request."""
    with socket.create_server(ADDRESS) as listener:
        connection, _address = listener.accept()
        with connection:
            request, _body = receive_headers(connection)
            method, target, version = (request.split(b"\r\n")[0].split(b" ") + [b""] * 3)[:3]
            if (method, version) == (b"GET", b"HTTP/1.1") and target.isascii():
                status, body = b"200 OK", f"you asked for {unquote(target.decode())}\n".encode()
            else:
                status, body = b"400 Bad Request", b"this request line is no HTTP\n"
            headers = [b"HTTP/1.1 " + status, b"Content-Type: text/plain; charset=utf-8"]
            headers += [b"Content-Length: %d" % len(body), b"Connection: close"]
            connection.sendall(b"\r\n".join(headers) + END_OF_HEADERS)
            connection.sendall(body)


def client(variant: str) -> None:
    """Ask, and read the answer."""
    with socket.create_connection(ADDRESS) as connection:
        if variant == TUTORIAL:
            connection.sendall("GET /s?wd=你好 http1.1\r\nhost:127.0.0.1\r\n\r\n".encode())
            print(connection.recv(8196).decode())  # whatever has arrived by now
            return
        target = quote("/s?wd=你好", safe="/?=")
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n".encode())
        headers, body = receive_headers(connection)
        lines = dict(line.lower().split(b": ", 1) for line in headers.split(b"\r\n")[1:])
        print(headers.split(b"\r\n")[0].decode())
        body += receive_exactly(connection, int(lines[b"content-length"]) - len(body))
        print(body.decode())


def receive_headers(connection: socket.socket) -> tuple[bytes, bytes]:
    """Everything before the empty line, and what has already come of the body behind it."""
    received = b""
    while END_OF_HEADERS not in received:
        piece = connection.recv(1024)
        if not piece or len(received) > LONGEST_HEADERS:
            raise ValueError("these headers have no end")
        received += piece
    headers, _, body = received.partition(END_OF_HEADERS)
    return headers, body


if __name__ == "__main__":
    play({"server": server, "client": client})
