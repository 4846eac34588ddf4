"""``json-lines``: one JSON value a line (jsonlines.org)."""

import json

from inspector.framing.framer import FramingError
from inspector.framing.line import LineFramer


class JsonLinesFramer(LineFramer):
    """Lines that are JSON."""

    def check(self, line: bytes) -> None:
        """It must be JSON."""
        try:
            json.loads(line)
        except (ValueError, RecursionError):
            raise FramingError(self.offset - len(line), "json") from None
