"""Connections made up at random: they open, talk and close in every way; their captures lose and disorder rows."""

import random

from inspector.tcp.segment import Flag, Segment
from inspector.tcp.seqnum import MODULUS
from inspector.tcp.states import Side

A, S, F, R = Flag.ACK, Flag.SYN, Flag.FIN, Flag.RST


class Script:
    """Writes the segments of one connection; the numbers follow what each side has sent."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.first = [chance.randrange(MODULUS), chance.randrange(MODULUS)]
        self.next = [(number + 1) % MODULUS for number in self.first]
        self.segments: list[tuple[int, int, int, int, int]] = []  # side, flags, seq, ack, payload bytes

    def put(self, side: int, flags: Flag, size: int = 0, *, at: int = 0, ack: int | None = None) -> None:
        """A segment, ``at`` so much from the next number of its side."""
        acked = self.next[1 - side] if ack is None else ack
        self.segments.append((side, int(flags), (self.next[side] + at) % MODULUS, acked if flags & A else 0, size))

    def send(self, side: int, size: int, flags: Flag = A) -> None:
        """A segment that takes numbers."""
        self.put(side, flags, size)
        self.next[side] = (self.next[side] + size + bool(flags & F)) % MODULUS

    def syn(self, side: int, flags: Flag = S, size: int = 0) -> None:
        """A SYN or SYN,ACK: it stands before the next number."""
        self.put(side, flags, size, at=-1)


def opened(script: Script) -> bool:
    """Open somehow; False when there is nothing to talk over."""
    way = script.chance.choice(
        ["plain", "plain", "again", "fast", "ignored", "both", "none", "refused", "silence", "old"]
    )
    if way == "old":  # the server still has an older connection
        script.syn(0)
        script.segments.append((1, int(A), 12345, 99999, 0))
        script.segments.append((0, int(R), 99999, 0, 0))
    if way in ("plain", "again", "old"):
        for _ in range(1 if way == "plain" else 2):
            script.syn(0)
            script.syn(1, S | A)
        script.put(0, A)
    elif way in ("fast", "ignored"):
        script.syn(0, S, 10)
        if way == "fast":
            script.next[0] = (script.next[0] + 10) % MODULUS
        script.syn(1, S | A)
        for _ in range(script.chance.randrange(3) if way == "fast" else 0):
            script.send(1, 50)
        script.put(0, A)
    elif way == "both":
        for flags in (S, S | A):
            script.syn(0, flags)
            script.syn(1, flags)
        script.put(0, A)
        script.put(1, A)
    elif way == "refused":
        script.syn(0)
        script.put(1, R | A)
    elif way == "silence":
        script.syn(0)
        script.syn(0)
    return way not in ("refused", "silence")


def talk(script: Script) -> None:
    """Data, ACKs, keep-alives, retransmissions."""
    chance = script.chance
    for _ in range(chance.randrange(12)):
        side, what = chance.randrange(2), chance.random()
        if what < 0.5:
            script.send(side, chance.randrange(1, 100))
        elif what < 0.8:
            script.put(side, A)
        elif what < 0.9:
            script.put(side, A, at=-1)
        else:
            script.put(side, A, chance.randrange(1, 100), at=-chance.randrange(200))


def close(script: Script) -> None:
    """Close somehow, or not."""
    chance = script.chance
    one = chance.randrange(2)
    other = 1 - one
    way = chance.choice(["four", "three", "crossing", "half", "reset", "late reset", "bad reset", "again", "never"])
    if way == "crossing":
        script.put(one, F | A)
        script.send(other, 0, F | A)
        script.next[one] = (script.next[one] + 1) % MODULUS
        script.put(one, A)
        script.put(other, A)
    elif way in ("four", "three", "half", "late reset", "again"):
        script.send(one, 0, F | A)
        if way != "three":
            script.put(other, A)
        if way in ("half", "late reset"):
            script.send(other, 10)
            script.put(one, A if way == "half" else R)
        else:
            script.send(other, 0, F | A)
            script.put(one, A)
        if way == "again":
            script.put(other, F | A, at=-1)
            script.put(one, A)
    elif way == "reset":
        script.put(one, chance.choice([R, R | A]), chance.choice([0, 0, 5]))
    elif way == "bad reset":
        script.put(one, R, at=chance.choice([7, -9, 1_000_000]))
        script.put(other, A)
        script.put(one, A)


def connection(seed: int) -> list[Segment]:
    """The segments of a connection as a capture shows them: some missing, twice, or in another order."""
    chance = random.Random(seed)
    script = Script(chance)
    if opened(script):
        talk(script)
        close(script)
    if not script.segments:
        script.put(0, A)
    rows = list(script.segments)
    for _ in range(chance.choice([0, 0, 1, 2, 4])):
        place, what = chance.randrange(len(rows)), chance.random()
        if what < 0.4 and len(rows) > 1:
            del rows[place]
        elif what < 0.7:
            rows.insert(chance.randrange(len(rows) + 1), rows[place])
        elif place:
            rows[place - 1], rows[place] = rows[place], rows[place - 1]
    return [
        Segment(packet, packet * 1_000_000, Side(side), seq, ack, flags, 1000, size)
        for packet, (side, flags, seq, ack, size) in enumerate(rows, start=1)
    ]
