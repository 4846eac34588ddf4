"""Five downloads at once in one thread: select() says which socket has something.

Connected is a socket that is writable AND whose SO_ERROR is 0: a failed connect is writable too. One recv() is a
piece of an answer, not the answer: right is to read until Content-Length is complete. The tutorial takes one recv()
for the whole picture, splits at every empty line - there is one inside the picture - and closes with the rest unread:
a reset.
"""

import select
import socket
import threading

from inspector.demos import FIXED, TUTORIAL, Demo, play

DEMO = Demo("fetch", variants=(FIXED, TUTORIAL))
ADDRESS = ("127.0.0.1", 8080)
DOWNLOADS = 5
END_OF_HEADERS = b"\r\n\r\n"
PICTURE = (b"\x89PNG" + bytes(9_994) + END_OF_HEADERS) * 2  # an empty line is nothing special in a picture


def server(_variant: str) -> None:
    """Send the picture to everybody, each in a thread of its own."""
    with socket.create_server(ADDRESS, backlog=DOWNLOADS) as listener:
        threads = []
        for _ in range(DOWNLOADS):
            connection, _address = listener.accept()
            threads.append(threading.Thread(target=serve, args=(connection,)))
            threads[-1].start()
        for thread in threads:
            thread.join()


def serve(connection: socket.socket) -> None:
    """One request, one answer, and wait for the end."""
    with connection:
        connection.recv(1024)
        headers = b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: %d" % len(PICTURE)
        try:
            connection.sendall(headers + END_OF_HEADERS + PICTURE)
            connection.recv(1024)
        except ConnectionResetError:
            print("reset by the client, which had not read everything")


def client(variant: str) -> None:
    """Start all, then follow whoever is ready."""
    starting: list[socket.socket] = []
    running: dict[socket.socket, bytes] = {}
    complete = 0
    for _ in range(DOWNLOADS):
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(ADDRESS)  # EINPROGRESS
        starting.append(connection)
    while starting or running:
        readable, writable, _ = select.select(list(running), starting, [])
        for connection in writable:
            starting.remove(connection)
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                connection.close()
                continue
            connection.sendall(b"GET /picture.png HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            running[connection] = b""
        for connection in readable:
            running[connection] += connection.recv(8192)
            if variant == TUTORIAL or is_complete(running[connection]):
                kept = body_of(running.pop(connection), variant)
                complete += kept == PICTURE
                connection.close()
    print(f"{complete} of {DOWNLOADS} pictures are complete")


def is_complete(answer: bytes) -> bool:
    """Whether headers and as many bytes as they announce are there."""
    headers, empty_line, body = answer.partition(END_OF_HEADERS)
    return bool(empty_line) and len(body) >= int(headers.rpartition(b"Content-Length: ")[2])


def body_of(answer: bytes, variant: str) -> bytes:
    """What is after the first empty line; in the tutorial after the last one."""
    return answer.split(END_OF_HEADERS)[-1] if variant == TUTORIAL else answer.partition(END_OF_HEADERS)[2]


if __name__ == "__main__":
    play({"server": server, "client": client})
