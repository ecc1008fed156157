"""The cost curve of planted payments: its least lies at the factor that was planted, and every point is a metric."""

import numpy as np
import pytest

import flyball as fb
from flyball.evaluation import resample
from flyball.policy import CostColumns
from flyball.tasks.metrics import cost_curve


def test_the_least_cost_lies_at_the_planted_factor() -> None:
    rng = np.random.default_rng(0)
    true = rng.beta(0.5, 4.0, 40_000)
    predicted = true / (true + (1 - true) * 4.0)  # odds four times too low
    actual = (rng.random(40_000) < true).astype(int)
    costs = CostColumns(np.full(40_000, 20.0), np.full(40_000, 5.0), None)
    day_of = np.arange(40_000) // 1_000
    policy = fb.decide(20.0, 5.0)
    curve = cost_curve(policy, predicted, actual, costs, day_of, day_of, 40)
    ones = np.ones((1, 40))
    values = [float(point.cost(ones)[0]) for point in curve.points]
    assert curve.points[int(np.argmin(values))].odds in (2.0**1.5, 4.0, 2.0**2.5)
    assert float(curve.approve_all(ones)[0]) == pytest.approx(20.0 * actual.mean())
    assert float(curve.decline_all(ones)[0]) == pytest.approx(5.0 * (1 - actual.mean()))
    assert values[0] == pytest.approx(20.0 * actual.mean(), rel=0.2)  # far to the left nearly all are approved
    shares = [point.shares["decline"] for point in curve.points]
    assert shares == sorted(shares)
    assert all(sum(point.shares.values()) == pytest.approx(1.0) for point in curve.points)
    estimates = [
        one.estimate()
        for one in resample({point.odds: point.cost for point in curve.points}, 40, 0, resamples=300).values()
    ]
    assert all((one.low or 0) < one.value < (one.high or 0) for one in estimates)


def test_a_weight_counts_in_costs_and_shares() -> None:
    policy = fb.decide(20.0, 5.0)
    costs = CostColumns(np.full(2, 20.0), np.full(2, 5.0), None)
    days = np.zeros(2, np.int64)
    probability, actual = np.array([0.9, 0.01]), np.array([0, 1])
    curve = cost_curve(policy, probability, actual, costs, days, days, 1, np.array([3.0, 1.0]))
    neutral = next(point for point in curve.points if point.odds == 1.0)
    assert neutral.shares["decline"] == 0.75
    assert neutral.cost(np.ones((1, 1)))[0] == pytest.approx((3 * 5.0 + 20.0) / 4)
