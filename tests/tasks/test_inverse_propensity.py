"""Training weights by inverse propensity: by hand, and undoing a planted exposure."""

from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tests.tasks.conftest import make_task
from tests.tasks.lists import data_of

import flyball as fb
from flyball.models import Interactions
from flyball.tasks.recommend.inverse_propensity import encounters, weight_of_positives, weighted_by_propensity
from flyball.tasks.recommend.training_data import training_data

SHOWN = {"0": {"a": 0, "b": 3}, "1": {"a": 1}, "9": {"a": 0, "c": 1, "gone": 2}}


def small() -> Interactions:
    """Users 0, 1 and 2; user 0 has a, user 1 has b, user 2 has a and d."""
    return data_of(["a", "b", "c", "d"], [(0, 0), (1, 1), (2, 0), (2, 3)], [], [-1] * 3)


def test_a_user_encounters_an_item_once_however() -> None:
    """a: users 0 (has it and saw it), 1, 2, 9; b: 0 and 1; c: 9; d: 2."""
    assert encounters(small(), SHOWN).tolist() == [4, 2, 1, 1]
    assert encounters(small(), {}).tolist() == [2, 1, 0, 1]


def test_weights_are_square_roots_of_relative_encounters_up_to_the_cap() -> None:
    assert weight_of_positives(np.array([16, 4, 1, 0]), 100.0).tolist() == [1.0, 2.0, 4.0, 4.0]
    assert weight_of_positives(np.array([16, 4, 1, 0]), 3.0).tolist() == [1.0, 2.0, 3.0, 3.0]
    assert weight_of_positives(np.zeros(2, int), 3.0).tolist() == [1.0, 1.0]


def test_only_positives_change() -> None:
    data = small()
    data.weights[:] = [1.0, 1.0, 0.25, 0.0]
    weighted = weighted_by_propensity(data, SHOWN, 10.0)
    assert weighted.weights.tolist() == pytest.approx([1.0, 2**0.5, 0.25, 0.0])
    assert data.weights.tolist() == [1.0, 1.0, 0.25, 0.0], "the data themselves stay"


def exposed_world(seed: int) -> tuple[Interactions, dict[str, dict[str, int]], np.ndarray]:
    """Users like items by a planted appeal; an item shown to more users has more positives for that alone.

    Appeal and exposure have nothing to do with each other. A user has an item only where it was shown.
    """
    rng = np.random.default_rng(seed)
    users, items = 1_500, 30
    appeal, seen = rng.uniform(0.1, 0.5, items), rng.permutation(np.geomspace(0.02, 1.0, items))
    shown = rng.random((users, items)) < seen
    pairs = np.argwhere(shown & (rng.random((users, items)) < appeal))
    names = [f"i{item:02d}" for item in range(items)]
    data = data_of(names, [(int(user), int(item)) for user, item in pairs], [], [-1] * users)
    lists = {str(user): {names[item]: 0 for item in np.flatnonzero(shown[user])} for user in range(users)}
    return data, lists, appeal


def test_popularity_follows_appeal_more_and_exposure_less() -> None:
    for seed in range(3):
        data, lists, appeal = exposed_world(seed)
        plain = np.bincount(data.item_index, weights=data.weights)
        weighted = weighted_by_propensity(data, lists, 100.0)
        fair = np.bincount(weighted.item_index, weights=weighted.weights)
        gain = np.corrcoef(fair, appeal)[0, 1] - np.corrcoef(plain, appeal)[0, 1]
        exposure = encounters(data, lists)
        assert gain > 0.1
        assert np.corrcoef(fair, exposure)[0, 1] < np.corrcoef(plain, exposure)[0, 1]


def test_learning_reads_what_was_shown_until_its_data_end() -> None:
    asked: list[tuple[int, int]] = []

    def shown(keys: Collection[str], start_us: int, end_us: int) -> Any:
        asked.append((start_us, end_us))
        return SHOWN, {}

    data, past = small(), SimpleNamespace(shown=shown)
    learned = {}
    for cap in (0.0, 10.0):
        offline = make_task(propensity_cap=cap).offline()
        learned[cap] = offline.train(fb.Popular(), training_data(data), past, 1)  # type: ignore[attr-defined]
    assert asked == [(0, data.as_of_us + 1)], "not at all without a cap"
    plain, weighted = (learned[cap].arrays["shares"][0] for cap in (0.0, 10.0))
    assert plain.tolist() == pytest.approx([0.5, 0.25, 0.0, 0.25])
    total = 2 + 2**0.5 + 2
    assert weighted.tolist() == pytest.approx([2 / total, 2**0.5 / total, 0.0, 2 / total])
    fallback = [name for name in learned[0.0].arrays if name.startswith("fallback")]
    assert fallback
    for name in fallback:
        assert np.array_equal(learned[0.0].arrays[name], learned[10.0].arrays[name]), "the popular list stays as it is"
