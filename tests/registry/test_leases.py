"""Leases on SQLite, where all processes are of one machine."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flyball.registry import Registry, lease_standings, take_lease
from flyball.testing.lease_contract import LEASE_CHECKS, Open


@pytest.mark.parametrize("check", LEASE_CHECKS, ids=lambda check: check.__name__)
def test_contract(tmp_path: Path, check: Callable[[Open], None]) -> None:
    check(lambda: Registry(f"sqlite://{tmp_path}/registry.db"))


def test_the_clock_is_that_of_the_database(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    assert take_lease(registry, "worker", "a", 60_000_000) is not None
    assert 0 < lease_standings(registry)[0].left_us <= 60_000_000
    assert take_lease(registry, "worker", "b", 60_000_000) is None
