"""A home without incidents."""

from pathlib import Path

import pytest
from tests.monitoring.incidents.world import home

from flyball.runtime import Runtime


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return home(tmp_path, on_call=["ann", "ben"])
