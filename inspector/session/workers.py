"""Work on a large capture shared among processes, one a core, what they write put in order again."""

import fcntl
import gc
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, islice
from queue import Queue
from threading import Thread
from typing import BinaryIO

_MOST = 4  # more than this, and putting their lines in order is what takes the time
_PIPE_BYTES = 1 << 20
_BLOCKS_AHEAD = 32  # how far a worker may be ahead
_PIECE_BYTES = 1 << 16
_LINES_AT_ONCE = 256


def worthwhile(items: int) -> int:
    """How many processes should share that many packets; 1 where there is nothing to be gained."""
    if items < 20_000 or sys.platform != "linux":
        return 1
    return min(len(os.sched_getaffinity(0)), _MOST)


def write_lines(stream: BinaryIO, lines: Iterator[bytes]) -> None:
    """Write many lines, a few hundred at a time: a stream takes longer to look at each than to write it."""
    while piece := b"".join(islice(lines, _LINES_AT_ONCE)):
        stream.write(piece)


def lines_of(shares: Iterable[int], lines: Callable[[int], Iterator[str]], workers: int) -> Iterator[bytes]:
    """The lines of all workers, in the order in which ``shares`` tells whose is next.

    ``lines(which)`` runs in a process of its own, forked, for each of several workers. Raises RuntimeError when one
    fails.
    """
    if workers == 1:
        return (line.encode() for line in lines(0))
    pipes = [_forked(lines, which) for which in range(workers)]
    lines_of_worker = [chain(_lines(pipe), map(_ended_early, (which,))) for which, pipe in enumerate(pipes)]
    return map(next, map(lines_of_worker.__getitem__, shares))  # no step in Python for each line


def _lines(pipe: int) -> Iterator[bytes]:
    """What comes through a pipe; read ahead by a thread, so that no worker waits while another one's line is due."""
    blocks: Queue[bytes] = Queue(_BLOCKS_AHEAD)
    Thread(target=_read_ahead, args=(pipe, blocks), daemon=True).start()
    return chain.from_iterable(_whole_lines(iter(blocks.get, b"")))


def _read_ahead(pipe: int, blocks: "Queue[bytes]") -> None:
    with os.fdopen(pipe, "rb", buffering=0) as stream:
        while block := stream.read(_PIPE_BYTES):
            blocks.put(block)
        blocks.put(b"")


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    rest = b""
    for block in blocks:
        lines = (rest + block).splitlines(keepends=True)
        rest = b"" if lines[-1].endswith(b"\n") else lines.pop()
        yield lines


def _ended_early(which: int) -> bytes:
    raise RuntimeError(f"worker {which} ended early")


def _forked(lines: Callable[[int], Iterator[str]], which: int) -> int:
    """A pipe with what a new process writes; it ends when nobody reads that any more."""
    read_end, write_end = os.pipe()
    with suppress(OSError):  # of all its pipes together a user may have only so much
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    if os.fork():
        os.close(write_end)
        return read_end
    gc.disable()  # it makes no cycles, and ends soon
    status = 1
    with suppress(BrokenPipeError, KeyboardInterrupt):
        os.close(read_end)
        with os.fdopen(write_end, "w", buffering=_PIECE_BYTES, encoding="utf-8", newline="\n") as stream:
            stream.writelines(lines(which))
        status = 0
    os._exit(status)
