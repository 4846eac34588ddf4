"""A large file decoded ahead by another process, so that two cores index it: one decodes, one groups.

The other process does what this one would do, batch by batch in the order of the file, and hands over what came of it.
"""

import fcntl
import gc
import os
import pickle
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain

from inspector.capture.files import CaptureFile
from inspector.capture.spool import Progress
from inspector.decode.fast import Decoded, Decoder

WORTHWHILE_BYTES = 16 << 20  # a smaller file is read in the time that a process takes to begin
_PIPE_BYTES = 1 << 20  # for two batches or so


def worthwhile(file: CaptureFile) -> bool:
    """Whether there is something to be gained."""
    return sys.platform == "linux" and file.size >= WORTHWHILE_BYTES and len(os.sched_getaffinity(0)) > 1


def decoded_ahead(file: CaptureFile, progress: Progress | None) -> Iterator[Decoded]:
    """All batches of a file; what it tells of itself is known after them. Raises RuntimeError when the process fails
    that decodes them."""
    try:
        process, read_end = _forked(file)
    except OSError:  # there may be no more processes
        yield from _decoded(file)
        return
    try:
        with os.fdopen(read_end, "rb") as stream:
            while isinstance(handed := pickle.load(stream), Decoded):
                if progress is not None:
                    progress(handed.end, file.size)
                yield handed
            file.take_over(handed)
    except (EOFError, pickle.UnpicklingError):
        raise RuntimeError("the process that decodes ended early") from None
    finally:
        with suppress(ChildProcessError):  # whoever ignores SIGCHLD has no children to wait for
            os.waitpid(process, 0)


def _decoded(file: CaptureFile) -> Iterator[Decoded]:
    decoder = Decoder()
    return map(decoder.hand_over, file.batches())


def _forked(file: CaptureFile) -> tuple[int, int]:
    """A new process, and a pipe with what it hands over; it ends when nobody reads that any more."""
    read_end, write_end = os.pipe()
    with suppress(OSError):  # of all its pipes together a user may have only so much
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    try:
        process = os.fork()
    except OSError:
        os.close(read_end)
        os.close(write_end)
        raise
    if process:
        os.close(write_end)
        return process, read_end
    status = 1
    try:
        gc.disable()  # it makes no cycles, and ends soon
        os.close(read_end)
        file.report_to(lambda _done, _total: None)  # who reads the pipe tells
        with suppress(BrokenPipeError, KeyboardInterrupt), os.fdopen(write_end, "wb", buffering=0) as stream:
            for handed in chain(_decoded(file), map(CaptureFile.told, (file,))):  # told when all is read
                pickle.dump(handed, stream, pickle.HIGHEST_PROTOCOL)
            status = 0
    finally:
        os._exit(status)
