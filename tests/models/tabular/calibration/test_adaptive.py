"""Adaptive conformal inference keeps its promise in a world that shifts, where a fixed margin does not."""

import numpy as np
import pytest

from flyball.core import BadInput
from flyball.models.tabular.calibration.adaptive import AdaptiveLevel, adapted_margin, adaptive_level
from flyball.models.tabular.calibration.conformal import conformal_margin


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_the_share_of_misses_keeps_within_the_proven_bound(level: float) -> None:
    rng = np.random.default_rng(0)
    calibration = np.abs(rng.normal(0, 1, 500))
    fixed = conformal_margin(calibration, level)
    scale = np.repeat([1.0, 4.0, 0.3, 2.0], 1_000)  # the world becomes wilder, calmer, wilder
    scores = np.abs(rng.normal(0, 1, 4_000)) * scale
    state, misses, missed_by_fixed = adaptive_level(level, gamma=0.02), 0, 0
    for score in scores:
        covered = bool(score <= state.margin(calibration))
        misses, missed_by_fixed = misses + (not covered), missed_by_fixed + bool(score > fixed)
        state = state.after(covered)
    target = 1 - level
    bound = (max(target, 1 - target) + 0.02) / (0.02 * 4_000)
    assert abs(misses / 4_000 - target) <= bound
    assert abs(missed_by_fixed / 4_000 - target) > 5 * abs(misses / 4_000 - target)


def test_in_a_world_that_stays_it_stays() -> None:
    rng = np.random.default_rng(1)
    calibration = np.abs(rng.normal(0, 1, 2_000))
    state = adaptive_level(0.8)
    margins = []
    for score in np.abs(rng.normal(0, 1, 5_000)):
        margins.append(state.margin(calibration))
        state = state.after(bool(score <= margins[-1]))
    assert np.mean(margins[1_000:]) == pytest.approx(1.2816, rel=0.1)


def test_beyond_its_ends_it_covers_everything_or_nothing() -> None:
    scores = np.arange(100.0)
    state = adaptive_level(0.9, gamma=0.5)
    assert state.after(False).margin(scores) == float("inf")
    for _ in range(20):
        state = state.after(True)
    assert state.margin(scores) == float("-inf")


@pytest.mark.parametrize("alpha", [5e-18, 1e-300])
def test_an_alpha_that_is_lost_in_rounding_covers_everything(alpha: float) -> None:
    assert AdaptiveLevel(0.2, alpha).margin(np.array([1.0, 2.0])) == float("inf")


def test_outcomes_may_come_in_any_order() -> None:
    state = adaptive_level(0.8)
    assert state.after(True).after(False).alpha == pytest.approx(state.after(False).after(True).alpha)


def test_its_arguments_are_checked() -> None:
    with pytest.raises(BadInput, match="level of an interval must be between 0 and 1, got 1"):
        adaptive_level(1.0)
    with pytest.raises(BadInput, match="gamma of an adaptive interval must be above 0, got 0"):
        adaptive_level(0.8, gamma=0)


@pytest.mark.parametrize("level", [0.5, 0.8])
def test_going_through_scores_is_the_state_step_by_step(level: float) -> None:
    scores = np.random.default_rng(2).normal(0, 1, 81) * np.linspace(1, 3, 81)
    state = adaptive_level(level, gamma=0.03)
    for row in range(40, 81):
        state = state.after(bool(scores[row] <= state.margin(scores[:row])))
    assert adapted_margin(scores, level, 0.03) == state.margin(scores)
    assert adapted_margin(np.array([5.0]), level, 0.03) == 5.0
    always = adapted_margin(np.concatenate([np.zeros(10), np.full(200, 9.0) + np.arange(200)]), level, 0.5)
    assert always <= 9.0 + 199  # finite, where everything should be covered
