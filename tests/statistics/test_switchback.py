"""Switchback: a world with spill-over in which a split of users is biased and the switchback is not; exact tests."""

import numpy as np
import pytest

from flyball.core import BadInput
from flyball.statistics import (
    Sums,
    carry_over_length,
    infer_switchback,
    mean_contrast,
    plan_switchback,
    switchback_arms,
    welch,
)


def test_blocks_come_in_pairs_of_both_arms() -> None:
    plan = plan_switchback(periods=100, block=5, carry_over=1, seed=3)
    arms = switchback_arms(plan)
    assert arms.reshape(10, 2, 5).sum(axis=(1, 2)).tolist() == [5] * 10
    assert (switchback_arms(plan) == arms).all()
    assert len({tuple(switchback_arms(plan_switchback(100, 5, 1, seed))) for seed in range(20)}) > 10


def market(arms: np.ndarray, effect: float, rng: np.random.Generator, spill: float = 0.0) -> np.ndarray:
    """The mean of 200 units a period with a trend; the arm of the period before still acts with a share `spill`."""
    before = np.concatenate([[False], arms[:-1]])
    trend = np.linspace(0, 3, len(arms))
    return trend + effect * ((1 - spill) * arms + spill * before) + rng.normal(0, 0.1, len(arms))


def test_the_effect_for_all_is_found_where_a_split_of_users_is_biased() -> None:
    """Couriers: those who get the faster dispatch take them from the others. For all at once it gains nothing."""
    rng = np.random.default_rng(5)
    plan = plan_switchback(periods=160, block=4, carry_over=1, seed=7)
    arms = switchback_arms(plan)
    switched = infer_switchback(plan, 200 * market(arms, 0.0, rng), np.full(160, 200.0))
    assert switched.low < 0 < switched.high
    gain = 0.5  # what one side takes from the other in a split of users
    a, b = rng.normal(-gain / 2, 1, 4_000), rng.normal(gain / 2, 1, 4_000)
    assert welch(mean_contrast(Sums.of(a), Sums.of(b))).verdict == "better"  # and yet nothing is gained


def test_carry_over_is_left_out() -> None:
    """A plan that leaves out the carried period is right; one that does not sees half the effect lost in it."""
    rng = np.random.default_rng(6)
    found = {}
    for carry_over in (0, 1):
        plan = plan_switchback(periods=320, block=4, carry_over=carry_over, seed=1)
        outcome = market(switchback_arms(plan), 1.0, rng, spill=0.9)
        found[carry_over] = infer_switchback(plan, outcome, np.ones(320))
    assert found[1].low < 1.0 < found[1].high
    assert found[0].high < 1.0


def test_errors_are_alpha_at_most_and_intervals_cover() -> None:
    errs = missed = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        plan = plan_switchback(periods=80, block=4, carry_over=0, seed=seed + 1_000)
        noise = market(switchback_arms(plan), 0.0, rng)
        errs += infer_switchback(plan, noise, np.ones(80)).p <= 0.05
        planted = infer_switchback(plan, noise + 0.3 * switchback_arms(plan), np.ones(80))
        missed += not planted.low <= 0.3 <= planted.high
    assert errs <= 19
    assert missed <= 19


def test_the_length_of_a_carry_over_is_measured() -> None:
    rng = np.random.default_rng(9)
    responses = rng.normal(0, 0.1, size=(60, 8))
    responses[:, :2] -= [[0.8, 0.3]]
    assert carry_over_length(responses) == 2
    assert carry_over_length(rng.normal(0, 0.1, size=(60, 8))) == 0


def test_bad_arguments_are_refused() -> None:
    plan = plan_switchback(periods=80, block=4, carry_over=1, seed=1)
    for call, message in [
        (lambda: plan_switchback(100, 4, 4, 0), "less than a block"),
        (lambda: plan_switchback(20, 4, 1, 0), "pairs of blocks"),
        (lambda: infer_switchback(plan, np.ones(79), np.ones(79)), "one for each period"),
        (lambda: infer_switchback(plan, np.ones(80), np.zeros(80)), "above 0 in every block"),
        (lambda: carry_over_length([[1.0]]), "two or more blocks"),
    ]:
        with pytest.raises(BadInput, match=message):
            call()
