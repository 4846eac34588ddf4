"""The analysis of a whole capture on all cores, nothing printed but how many packets each core analysed.

python tests/benchmarks/analysis.py FILE
"""

import sys
from collections.abc import Iterator

from inspector.session.workers import lines_of, worthwhile
from inspector.trace.trace import Trace

with Trace.read(sys.argv[1], fork=True) as trace:
    workers = worthwhile(len(trace))

    def analysed(which: int) -> Iterator[str]:
        """One line, when it is done."""
        yield f"{sum(1 for _ in trace.records(share=(which, workers)))}\n"

    for line in lines_of(range(workers), analysed, workers):
        print(line.decode(), end="")
