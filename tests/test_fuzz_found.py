"""The fuzz targets over their seeds, and over every input that ever made one fail (``tests/fuzz/found``)."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent / "fuzz"))

from targets import TARGETS

FOUND = Path(__file__).parent / "fuzz" / "found"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="files are kept in memory by memfd_create(2)")


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_and_found_cases(name: str) -> None:
    target, seeds = TARGETS[name]
    cases = [*seeds(), *(path.read_bytes() for path in sorted(FOUND.glob(f"{name}-*")))]
    assert len(cases) > 5
    for case in cases:
        target(case)
        target(case[: len(case) // 2])
