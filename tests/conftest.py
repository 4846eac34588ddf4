"""What tests share: where the real captures are, and which tests need the right to capture."""

from pathlib import Path

import pytest

SHARED_CAPTURES = Path(__file__).parents[2] / "shared" / "captures"


@pytest.fixture
def shared_captures() -> Path:
    """The folder of real captures with oracles; a test that asks for it is skipped where it is absent."""
    if not SHARED_CAPTURES.is_dir():
        pytest.skip(f"{SHARED_CAPTURES} is not here")
    return SHARED_CAPTURES
