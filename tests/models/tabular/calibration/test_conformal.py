"""Coverage of conformal intervals within binomial error, for all and for each group; edges of the rank."""

from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.models.tabular.calibration.conformal import (
    conformal_margin,
    conformity_scores,
    fewest_examples,
    group_margins,
)


@given(
    scores=st.lists(st.integers(-5, 5), min_size=1, max_size=30),
    level=st.sampled_from([0.1, 0.5, 0.7, 0.8, 0.9, 0.95]),
)
def test_the_margin_is_the_ranked_score(scores: list[int], level: float) -> None:
    rank = ceil(round((len(scores) + 1) * level, 9))
    expected = float(sorted(scores)[rank - 1]) if rank <= len(scores) else float("inf")
    assert conformal_margin(np.array(scores), level) == expected
    assert np.isfinite(expected) == (len(scores) >= fewest_examples(level))


@given(
    rows=st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2)), min_size=1, max_size=15),
    level=st.sampled_from([0.5, 0.8]),
)
def test_a_weight_is_a_share_of_the_mass(rows: list[tuple[int, int]], level: float) -> None:
    """The least score below which `level` of the weight lies, one average example more in the whole."""
    scores, weight = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    margin = conformal_margin(scores, level, weight)
    if not weight.sum():
        assert margin == float("inf")
        return
    mean = weight[weight > 0].mean()
    needed = level * (weight.sum() + mean) - 1e-9
    reached = [score for score in sorted(scores) if weight[scores <= score].sum() >= needed]
    assert margin == (reached[0] if reached else float("inf"))


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_an_interval_covers_as_often_as_it_says(level: float) -> None:
    """Quantiles that are far too narrow, 99 examples to correct them, one new number: 4,000 times over.

    The chance to cover is ceil(100 level) / 100 exactly, whatever the distribution.
    """
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(4_000):
        x = rng.random(100)
        y = 10 * x + rng.gamma(2.0, 1 + 3 * x)
        low, high = 10 * x + 2.0, 10 * x + 3.0
        margin = conformal_margin(conformity_scores(low[:99], high[:99], y[:99]), level)
        covered += low[99] - margin <= y[99] <= high[99] + margin
    assert abs(covered / 4_000 - level) < 3.3 * (level * (1 - level) / 4_000) ** 0.5


def test_each_group_covers_as_often_as_it_says() -> None:
    """A wide group and a narrow one: one margin for both over-covers the one and under-covers the other."""
    rng = np.random.default_rng(1)
    group, fresh_group = rng.integers(0, 2, 20_000), rng.integers(0, 2, 20_000)
    wide = np.array([1.0, 10.0])
    y, fresh = rng.normal(0, wide[group]), rng.normal(0, wide[fresh_group])
    none = np.zeros(20_000)
    scores, fresh_scores = conformity_scores(none, none, y), conformity_scores(none, none, fresh)
    margins = group_margins(scores, group, 2, 0.8)
    for number in (0, 1):
        inside = fresh_scores[fresh_group == number] <= margins[number]
        error = 4 * (0.16 / len(inside) + 0.16 / (group == number).sum()) ** 0.5
        assert abs(inside.mean() - 0.8) < error
        assert abs((fresh_scores[fresh_group == number] <= margins[-1]).mean() - 0.8) > 0.15
    assert margins[0] == pytest.approx(1.2816, rel=0.05)  # the 80 % of |N(0, 1)|
    assert margins[1] == pytest.approx(12.816, rel=0.05)


def test_intervals_that_are_too_wide_shrink() -> None:
    actual = np.random.default_rng(2).normal(0, 1, 5_000)
    margin = conformal_margin(conformity_scores(np.full(5_000, -9.0), np.full(5_000, 9.0), actual), 0.8)
    assert margin == pytest.approx(-9 + 1.2816, abs=0.1)


def test_a_group_that_is_too_small_or_unknown_takes_the_margin_of_all() -> None:
    scores, group_of = np.arange(12.0), np.array([0] * 9 + [1] * 2 + [-1])
    margins = group_margins(scores, group_of, 3, 0.8)
    everyone = conformal_margin(scores, 0.8)
    assert margins.tolist() == [conformal_margin(scores[:9], 0.8), everyone, everyone, everyone]


def test_levels_and_examples_are_checked() -> None:
    for wrong in (0.0, 1.0, 80, float("nan")):
        with pytest.raises(BadInput, match="level of an interval must be between 0 and 1"):
            conformal_margin(np.zeros(3), wrong)
    assert conformal_margin(np.zeros(0), 0.5) == float("inf")
    none: Any = np.zeros(0, np.int64)
    assert group_margins(np.zeros(0), none, 1, 0.5).tolist() == [float("inf")] * 2
