"""Batches and traces built by hand, for the tests of what is read of them."""

from inspector.capture.batch import FrameBatch


def part_of(batch: FrameBatch, start: int, end: int) -> FrameBatch:
    """The frames of a batch from ``start`` up to, not including, ``end``."""
    rows = slice(start, end)
    return FrameBatch(
        batch.buffer,
        batch.offset[rows],
        batch.captured_bytes[rows],
        batch.wire_bytes[rows],
        batch.time_ns[rows],
        batch.link_type[rows],
        batch.interface[rows],
        batch.status[rows],
        batch.position[rows],
    )
