"""Scenes written as text: segments as in ``scenarios/``, with times and options, and the calls of both programs."""

from collections.abc import Sequence
from typing import Any

from ladder_scenarios import LETTERS, part_of
from test_tcp_scenarios import segment_of

from inspector.calls.call import SocketCall
from inspector.calls.matching import CallIndex
from inspector.explain.scene import Scene
from inspector.tcp.options import TcpOptions
from inspector.tcp.segment import Segment
from inspector.trace.calls import conversation_calls

CLIENT, SERVER = ("127.0.0.1", 50000), ("127.0.0.1", 8001)
_ABBREVIATIONS = {
    "OPEN": (
        "C SYN seq=100 mss=65495 scale=10",
        "S SYN,ACK seq=300 ack=101 mss=65495 scale=10",
        "C ACK seq=101 ack=301",
    ),
}
_OPTIONS = ("mss", "scale", "sack", "cookie", "timestamps", "sacks")
_NS_PER_MS = 1_000_000


def segments_of(texts: Sequence[str]) -> list[Segment]:
    """The segments, a millisecond apart where ``at=`` gives no other time (ms since the first)."""
    lines = [line for text in texts for line in _ABBREVIATIONS.get(text, (text,))]
    return [_segment(line, packet) for packet, line in enumerate(lines, start=1)]


def _segment(line: str, packet: int) -> Segment:
    words = line.split()
    given = dict(word.split("=") for word in words[2:])
    plain = [f"{name}={value}" for name, value in given.items() if name not in (*_OPTIONS, "at", "id")]
    segment = segment_of(" ".join([*words[:2], *plain]), packet)
    time_ns = int(float(given["at"]) * _NS_PER_MS) if "at" in given else segment.time_ns
    options = TcpOptions(
        mss=int(given["mss"]) if "mss" in given else None,
        window_scale=int(given["scale"]) if "scale" in given else None,
        sack_permitted="sack" in given,
        sack_blocks=tuple(_pair(block) for block in given["sacks"].split(",")) if "sacks" in given else (),
        timestamp=_pair(given["timestamps"]) if "timestamps" in given else None,
        fast_open_cookie=bytes(int(given["cookie"])) if "cookie" in given else None,
    )
    return segment._replace(time_ns=time_ns, options=options, identification=int(given.get("id", 0)))


def _pair(text: str) -> tuple[int, int]:
    first, _, second = text.partition("-")
    return int(first), int(second)


def call_of(line: str) -> SocketCall:
    """A call: side, name, when it entered (ms), and what is said of it: for=, asked=, returned=, error=, detail=."""
    side, name, *words = line.split()
    given = dict(word.split("=", 1) for word in words)
    enter_ns = int(float(given["at"]) * _NS_PER_MS)
    own, other = (CLIENT, SERVER) if side == "C" else (SERVER, CLIENT)
    listener = name in ("listen",) or "listener" in given
    return SocketCall(
        process=1 if side == "C" else 2,
        thread=1,
        name=name,
        fd=3,
        socket=1 if listener else 2,
        enter_ns=enter_ns,
        exit_ns=enter_ns + int(float(given.get("for", "0.01")) * _NS_PER_MS),
        asked=int(given["asked"]) if "asked" in given else None,
        returned=int(given["returned"]) if "returned" in given else None,
        error=given.get("error", ""),
        protocol="TCP",
        local=own,
        remote=None if listener else other,
        detail=given.get("detail", "").replace("~", " "),
    )


def scene_of(texts: Sequence[str], calls: Sequence[str] = (), payload: bytes = LETTERS, **changed: Any) -> Scene:
    """The conversation of these segments and calls, analysed; payload bytes follow from their place in the stream."""
    part = part_of(segments_of(texts), payload, **changed)
    index = CallIndex([call_of(line) for line in calls])
    linked = conversation_calls(index, part.conversation, part.rows)
    return Scene(part.conversation, part.rows, part.end, linked)
