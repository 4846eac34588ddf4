"""``http``: HTTP/1.1 messages, RFC 9112: where each begins, where its body begins, where it ends."""

import re
from collections import deque
from collections.abc import Generator

from inspector.framing.framer import Framer, FramingError, Waiting

LONGEST_HEADERS = 1 << 20
_REQUEST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) [^ ]+ HTTP/1\.[01]")
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: |$)")
_CHUNK = re.compile(rb"\s*([0-9A-Fa-f]{1,15})\s*(?:;|$)")


Headers = dict[bytes, list[bytes]]


class HttpFramer(Framer):
    """Requests or responses; ``methods`` are those of requests that wait for their responses, shared by both."""

    def __init__(self, methods: deque[str]) -> None:
        self._methods = methods
        super().__init__()

    def messages(self) -> Waiting:
        """One after the other, RFC 9112 section 2."""
        while True:
            first, headers = yield from self._block()
            status, request = _STATUS.match(first), _REQUEST.fullmatch(first)
            if status is not None:
                self.end_header(status[1].decode("ascii"))
                yield from self._response(int(status[1]), headers)
            elif request is not None:
                method = request[1].decode("ascii")
                self.end_header(method)
                self._methods.append(method)
                yield from self._body(headers, until_close=False)

    def _block(self) -> Generator[None, None, tuple[bytes, Headers]]:
        """The first line and the headers. Lines may end with LF alone, and a request may come after empty ones (RFC
        9112 section 2.2)."""
        start, lines = self.offset, list[bytes]()
        while True:
            line = yield from self.take_until(b"\n", LONGEST_HEADERS - (self.offset - start))
            text = line[:-1].removesuffix(b"\r")
            if not text and lines:
                return lines[0], _headers(lines[1:])
            if text:
                lines.append(text)
            if len(lines) == 1 and not (_STATUS.match(lines[0]) or _REQUEST.fullmatch(lines[0])):
                raise FramingError(start, "start_line")

    def _response(self, status: int, headers: Headers) -> Waiting:
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

    def _body(self, headers: Headers, *, until_close: bool) -> Waiting:
        coding, lengths = headers.get(b"transfer-encoding", []), headers.get(b"content-length", [])
        if coding:
            if coding[-1].lower().endswith(b"chunked"):
                yield from self._chunks()
            elif until_close:
                yield from self.skip_all()
            else:
                raise FramingError(self._begun, "transfer_encoding")
        elif lengths:
            length = lengths[0]
            if not length.isdigit() or len(length) > 18 or len(set(lengths)) > 1:
                raise FramingError(self._begun, "content_length")
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


def _headers(lines: list[bytes]) -> Headers:
    found: Headers = {}
    for name, _, value in (line.partition(b":") for line in lines):
        found.setdefault(name.strip().lower(), []).append(value.strip())
    return found
