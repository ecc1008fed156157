"""Betting on bounded values: an exact error probability, merging, coverage and laws."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.statistics import bet, betting_interval, betting_log_e, plan_betting, plan_bounded_difference

PLAN = plan_betting(0.0, 1.0, n_best=50, sd=0.4, candidates=[0.1, 0.25, 0.5, 0.9])


@settings(max_examples=25)
@given(st.lists(st.floats(0, 1), max_size=30), st.integers(0, 30))
def test_the_wealth_is_that_of_naive_bettors_and_merges(values: list[float], cut: int) -> None:
    wealth = bet(PLAN, values)
    parts = bet(PLAN, values[cut:]).merge(bet(PLAN, values[:cut]))
    assert parts.logs == pytest.approx(wealth.logs, abs=1e-9)
    for index, mean in enumerate(PLAN.candidates):
        naive = sum(
            weight * np.prod([1 + stake * (value - mean) for value in values])
            for stake, weight in zip(PLAN.stakes, PLAN.weights, strict=True)
        )
        assert float(np.exp(betting_log_e(PLAN, wealth)[index])) == pytest.approx(naive, rel=1e-9)


def test_a_true_mean_is_left_out_with_alpha_at_most_exactly() -> None:
    """All 2^14 paths of coin flips with p = 1/4, looked at after each; alpha .3 so that short paths can err."""
    plan = plan_betting(0.0, 1.0, n_best=10, sd=0.43, alpha=0.3, candidates=[0.25])
    stakes, weights = np.array(plan.stakes), np.array(plan.weights)
    paths = np.array(list(product([0.0, 1.0], repeat=14)))
    wealth = np.cumprod(1 + stakes[:, None, None] * (paths - 0.25), axis=2)
    mixed = np.einsum("b,bpn->pn", weights, wealth)
    chance = np.prod(np.where(paths == 1, 0.25, 0.75), axis=1)
    erred = float(chance[(mixed >= 1 / 0.3).any(axis=1)].sum())
    assert 0.01 < erred <= 0.3
    assert mixed[:, -1] @ chance == pytest.approx(1.0)  # a martingale: its mean stays 1


def test_coverage_at_every_look_of_a_skewed_variable() -> None:
    rng = np.random.default_rng(4)
    plan = plan_betting(0.0, 1.0, n_best=500, sd=0.12, candidates=[0.0625])
    missed = 0
    for _ in range(200):
        values = rng.beta(0.25, 3.75, size=(10, 60))
        wealth = bet(plan, [])
        for batch in values:
            wealth = wealth.merge(bet(plan, batch))
            if betting_log_e(plan, wealth)[0] >= np.log(20):
                missed += 1
                break
    assert missed <= 16  # .05 of 200 and two standard errors


def test_a_difference_of_two_arms() -> None:
    """A planted difference of .1 lies inside, 0 does not, whatever the center; nearer centers are narrower."""
    rng = np.random.default_rng(0)
    arm_b = rng.random(6_000) < 0.25
    values = np.clip(rng.normal(0.4 + 0.1 * arm_b, 0.15), 0, 1)
    widths = []
    for center in (0.4, 0.0):
        plan = plan_bounded_difference(0, 1, 6_000, 0.15, center, share=0.25, margin=0.02)
        inference = plan.infer(plan.bet(arm_b, values), (int((~arm_b).sum()), int(arm_b.sum())), margin=0.02)
        assert inference.low < 0.1 < inference.high
        widths.append(inference.high - inference.low)
        if center == 0.4:
            assert (inference.verdict, inference.p < 0.05) == ("better", True)
    assert widths[0] < widths[1]


def test_impossible_values_leave_a_point() -> None:
    plan = plan_betting(0.0, 1.0, n_best=100, sd=0.3, candidates=3)
    low, high = betting_interval(plan, bet(plan, np.full(5_000, 0.3)))
    assert low <= 0.3 <= high


def test_bad_arguments_are_refused() -> None:
    plan = plan_bounded_difference(0, 1, 100, 0.3, 0.5)
    for call, message in [
        (lambda: bet(PLAN, [1.5]), r"within \[0, 1\]"),
        (lambda: plan_betting(1, 0, 10, 1), "low must be below"),
        (lambda: plan_bounded_difference(0, 1, 10, 1, 2.0), "center must be within"),
        (lambda: plan_bounded_difference(0, 1, 10, 1, 0.5, share=1.0), "share must be between"),
        (lambda: plan.infer(plan.bet([True], [0.5]), (0, 1), margin=0.0123), "the plan was made with"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()
    assert plan.infer(plan.bet([True], [0.5]), (0, 1)).verdict == "too early"
