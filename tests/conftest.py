"""What several tests share. Recordings live beside the project in ../shared; without them those tests are skipped."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.register_assert_rewrite(
    "broken_bytes", "bvh_reference", "command_line", "vmc_messages"
)  # their failures show the values, too

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of real recordings beside the project."""
    if not SHARED.is_dir():
        pytest.skip("../shared is not here")
    return SHARED


@pytest.fixture
def bvh(tmp_path: Path) -> Callable[[str | bytes], Path]:
    """Text or bytes -> the path of a file that holds it."""

    def write(content: str | bytes) -> Path:
        path = tmp_path / "take.bvh"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write
