"""Logged lists as columns, and what users took up with and without them."""

from pathlib import Path

import pytest
from tests.monitoring.exposure.shop import hours, shop
from tests.monitoring.performance.bank import bank

from flyball.core import Refused
from flyball.monitoring.exposure.lists import Numbered, ShownLists, consumed, ranking_task, shown_lists
from flyball.runtime import Runtime

WITHIN_US = 86_400_000_000


def read(runtime: Runtime, since: float = 0, until: float = 1_000) -> tuple[ShownLists, Numbered, Numbered]:
    users, items = Numbered(), Numbered()
    return shown_lists(runtime, "positive", hours(since), hours(until), users, items), users, items


def test_lists_are_in_order_of_time_with_what_was_taken(tmp_path: Path) -> None:
    runtime = shop(tmp_path, [(30, 2, "bca", "v2"), (1, 1, "ab", "v1")], [(2, 1, "b"), (31, 2, "z"), (90, 2, "c")])
    shown, users, items = read(runtime)
    assert users.number_of == {"1": 0, "2": 1}
    names = list(items.number_of)
    assert [names[item] for item in shown.item] == ["a", "b", "b", "c", "a"]
    assert shown.row.tolist() == [0, 0, 1, 1, 1]
    assert shown.version.tolist() == ["v1", "v2"]
    assert shown.taken.tolist() == [False, True, False, False, False], (
        "c was bought after the day within which it counts"
    )


def test_lists_of_the_randomized_slice_are_marked(tmp_path: Path) -> None:
    shown, _, _ = read(shop(tmp_path, [(1, 1, "ab", "v1"), (2, 1, "ab", "random")], [(3, 1, "a")]))
    assert shown.randomized.tolist() == [False, True]
    assert shown.only(shown.randomized).version.tolist() == ["random"]


def test_a_part_of_the_lists_keeps_its_items(tmp_path: Path) -> None:
    runtime = shop(tmp_path, [(1, 1, "ab", "v1"), (2, 2, "cd", "v1"), (3, 1, "ef", "v1")], [(3, 2, "d")])
    shown, _, items = read(runtime)
    later = shown.between(hours(2), hours(1_000))
    assert [list(items.number_of)[item] for item in later.item] == ["c", "d", "e", "f"]
    assert later.row.tolist() == [0, 0, 1, 1]
    assert later.taken.tolist() == [False, True, False, False]
    assert later.user.tolist() == [1, 0]


def test_organic_is_what_no_list_showed_its_user_within_the_window(tmp_path: Path) -> None:
    bought = [(2, 1, "a"), (2, 2, "a"), (3, 1, "c"), (30, 1, "b"), (0.5, 3, "a")]
    runtime = shop(tmp_path, [(1, 1, "ab", "v1"), (1, 3, "a", "v1")], bought, products="abcde")
    shown, users, items = read(runtime)
    held = consumed(runtime, shown, WITHIN_US, users, items)
    name = {number: key for key, number in items.number_of.items()}
    key = {number: text for text, number in users.number_of.items()}
    organic = {
        (key[user], name[item]): bool(free) for user, item, free in zip(held.user, held.item, held.organic, strict=True)
    }
    assert organic == {
        ("1", "a"): False,
        ("2", "a"): True,  # shown to another user
        ("1", "c"): True,  # never shown
        ("1", "b"): True,  # more than a day after it was shown
        ("3", "a"): True,  # before it was shown
    }
    assert held.items == 5


def test_popularity_counts_users_before_a_time(tmp_path: Path) -> None:
    runtime = shop(tmp_path, [(1, 1, "ab", "v1")], [(2, 1, "a"), (4, 1, "a"), (3, 2, "a"), (5, 3, "b")], products="ab")
    shown, users, items = read(runtime)
    held = consumed(runtime, shown, WITHIN_US, users, items)
    assert held.popularity(hours(5), 3).tolist() == [2, 0, 0]
    assert held.popularity(hours(6), 3).tolist() == [2, 1, 0]
    assert [held.users(hours(at)) for at in (2, 3, 6)] == [0, 1, 3]


def test_a_task_without_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="must show lists of items, got predict"):
        ranking_task(bank(tmp_path, days=1, daily=5))
