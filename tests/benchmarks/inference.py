"""How often the framing of a stream is found, and how often one is claimed where there is none.

python tests/benchmarks/inference.py [--streams N]

The same streams each time: messages of many sizes, as text and as bytes, in segments that follow the messages or not.
"""

import argparse
import json
import os
import struct
import time
import zlib
from collections.abc import Callable
from random import Random

from inspector.framing.inference import Direction, infer

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
}
UNFRAMED: dict[str, Callable[[Random], bytes]] = {
    "random bytes": lambda dice: dice.randbytes(dice.randrange(30, 5_000)),
    "compressed": lambda dice: zlib.compress(" ".join(str(dice.random()) for _ in range(100)).encode()),
    "a picture's beginning": lambda dice: b"\x89PNG\r\n\x1a\n" + dice.randbytes(dice.randrange(30, 3_000)),
}


def in_segments(messages: list[bytes], dice: Random) -> Direction:
    """The stream, and where its segments begin: with messages, or as it comes."""
    data = b"".join(messages)
    ends = [sum(map(len, messages[:at])) for at in range(1, len(messages))]
    with_messages = [end for end in ends if dice.random() < 0.7]
    return data, with_messages if dice.random() < 0.5 else list(range(1448, len(data), 1448))


def main() -> None:
    """Count both kinds of mistakes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=int, default=100, metavar="N")
    streams = parser.parse_args().streams
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
    large = packed("!I", False)([os.urandom(96)] * 10_000)
    begin = time.perf_counter()
    infer((b"".join(large), range(0, 1_000_000, 1448)))
    print(f"1 MB in {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
