"""What groups of items get of the lists, from logs that were written and from counts made by hand."""

from pathlib import Path

import numpy as np
import pytest
from tests.monitoring.exposure.shop import DAY_US, Bought, Shown, hours, shop

from flyball.core import BadInput
from flyball.monitoring import ItemGroupExposure, exposure_report

COLORS = {"a": "red", "b": "red", "c": "blue", "d": "blue", "e": "green", "f": ""}


def by_color(
    folder: Path, shown: list[Shown], bought: list[Bought], colors: dict[str, str] = COLORS
) -> dict[str, ItemGroupExposure]:
    runtime = shop(folder, shown, bought, "".join(colors), colors=colors)
    report = exposure_report(runtime, last_us=DAY_US, every_us=DAY_US, by=["color"], until_us=hours(24))
    return {row.group: row for row in report.groups}


def test_shares_are_those_of_a_count_by_hand(tmp_path: Path) -> None:
    shown = [(1.0, 1, "ac", "v1"), (2.0, 2, "bd", "v1"), (3.0, 3, "ef", "v1")]
    bought = [(5.0, 1, "b"), (6.0, 2, "c"), (7.0, 2, "e"), (8.0, 3, "d"), (8.0, 1, "a")]  # the last one was shown
    groups = by_color(tmp_path, shown, bought)
    second = 1 / np.log2(3)
    attention = {"red": 2.0, "blue": 2 * second, "green": 1.0, "none": second}
    total = sum(attention.values())
    assert list(groups) == ["red", "blue", "green", "none"], "by exposure"
    for name, seen in attention.items():
        assert groups[name].exposure.value == pytest.approx(seen / total)
    assert {name: row.items for name, row in groups.items()} == {"red": 2, "blue": 2, "green": 1, "none": 1}
    assert groups["red"].catalog == pytest.approx(2 / 6)
    demand = {name: row.demand.value for name, row in groups.items() if row.demand is not None}
    assert demand == {"red": 0.25, "blue": 0.5, "green": 0.25, "none": 0}
    red, none = groups["red"].lift, groups["none"].lift
    assert red is not None
    assert red.value == pytest.approx(2 / total / 0.25 - 1)
    assert none is None, "nobody took any up, so there is nothing to compare with"


def test_without_any_demand_there_is_no_lift(tmp_path: Path) -> None:
    groups = by_color(tmp_path, [(1.0, 1, "ac", "v1")], [])
    assert groups["red"].demand is None
    assert groups["red"].lift is None
    assert not groups["red"].certain


def lists_of(first: dict[str, float], users: int, seed: int) -> tuple[list[Shown], list[Bought]]:
    """Lists whose first item is drawn by `first`, while users themselves take up each item alike."""
    rng = np.random.default_rng(seed)
    items = list(COLORS)
    shown = [
        (number / users * 10, number + 1, str(rng.choice(items, p=[first[item] for item in items])), "v1")
        for number in range(users)
    ]
    bought = [(12 + number / users, users + number + 1, str(rng.choice(items))) for number in range(users)]
    return shown, bought


def test_a_group_that_gets_more_than_its_demand_is_certain_and_no_other_is(tmp_path: Path) -> None:
    planted = {"a": 0.3, "b": 0.3, "c": 0.1, "d": 0.1, "e": 0.1, "f": 0.1}  # red: 0.6 of exposure, a third of demand
    groups = by_color(tmp_path, *lists_of(planted, 1_500, seed=3))
    red = groups["red"].lift
    assert red is not None
    assert red.low is not None
    assert red.high is not None
    assert red.low < 0.8 < red.high
    assert groups["red"].certain
    assert red.low > 0
    blue = groups["blue"].lift  # 0.2 of exposure, a third of demand
    assert blue is not None
    assert blue.low is not None
    assert blue.high is not None
    assert blue.low < -0.4 < blue.high < 0


@pytest.mark.parametrize("seed", range(5))
def test_groups_that_are_treated_alike_are_not_certain(tmp_path: Path, seed: int) -> None:
    groups = by_color(tmp_path, *lists_of(dict.fromkeys(COLORS, 1 / 6), 300, seed))
    assert not [row.group for row in groups.values() if row.certain]


def test_an_item_with_several_values_counts_in_each_for_its_part(tmp_path: Path) -> None:
    colors = {"a": ["red", "blue", "red"], "b": ["red"]}
    runtime = shop(tmp_path, [(1.0, 1, "a", "v1")], [], "ab", tags=colors)
    report = exposure_report(runtime, last_us=DAY_US, every_us=DAY_US, by=["tags"], until_us=hours(24))
    groups = {row.group: row for row in report.groups}
    assert {name: (row.items, row.catalog, row.exposure.value) for name, row in groups.items()} == {
        "blue": (1, 0.25, 0.5),
        "red": (2, 0.75, 0.5),
    }


def test_a_field_that_is_none_or_has_too_many_values_is_refused(tmp_path: Path) -> None:
    runtime = shop(tmp_path, [(1.0, 1, "a", "v1")], [], "a")
    with pytest.raises(
        BadInput, match="field of product to group items by must be one of product, color, tags, got 'x'"
    ):
        exposure_report(runtime, last_us=DAY_US, every_us=DAY_US, by=["x"], until_us=hours(24))
    many = "".join(chr(0x4E00 + number) for number in range(101))
    runtime = shop(tmp_path / "many", [(1.0, 1, many[0], "v1")], [], many)
    with pytest.raises(BadInput, match="values of product must be 100 at most, of items with much in common, got 101"):
        exposure_report(runtime, last_us=DAY_US, every_us=DAY_US, by=["product"], until_us=hours(24))
