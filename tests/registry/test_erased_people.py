"""Machines learn of each other's erasures: digests by key, the later time of a person who was erased twice."""

from pathlib import Path

from flyball.registry import Registry
from flyball.registry.erased_people import erased_digests, erased_state, share_erased

KEY, OTHER = b"k" * 16, b"o" * 16


def test_what_one_machine_shares_all_know(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/registry.db"
    first, second = Registry(url), Registry(url)
    assert erased_state(first) == (0, 0)
    share_erased(first, {KEY: {"a1": 10, "b2": 20}})
    share_erased(second, {KEY: {"a1": 15, "b2": 5}, OTHER: {"c3": 1}})
    assert erased_digests(first) == {KEY: {"a1": 15, "b2": 20}, OTHER: {"c3": 1}}
    assert erased_state(second) == (3, 20)
    share_erased(first, erased_digests(second))
    assert erased_state(first) == (3, 20)
