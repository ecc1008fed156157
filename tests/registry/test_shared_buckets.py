"""Buckets that several machines take from: what they took adds up, and an idle bucket fills."""

from pathlib import Path

from flyball.registry import Registry
from flyball.registry.shared_buckets import add_to_buckets

HOUR_NS = 3_600 * 1_000_000_000


def test_what_machines_took_adds_up_and_other_senders_are_apart(tmp_path: Path) -> None:
    url = f"sqlite://{tmp_path}/registry.db"
    first, second = Registry(url), Registry(url)
    (alone,) = add_to_buckets(first, [("ann", 40 * HOUR_NS, 0)]).values()
    assert alone == 40 * HOUR_NS
    both = add_to_buckets(second, [("ann", 60 * HOUR_NS, 0), ("ben", 5 * HOUR_NS, 0)])
    assert 99 * HOUR_NS < both["ann"] <= 100 * HOUR_NS
    assert both["ben"] == 5 * HOUR_NS


def test_what_was_taken_long_ago_is_full_again(tmp_path: Path) -> None:
    registry = Registry(f"sqlite://{tmp_path}/registry.db")
    assert add_to_buckets(registry, [("ann", HOUR_NS, 2 * HOUR_NS), ("ben", 3 * HOUR_NS, HOUR_NS)]) == {
        "ann": 0,
        "ben": 2 * HOUR_NS,
    }
    assert add_to_buckets(registry, []) == {}
