"""How often the framing of a stream is found, and how often one is claimed where there is none.

python tests/benchmarks/inference.py [--streams N] [--captures FOLDER]

The same streams each time: messages of many sizes, as text and as bytes, in segments that follow the messages or not;
and the streams of FOLDER's captures of which tshark knows three messages or more.
"""

import argparse
import csv
import json
import os
import struct
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from inspector.framing.inference import Direction, infer
from inspector.trace.messages import inferred
from inspector.trace.trace import Trace

CAPTURES = Path(__file__).parents[3] / "shared" / "captures"
LEAST_MESSAGES = 3
# What tshark calls the lengths that it found, and the framing; None for protocols that have another one.
KNOWN = {
    "http.content_length": "http",
    "tls.record.length": "tls",
    "websocket.payload_length": "websocket",
    "ssh.packet_length": None,
    "mqtt.len": None,
    "tpkt.length": None,
    "mbtcp.len": None,
    "mysql.packet_length": None,
}
RIGHT_AT_LEAST, CLAIMED_AT_MOST = 0.95, 0.01
Bodies = list[bytes]


def bodies(dice: Random) -> Bodies:
    """Three messages or more: words, or bytes."""
    as_text = dice.random() < 0.6
    typical, number = dice.choice((8, 40, 300)), dice.randrange(3, 25)
    sizes = [min(int(dice.expovariate(1 / typical)) + 1, 60_000) for _ in range(number)]
    words = "the quick brown fox 你好 jumps over lazy dogs "
    return [(words * (size // 20 + 1))[:size].encode() if as_text else dice.randbytes(size) for size in sizes]


def packed(layout: str, counted: bool) -> Callable[[Bodies], list[bytes]]:
    """Messages with a length before them."""
    extra = struct.calcsize(layout) if counted else 0
    limit = (1 << 8 * struct.calcsize(layout)) - 1 - extra
    return lambda each: [struct.pack(layout, min(len(b), limit) + extra) + b[:limit] for b in each]


def http(each: Bodies) -> list[bytes]:
    """Posts."""
    return [b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body for body in each]


def websocket(each: Bodies) -> list[bytes]:
    """The upgrade, and binary frames."""
    upgrade = b"GET /chat HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    return [upgrade, *(b"\x82\x7e" + struct.pack("!H", len(body)) + body for body in each)]


FRAMED: dict[str, Callable[[Bodies], list[bytes]]] = {
    **{
        f"length:{layout}{',header' if counted else ''}": packed(layout, counted)
        for layout in ("!B", "!H", "<H", "!I", "<I", "!Q", "<Q")
        for counted in (False, True)
    },
    "line": lambda each: [body.hex().encode() + b"\n" for body in each],
    "json-lines": lambda each: [json.dumps({"data": body.hex()}).encode() + b"\n" for body in each],
    "tls": lambda each: [b"\x17\x03\x03" + struct.pack("!H", len(b[:16_000])) + b[:16_000] for b in each],
    "resp": lambda each: [b"*2\r\n$3\r\nSET\r\n$%d\r\n%b\r\n" % (len(body), body) for body in each],
    "http": http,
    "websocket": websocket,
    "dns": lambda each: [struct.pack("!H", len(b) + 12) + b"\0\7\1\0\0\1" + bytes(6) + b for b in each],
}
UNFRAMED: dict[str, Callable[[Random], bytes]] = {
    "random bytes": lambda dice: dice.randbytes(dice.randrange(30, 5_000)),
    "long random bytes": lambda dice: dice.randbytes(dice.randrange(50_000, 500_000)),
    "encrypted text": lambda dice: ChaCha20Poly1305(bytes(32)).encrypt(
        dice.randbytes(12), b"the quick brown fox " * dice.randrange(2, 500), b""
    ),
    "compressed": lambda dice: zlib.compress(" ".join(str(dice.random()) for _ in range(100)).encode()),
    "a picture's beginning": lambda dice: b"\x89PNG\r\n\x1a\n" + dice.randbytes(dice.randrange(30, 3_000)),
}


def in_segments(messages: list[bytes], dice: Random) -> Direction:
    """The stream, and where its segments begin: with messages, or as it comes."""
    data = b"".join(messages)
    ends = [sum(map(len, messages[:at])) for at in range(1, len(messages))]
    with_messages = [end for end in ends if dice.random() < 0.7]
    return data, with_messages if dice.random() < 0.5 else list(range(1448, len(data), 1448))


def real(folder: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """Of every stream that tshark knows the messages of: what it calls them, the framing, and what was found."""
    files = {path.name: path for path in (folder / "captures").rglob("*") if path.is_file()}
    for oracle in sorted((folder / "oracle").glob("*.framing.tsv")):
        kinds: dict[int, Counter[str]] = defaultdict(Counter)
        with oracle.open(newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                for each in row["pdu_lengths"].split(";"):
                    kind, _, lengths = each.partition("=")
                    kinds[int(row["tcp_stream"])][kind] += len(lengths.split(",")) if kind in KNOWN else 0
        with Trace.read(str(files[oracle.name.removesuffix(".framing.tsv")])) as trace:
            connections = [each.number for each in trace.conversations() if each.protocol == "TCP"]
            for stream, found in kinds.items():
                [kind, messages], *others = (+found).most_common() or [("", 0)]
                if messages >= LEAST_MESSAGES and not others:
                    best = inferred(trace, connections[stream]).best
                    yield kind, KNOWN[kind], None if best is None else best.framing


def count_real(folder: Path) -> None:
    """The captures of a folder, by what is in them."""
    counted: dict[str, Counter[bool]] = defaultdict(Counter)
    for kind, framing, found in real(folder):
        counted[f"{kind.partition('.')[0]}, {'framed' if framing else 'no framing here'}"][framing == found] += 1
    for kind, right in sorted(counted.items()):
        print(f"{kind:28} right in {right[True]} of {right.total()}")
    right_in_all = sum(counted.values(), Counter())
    share = right_in_all[True] / max(right_in_all.total(), 1)
    print(f"in all real streams          right in {share:6.1%}, at least {RIGHT_AT_LEAST:.0%}")


def main() -> None:
    """Count both kinds of mistakes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=100, metavar="N")
    parser.add_argument("--captures", type=Path, default=CAPTURES, metavar="FOLDER")
    options = parser.parse_args()
    streams = options.streams
    dice, right, total = Random(1), 0, 0
    for name, frame in FRAMED.items():
        own = 0
        for _ in range(streams):
            both = in_segments(frame(bodies(dice)), dice), in_segments(frame(bodies(dice)), dice)
            best = infer(*both).best
            own += best is not None and best.framing == name
        right, total = right + own, total + streams
        print(f"{name:20} right in {own / streams:6.1%}")
    print(f"in all               right in {right / total:6.1%}, at least {RIGHT_AT_LEAST:.0%}")
    claimed = tried = 0
    for name, make in UNFRAMED.items():
        pairs = [[in_segments([make(dice)], dice) for _ in range(2)] for _ in range(streams * 5)]
        own = sum(infer(*pair).best is not None for pair in pairs)
        claimed, tried = claimed + own, tried + streams * 5
        print(f"{name:20} claimed in {own / streams / 5:6.2%}")
    print(f"in all               claimed in {claimed / tried:6.2%}, at most {CLAIMED_AT_MOST:.0%}")
    if options.captures.is_dir():
        count_real(options.captures)
    large = packed("!I", False)([os.urandom(96)] * 10_000)
    begin = time.perf_counter()
    infer((b"".join(large), range(0, 1_000_000, 1448)))
    print(f"1 MB in {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
