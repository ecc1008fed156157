"""Groups of logged predictions against naive means, what counts without a label, and how often chance looks certain."""

import numpy as np
import pytest
from tests.monitoring.performance.bank import rows

from flyball.monitoring.fairness.live import LIVE_GROUP_METRICS, compare_live, with_weights
from flyball.monitoring.performance.logged import Logged


def two_groups(count: int = 400, seed: int = 1, **fields: object) -> Logged:
    rng = np.random.default_rng(seed)
    scores = rng.random(count)
    group = rng.choice(np.array(["north", "south"], object), count)
    return rows(scores, rng.random(count) < scores, slices={"region": group}, **fields)


def test_probabilities_have_the_rates_of_each_group() -> None:
    sample = two_groups()
    result = compare_live(sample, "region")
    for group in result.groups:
        own = sample.slices["region"] == group.group
        flagged, actual, scores = sample.scores[own] >= 0.5, sample.actual[own] > 0, sample.scores[own]
        expected = {
            "true_positive_rate": flagged[actual].mean(),
            "false_positive_rate": flagged[~actual].mean(),
            "selection_rate": flagged.mean(),
            "calibration_gap": (actual - scores).mean(),
            "brier": ((actual - scores) ** 2).mean(),
        }
        assert {name: group.metrics[name].value for name in expected} == pytest.approx(expected)
    assert set(result.largest) == {*LIVE_GROUP_METRICS["probability"], "selection_rate", "equalized_odds"}


def test_what_is_selected_counts_predictions_without_a_label() -> None:
    mature = np.arange(400) < 200
    sample = two_groups(mature=mature)
    result = compare_live(sample, "region")
    for group in result.groups:
        own = sample.slices["region"] == group.group
        assert group.requests == (own & mature).sum()
        assert group.metrics["selection_rate"].value == pytest.approx((sample.scores[own] >= 0.5).mean())


def test_numbers_lists_and_classes_have_their_own_metrics() -> None:
    group = np.array(["a", "b"] * 100, object)
    rng = np.random.default_rng(2)
    actual = rng.normal(30, 5, 200)
    late = actual + np.where(group == "b", 4.0, 0.0) + rng.normal(0, 1, 200)
    numbers = compare_live(rows(late, actual, kind="number", slices={"shop": group}), "shop")
    assert numbers.largest["bias"].high_group == "b"
    assert numbers.largest["bias"].certain
    assert numbers.largest["bias"].difference.value == pytest.approx(4.0, abs=0.4)
    assert "coverage" in numbers.groups[0].not_compared
    lists = compare_live(rows(np.full(200, 3.0), np.where(group == "a", 2, 0), kind="list", slices={"g": group}), "g")
    assert {part.group: part.metrics["reciprocal_rank"].value for part in lists.groups} == {"a": 0.5, "b": 0.0}
    scores = np.tile([0.7, 0.3], (200, 1))
    classes = compare_live(rows(scores, np.arange(200) % 4 == 0, kind="classes", slices={"g": group}), "g")
    assert {part.group: part.metrics["accuracy"].value for part in classes.groups} == {"a": 0.5, "b": 1.0}


def test_weights_count_predictions_as_often() -> None:
    sample = two_groups()
    twice = with_weights(sample, np.where(sample.actual > 0, 2.0, 1.0))
    plain, doubled = (compare_live(part, "region").groups[0].metrics["brier"].value for part in (sample, twice))
    own = sample.slices["region"] == compare_live(sample, "region").groups[0].group
    squares, counts = (sample.actual - sample.scores)[own] ** 2, twice.weight[own]
    assert plain == pytest.approx(squares.mean())
    assert doubled == pytest.approx((squares @ counts) / counts.sum())


def test_equal_groups_are_hardly_ever_certain_to_differ() -> None:
    """One report in twenty at most, over all of its metrics."""
    certain = 0
    for seed in range(60):
        result = compare_live(two_groups(300, seed=100 + seed), "region")
        certain += any(gap.certain for gap in result.largest.values())
    assert certain <= 6
