"""The real data sets, for the tests that use them; they are not part of the repository."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("TEST_DATA", Path(__file__).parents[1].parent / "shared" / "data"))


def real(*names: str) -> Path:
    """The path of a real data set; the calling test is skipped where it is absent."""
    path = ROOT.joinpath(*names)
    if not path.exists():
        pytest.skip(f"the real data sets are not here: {'/'.join(names)}")
    return path
