"""``http``: HTTP/1.1 messages, RFC 9112: where each begins, where its body begins, where it ends."""

import re
from collections import deque

from inspector.framing.framer import Framer, FramingError, Waiting

LONGEST_HEADERS = 1 << 20
_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) [^ ]+ HTTP/1\.[01]")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |$)")
_CHUNK = re.compile(rb"\s*([0-9A-Fa-f]{1,15})\s*(?:;|$)")


class HttpFramer(Framer):
    """Requests or responses; ``methods`` are those of requests that wait for their responses, shared by both."""

    def __init__(self, methods: deque[str]) -> None:
        self._methods = methods
        super().__init__()

    def messages(self) -> Waiting:
        """One after the other, RFC 9112 section 2."""
        while True:
            block = yield from self.take_until(b"\r\n\r\n", LONGEST_HEADERS)
            first, *lines = block[:-4].split(b"\r\n")
            headers = _headers(lines)
            status = _STATUS.match(first)
            request = _REQUEST.fullmatch(first)
            if status is None and request is None:
                raise FramingError(self.offset - len(block), "start_line")
            self.end_header((status or request)[1].decode("ascii"))  # type: ignore[index]
            if request is not None:
                self._methods.append(request[1].decode("ascii"))
                yield from self._body(headers, until_close=False)
            elif status is not None:
                yield from self._response(int(status[1]), headers)

    def _response(self, status: int, headers: dict[bytes, bytes]) -> Waiting:
        """RFC 9112 section 6.3."""
        method = "" if status < 200 else self._methods.popleft() if self._methods else ""
        if status < 200 or status in (204, 304) or method == "HEAD" or (method == "CONNECT" and status < 300):
            self.emit()
        else:
            yield from self._body(headers, until_close=True)
        if status == 101 or (method == "CONNECT" and status < 300):  # another protocol follows
            yield from self.skip_all()
            if self.offset > self._begun:
                self.emit()

    def _body(self, headers: dict[bytes, bytes], *, until_close: bool) -> Waiting:
        if headers.get(b"transfer-encoding", b"").lower().endswith(b"chunked"):
            yield from self._chunks()
        elif b"content-length" in headers:
            length = headers[b"content-length"]
            if not length.isdigit() or len(length) > 18:
                raise FramingError(self.offset, "content_length")
            yield from self.skip(int(length))
        elif until_close:
            yield from self.skip_all()
        self.emit()

    def _chunks(self) -> Waiting:
        """RFC 9112 section 7.1; trailers end with an empty line."""
        size = -1
        while size:
            line = yield from self.take_until(b"\r\n", LONGEST_HEADERS)
            match = _CHUNK.match(line[:-2])
            if match is None:
                raise FramingError(self.offset - len(line), "chunk")
            size = int(match[1], 16)
            if size:
                yield from self.skip(size + 2)
        while (yield from self.take_until(b"\r\n", LONGEST_HEADERS)) != b"\r\n":
            pass


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
