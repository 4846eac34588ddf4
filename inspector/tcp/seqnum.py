"""Sequence number arithmetic, RFC 9293 section 3.4: numbers live on a circle of 2**32."""

MODULUS = 1 << 32
HALF = 1 << 31
MASK = MODULUS - 1


def seq_add(seq: int, count: int) -> int:
    """The sequence number ``count`` further on."""
    return (seq + count) % MODULUS


def seq_diff(start: int, end: int) -> int:
    """Signed distance from ``start`` to ``end``, the shorter way round: -2**31 <= distance < 2**31."""
    return (end - start + HALF) % MODULUS - HALF


def unwrap(seq: int, near: int) -> int:
    """The number without modulus that ``seq`` stands for, given one ``near`` it (may be negative before the start)."""
    return near + seq_diff(near % MODULUS, seq)
