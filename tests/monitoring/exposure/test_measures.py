"""Measures of exposure against loops over their definitions, and intervals against fresh worlds."""

import math
from itertools import combinations

import numpy as np
import pytest

from flyball.evaluation import Estimate
from flyball.monitoring.exposure.lists import Consumed, ShownLists
from flyball.monitoring.exposure.measures import EXPOSURE_MEASURES, measure_exposure

DAY_US = 86_400_000_000
CATALOG = 60


def a_world(
    seed: int, lists: int = 400, users: int = 120, k: int = 5, sharpness: float = 1.0
) -> tuple[ShownLists, Consumed]:
    """Lists drawn in proportion to a power of the rank, two days long, and earlier and organic purchases."""
    rng = np.random.default_rng(seed)
    shares = 1.0 / np.arange(1, CATALOG + 1) ** sharpness
    shown = [rng.choice(CATALOG, k, replace=False, p=shares / shares.sum()) for _ in range(lists)]
    at_us = np.sort(rng.integers(10 * DAY_US, 12 * DAY_US, lists))
    versions = np.full(lists, "v1", object)
    bought = 900
    return (
        ShownLists(
            at_us=at_us,
            user=rng.integers(0, users, lists),
            version=versions,
            randomized=np.zeros(lists, bool),
            row=np.repeat(np.arange(lists), k),
            item=np.concatenate(shown),
            taken=np.zeros(lists * k, bool),
        ),
        Consumed(
            user=rng.integers(0, users + 40, bought),
            item=rng.choice(CATALOG, bought, p=np.sqrt(shares) / np.sqrt(shares).sum()),
            at_us=rng.integers(8 * DAY_US, 13 * DAY_US, bought),
            organic=rng.random(bought) < 0.6,
            items=CATALOG + 10,
        ),
    )


def naive(shown: ShownLists, held: Consumed, since_us: int, until_us: int) -> dict[str, float]:
    catalog = held.items
    counts = [0] * catalog
    for item in shown.item:
        counts[item] += 1
    shares = [count / sum(counts) for count in counts]
    entropy = -sum(share * math.log2(share) for share in shares if share)
    differences = sum(abs(a - b) for a in counts for b in counts) / (2 * catalog * sum(counts))
    earlier = [
        (int(user), int(item)) for user, item, at in zip(held.user, held.item, held.at_us, strict=True) if at < since_us
    ]
    popularity = [sum(item == bought for _, bought in earlier) for item in range(catalog)]
    users = len({user for user, _ in earlier})
    organic = [
        popularity[item]
        for item, at, free in zip(held.item, held.at_us, held.organic, strict=True)
        if free and since_us <= at < until_us
    ]
    of_shown = float(np.mean([popularity[item] for item in shown.item]))
    firsts: dict[tuple[int, int], set[int]] = {}
    for row in range(len(shown)):
        key = (int(shown.at_us[row] // DAY_US), int(shown.user[row]))
        firsts.setdefault(key, set(shown.item[shown.row == row].tolist()))
    alike = [
        len(one & other) / len(one | other)
        for ((day, _), one), ((other_day, _), other) in combinations(firsts.items(), 2)
        if day == other_day
    ]
    return {
        "gini": differences,
        "coverage": sum(count > 0 for count in counts) / catalog,
        "entropy": entropy,
        "effective_items": 2**entropy,
        "popularity_shown": of_shown,
        "popularity_organic": float(np.mean(organic)),
        "popularity_lift": of_shown / float(np.mean(organic)) - 1,
        "novelty": float(np.mean([-math.log2(max(popularity[item], 1) / users) for item in shown.item])),
        "homogenization": float(np.mean(alike)),
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_every_measure_is_its_definition(seed: int) -> None:
    shown, held = a_world(seed)
    found = measure_exposure(shown, held, 10 * DAY_US, 12 * DAY_US)
    assert list(found) == list(EXPOSURE_MEASURES)
    expected = naive(shown, held, 10 * DAY_US, 12 * DAY_US)
    assert {name: estimate.value for name, estimate in found.items()} == pytest.approx(expected)


def test_intervals_hold_what_fresh_users_give() -> None:
    """Of 40 draws of lists, the mean of all is in the interval of each measure about as often as it says."""
    _, held = a_world(0)
    worlds = [measure_exposure(a_world(seed, lists=250)[0], held, 10 * DAY_US, 12 * DAY_US) for seed in range(40)]
    for name in ("gini", "entropy", "novelty", "popularity_shown", "homogenization"):
        truth = float(np.mean([world[name].value for world in worlds]))
        assert sum(_holds(world[name], truth) for world in worlds) >= 34, name


def _holds(estimate: Estimate, value: float) -> bool:
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low <= value <= estimate.high


def test_sharper_lists_are_more_concentrated_popular_and_alike() -> None:
    flat, sharp = (measure_exposure(*a_world(3, sharpness=s), 10 * DAY_US, 12 * DAY_US) for s in (0.3, 1.8))
    for name in ("gini", "popularity_shown", "popularity_lift", "homogenization"):
        assert flat[name].value < sharp[name].value
    for name in ("coverage", "entropy", "effective_items", "novelty"):
        assert flat[name].value > sharp[name].value


def test_a_measure_that_some_resamples_lack_still_has_an_interval() -> None:
    """Of two users with organic purchases one bought what nobody had before, so some resamples have no lift."""
    shown, held = a_world(1)
    user, item = np.array([200, 201, 0]), np.array([2, 59, 2])
    at_us = np.array([10, 10, 9]) * DAY_US
    few = Consumed(user=user, item=item, at_us=at_us, organic=np.ones(3, bool), items=held.items)
    lift = measure_exposure(shown, few, 10 * DAY_US, 12 * DAY_US)["popularity_lift"]
    assert lift.low is not None
    assert math.isfinite(lift.low)


def test_what_is_undefined_is_left_out() -> None:
    shown, held = a_world(1)
    alone = shown.only(np.arange(len(shown)) == 0)
    found = measure_exposure(alone, held, 20 * DAY_US, 21 * DAY_US)
    assert "homogenization" not in found
    assert "popularity_lift" not in found
    assert found["gini"].low is None
    assert measure_exposure(shown.only(np.zeros(len(shown), bool)), held, 0, DAY_US) == {}
