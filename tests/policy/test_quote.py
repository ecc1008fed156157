"""The promise that costs least, against the cost of every promise over a known distribution."""

from typing import Any

import numpy as np
import pytest
from scipy import stats

import flyball as fb
from flyball.core import BadDeclaration

LEVELS = [n / 100 for n in range(1, 100)]


@pytest.mark.parametrize(("late", "early"), [(1.0, 1.0), (3.0, 1.0), (1.0, 4.0), (20.0, 1.0)])
def test_no_other_promise_costs_less(late: float, early: float) -> None:
    minutes = np.random.default_rng(0).gamma(4.0, 8.0, 40_000)
    promise = fb.quote(late, early).of(LEVELS, np.quantile(minutes, LEVELS).tolist())

    def cost(promised: float) -> float:
        return float((late * np.maximum(minutes - promised, 0) + early * np.maximum(promised - minutes, 0)).mean())

    least = min(cost(promised) for promised in np.linspace(0, 120, 1_201))
    assert cost(promise) == pytest.approx(least, rel=1e-3)


def test_between_two_quantiles_it_is_interpolated_and_at_one_it_is_that() -> None:
    assert fb.quote(3, 1).level == 0.75
    assert fb.quote(3, 1).of([0.5, 0.75, 0.9], [1.0, 2.0, 9.0]) == 2.0
    assert fb.quote(1, 1).of([0.5, 0.75, 0.9], [1.0, 2.0, 9.0]) == 1.0
    assert fb.quote(9, 1).of([0.5, 0.75, 0.9], [1.0, 2.0, 9.0]) == 9.0
    normal = [float(stats.norm(20, 3).ppf(level)) for level in (0.1, 0.5, 0.9)]
    assert fb.quote(7, 3).of([0.1, 0.5, 0.9], normal) == pytest.approx(stats.norm(20, 3).ppf(0.7))
    assert fb.quote(1, 4).of([0.1, 0.5, 0.9], normal) == pytest.approx(stats.norm(20, 3).ppf(0.2))
    assert fb.quote(1, 1).of([0.5], [7.0]) == 7.0


@pytest.mark.parametrize("wrong", [0, -1, float("nan"), float("inf"), "3", True])
def test_costs_are_numbers_above_zero(wrong: Any) -> None:
    with pytest.raises(BadDeclaration, match=r"late of quote\(...\) must be a number above 0"):
        fb.quote(wrong, 1)
    with pytest.raises(BadDeclaration, match=r"early of quote\(...\) must be a number above 0"):
        fb.quote(1, wrong)


def test_a_level_beyond_the_predicted_quantiles_is_refused() -> None:
    must = r"level of quote\(late=19, early=1\) must be within the predicted quantiles \(0.1 to 0.9\): .* got 0.95"
    with pytest.raises(BadDeclaration, match=must):
        fb.quote(19, 1).of([0.1, 0.5, 0.9], [1.0, 2.0, 3.0])
    with pytest.raises(BadDeclaration, match=r"within the predicted quantiles \(0 to 1\)"):
        fb.quote(1, 1).of([0.0, 1.0], [1.0, 2.0])
    with pytest.raises(BadDeclaration, match=r"within the predicted quantiles \(none\)"):
        fb.quote(1, 1).of([], [])
