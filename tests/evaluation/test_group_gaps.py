"""Gaps between groups: published vectors, naive formulas, and how often intervals contain planted gaps."""

import json
from typing import Any

import numpy as np
import pytest
from tests.data import real

from flyball.evaluation import EQUALIZED_ODDS, GroupComparison, GroupInput, compare_groups
from flyball.tasks import metrics


def compared(
    group: Any, flagged: Any, actual: Any, weight: Any = None, unit_of: Any = None, resamples: int = 200
) -> GroupComparison:
    """The rates of groups of rows."""
    group, flagged, actual = np.array(group), np.array(flagged, bool), np.array(actual)
    unit_of = np.arange(len(group)) if unit_of is None else np.asarray(unit_of)
    units = int(unit_of.max()) + 1
    inputs = {}
    for name in np.unique(group).tolist():
        rows = group == name
        own = None if weight is None else np.asarray(weight)[rows]
        arguments = flagged[rows], actual[rows], unit_of[rows], units, own
        rates = {
            "selection_rate": metrics.request_mean(flagged[rows], unit_of[rows], units, own),
            "true_positive_rate": metrics.recall_of_flagged(*arguments),
            "false_positive_rate": metrics.false_positive_rate(*arguments),
        }
        inputs[name] = GroupInput(int(rows.sum()), len(np.unique(unit_of[rows])), rates)
    return compare_groups("group", inputs, units, 0, resamples)


def test_rates_and_gaps_equal_the_published_ones() -> None:
    known = json.loads(real("..", "vectors", "fairness.json").read_text())
    plain = compared(known["group"], known["y_pred"], known["y_true"])
    weighted = compared(known["group"], known["y_pred"], known["y_true"], known["weights"])
    by_group = known["by_group_COMPUTED_HERE_with_numpy"]
    assert [group.group for group in plain.groups] == ["aa", "ba"]
    for group, others in zip(plain.groups, weighted.groups, strict=True):
        expected = by_group[group.group]
        assert group.requests == expected["n"]
        for metric, name in (
            ("selection_rate", "selection_rate"),
            ("true_positive_rate", "tpr"),
            ("false_positive_rate", "fpr"),
        ):
            assert group.metrics[metric].value == pytest.approx(expected[name], abs=1e-12)
        weighted_rate = others.metrics["selection_rate"].value
        assert weighted_rate == pytest.approx(expected["selection_rate_weighted"], abs=1e-12)
    parity = plain.largest["selection_rate"]
    assert parity.difference.value == pytest.approx(known["demographic_parity_difference_COMPUTED_HERE"], abs=1e-12)
    assert (parity.high_group, parity.low_group, parity.pairs) == ("ba", "aa", 1)
    assert parity.ratio is not None
    assert parity.ratio.value == pytest.approx(by_group["aa"]["selection_rate"] / by_group["ba"]["selection_rate"])
    odds = plain.largest[EQUALIZED_ODDS].difference
    assert odds.value == pytest.approx(known["equalized_odds_difference_worst_COMPUTED_HERE"], abs=1e-12)


def test_the_published_single_rates() -> None:
    known = json.loads(real("..", "vectors", "fairness.json").read_text())
    for flags, weights, expected in known["selection_rate"]:
        unit_of = np.arange(len(flags))
        rate = metrics.request_mean(np.array(flags), unit_of, len(flags), None if weights is None else weights)
        assert float(rate(np.ones((1, len(flags))))[0]) == expected
    for actual, flags, expected, *positive in known["tpr"]:
        turned = np.array([actual, flags]) if not positive else 1 - np.array([actual, flags])
        rate = metrics.recall_of_flagged(turned[1] > 0, turned[0], np.arange(len(flags)), len(flags))
        assert float(rate(np.ones((1, len(flags))))[0]) == expected
    for actual, flags, expected in known["tnr"]:
        rate = metrics.false_positive_rate(np.array(flags) > 0, np.array(actual), np.arange(len(flags)), len(flags))
        assert 1 - float(rate(np.ones((1, len(flags))))[0]) == expected


def newcombe(x: int, n: int, other: int, others: int, z: float) -> tuple[float, float]:
    """The hybrid score interval of a difference of shares, as its paper writes it (method 10)."""

    def ends(hits: int, count: int) -> tuple[float, float]:
        root = z * (z * z + 4 * hits * (1 - hits / count)) ** 0.5
        return (2 * hits + z * z - root) / 2 / (count + z * z), (2 * hits + z * z + root) / 2 / (count + z * z)

    (low, high), (low_other, high_other) = ends(x, n), ends(other, others)
    p, q = x / n, other / others
    below, above = ((p - low) ** 2 + (high_other - q) ** 2) ** 0.5, ((high - p) ** 2 + (q - low_other) ** 2) ** 0.5
    return p - q - below, p - q + above


def test_two_groups_have_newcombes_interval_also_where_a_share_is_1() -> None:
    """56 of 70 and 48 of 80 is example (a) of the paper; with all of 40 a bootstrap would show too little doubt."""
    assert newcombe(56, 70, 48, 80, 1.959964) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    for x, n, other, others in ((56, 70, 48, 80), (40, 40, 36, 40), (0, 50, 0, 60)):
        flags = [1] * x + [0] * (n - x) + [1] * other + [0] * (others - other)
        gaps = compared(["a"] * n + ["b"] * others, flags, [1] * (n + others), resamples=2_000)
        pair = next(gap for gap in gaps.gaps if gap.metric == "true_positive_rate")
        sign = 1 if pair.group == "a" else -1
        ends = sorted(sign * end for end in (pair.difference.low or 0.0, pair.difference.high or 0.0))
        assert ends == pytest.approx(newcombe(x, n, other, others, 1.959964), abs=0.015)


def test_all_pairs_together_hold_their_gaps_19_times_in_20() -> None:
    """Four equal groups of 60 units: the six intervals of a metric all contain 0."""
    rng = np.random.default_rng(5)
    held = {"selection_rate": 0, "true_positive_rate": 0, "false_positive_rate": 0}
    rounds = 250
    for _ in range(rounds):
        group = np.repeat(["a", "b", "c", "d"], 60)
        actual = rng.random(240) < 0.5
        flagged = rng.random(240) < np.where(actual, 0.85, 0.1)
        result = compared(group, flagged, actual)
        for metric in held:
            held[metric] += result.largest[metric].difference.low == 0.0
    assert min(held.values()) / rounds > 0.92, held


def test_a_planted_gap_is_found_and_its_interval_holds_it() -> None:
    rng = np.random.default_rng(6)
    group = rng.choice(["a", "b", "c"], 3_000)
    actual = rng.random(3_000) < 0.4
    flagged = rng.random(3_000) < np.where(actual, np.where(group == "b", 0.6, 0.8), 0.1)
    gap = compared(group, flagged, actual).largest["true_positive_rate"]
    assert gap.low_group == "b"
    assert gap.pairs == 3
    assert gap.difference.low is not None
    assert gap.difference.high is not None
    assert 0.05 < gap.difference.low < 0.2 < gap.difference.high < 0.4


def test_requests_of_a_unit_do_not_count_as_many() -> None:
    """Each unit has twenty equal requests: as wide an interval as of the units alone."""
    rng = np.random.default_rng(7)
    group, actual = np.repeat(["a", "b"], 50), np.ones(100)
    flagged = rng.random(100) < 0.7
    alone = compared(group, flagged, actual, resamples=1_000).largest["true_positive_rate"].difference
    many = [np.repeat(values, 20) for values in (group, flagged, actual)]
    together = compared(*many, unit_of=np.repeat(np.arange(100), 20), resamples=1_000)
    assert together.largest["true_positive_rate"].difference.high == pytest.approx(alone.high, abs=0.02)


def test_small_groups_are_named_and_not_compared() -> None:
    group = ["a"] * 100 + ["b"] * 100 + ["few"] * 12 + ["negative"] * 60
    actual = [0, 1] * 106 + [0] * 55 + [1] * 5
    result = compared(group, [1, 0, 0, 1] * 68, actual)
    why = {part.group: part.not_compared.get("true_positive_rate") for part in result.groups}
    assert why["a"] is None
    assert why["few"] == "12 units are too few, 30 are needed"
    assert why["negative"] == "it rests on 5 units, 10 are needed"
    assert {name for gap in result.gaps for name in (gap.group, gap.other)} == {"a", "b", "negative"}
    assert {gap.group for gap in result.gaps if gap.metric == "true_positive_rate"} == {"a"}


def test_one_group_has_nothing_to_compare_with() -> None:
    result = compared(["a"] * 50, [1, 0] * 25, [1, 1, 0, 0, 1] * 10)
    assert (result.gaps, result.largest) == ([], {})
    assert result.groups[0].metrics["selection_rate"].value == 0.5


def test_a_metric_that_most_resamples_lack_is_not_compared() -> None:
    rng = np.random.default_rng(8)
    scores = rng.random(80)
    actual = {"a": np.array([1, 0] * 20), "b": np.array([1] + [0] * 39)}
    inputs = {
        name: GroupInput(
            40, 40, {"auc": metrics.auc(scores[:40], values, np.arange(40) + 40 * number, 80)}, {"other": "none here"}
        )
        for number, (name, values) in enumerate(actual.items())
    }
    result = compare_groups("group", inputs, 80, 0, 500)
    assert result.groups[1].not_compared["auc"] == "too few of its requests are of one of the classes"
    assert result.groups[1].not_compared["other"] == "none here"
    assert not result.gaps


def test_only_the_largest_groups_are_compared() -> None:
    names = np.repeat([f"g{number:02d}" for number in range(22)], 30)
    result = compared(names, np.arange(660) % 2 == 0, np.arange(660) % 3 == 0)
    assert result.largest["selection_rate"].pairs == 190
    assert result.groups[-1].not_compared["selection_rate"] == "only the 20 largest groups are compared"
