"""What several tests share. Recordings live beside the project in ../shared; without them those tests are skipped."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of real recordings beside the project."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not here")
    return SHARED
