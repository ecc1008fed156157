"""Arrangements: revisions of what may change without training."""

from pathlib import Path

import pytest

from flyball.core import NotFound
from flyball.registry import Registry, add_arrangement


def test_a_changed_value_is_a_new_revision_and_an_equal_one_is_not(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    first = add_arrangement(registry, "shop", {"max_per": ["category", 2], "slots": 1}, "up", "declared", 5)
    again = add_arrangement(registry, "shop", {"slots": 1, "max_per": ["category", 2]}, "learn", "declared", 6)
    other = add_arrangement(registry, "shop", {"max_per": None, "slots": 1}, "up", "declared", 7)
    assert (first.id, again, other.id) == ("a1", first, "a2")
    back = add_arrangement(registry, "shop", dict(first.value), "up", "declared", 8)
    assert (back.id, back.digest) == ("a3", first.digest)
    assert Registry(f"sqlite://{tmp_path}/registry.db").arrangements() == [first, other, back]
    assert registry.arrangement("a2") == other
    with pytest.raises(NotFound, match="a1, a2, a3"):
        registry.arrangement("a4")
