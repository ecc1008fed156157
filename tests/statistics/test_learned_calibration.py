"""Learned calibration: planted curves, scikit-learn's way of interpolation by hand, resamples and refusals."""

import numpy as np
import pytest

from flyball.core import BadInput
from flyball.statistics import LearnedCalibration, learn_calibration


def planted(rows: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Scores whose outcome happens with the probability score²."""
    rng = np.random.default_rng(seed)
    scores = rng.random(rows)
    return scores, rng.random(rows) < scores**2


def test_a_planted_curve_is_learned() -> None:
    scores, outcomes = planted(50_000)
    calibration = learn_calibration(scores, outcomes, np.random.default_rng(2))
    at = np.linspace(0.05, 0.95, 19)
    assert np.abs(calibration.apply(at) - at**2).max() < 0.04
    assert (np.diff(calibration.apply(np.linspace(0, 1, 500))) >= 0).all()


def test_the_mean_of_the_curve_is_the_share_of_outcomes() -> None:
    """Where decisions are made by score, expected accuracy on the reference is then the measured accuracy."""
    scores, outcomes = planted(500)
    calibration = learn_calibration(scores, outcomes, np.random.default_rng(2))
    assert calibration.apply(scores).mean() == pytest.approx(outcomes.mean())


def test_pools_of_adjacent_violators_by_hand() -> None:
    scores = np.repeat([0.1, 0.2, 0.3, 0.4], [40, 40, 40, 40])
    shares = [0.0, 0.75, 0.25, 1.0]  # the middle two fall, so both become their mean
    outcomes = np.concatenate([np.arange(40) < 40 * share for share in shares])
    calibration = learn_calibration(scores, outcomes, np.random.default_rng(2))
    assert calibration.apply([0.05, 0.1, 0.15, 0.2, 0.3, 0.35, 0.5]).tolist() == pytest.approx(
        [0.0, 0.0, 0.25, 0.5, 0.5, 0.75, 1.0]
    )


def test_resamples_spread_as_other_samples_do() -> None:
    spread = learn_calibration(*planted(2_000), np.random.default_rng(2)).draws([0.5]).std()
    others = [
        learn_calibration(*planted(2_000, seed), np.random.default_rng(2), draws=2).apply([0.5])[0]
        for seed in range(200)
    ]
    assert 0.5 < spread / np.std(others) < 2


def test_classes_are_learned_apart_and_sum_to_1() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet([1, 1, 1], 20_000)
    labels = (rng.random(20_000)[:, None] > probabilities.cumsum(axis=1)).sum(axis=1)
    sharper = probabilities**2 / (probabilities**2).sum(axis=1, keepdims=True)
    calibration = learn_calibration(sharper, labels, rng, draws=5)
    corrected = calibration.apply(sharper)
    assert corrected.sum(axis=1) == pytest.approx(1.0)
    assert np.abs(corrected - probabilities).mean() < np.abs(sharper - probabilities).mean() / 2
    assert calibration.draws(sharper).shape == (5, 20_000, 3)


def test_scores_without_a_reference_nearby_are_counted() -> None:
    scores, outcomes = planted(2_000)
    calibration = learn_calibration(scores / 2, outcomes, np.random.default_rng(2))
    assert calibration.share_beyond(scores / 2) == 0.0
    assert calibration.share_beyond(np.linspace(0.25, 0.75, 1_000)) == pytest.approx(0.5, abs=0.051)
    assert calibration.share_beyond(np.full(100, 0.9)) == 1.0


def test_what_cannot_be_learned_is_refused() -> None:
    rng = np.random.default_rng(1)
    few = np.arange(100) < 29
    with pytest.raises(BadInput, match="outcomes of kind 1 must be 30 or more: wait for more labels, got 29"):
        learn_calibration(np.linspace(0, 1, 100), few, rng)
    with pytest.raises(BadInput, match="outcomes must be from 0 to 1, got 2"):
        learn_calibration([0.1] * 90, [0] * 40 + [1] * 40 + [2] * 10, rng)
    with pytest.raises(BadInput, match="outcomes must be one for each of 3 rows of scores"):
        learn_calibration([0.1, 0.2, 0.3], [0, 1], rng)
    with pytest.raises(BadInput, match="draws must be 2 or more, got 1"):
        learn_calibration(*planted(500), rng, draws=1)
    calibration: LearnedCalibration = learn_calibration(*planted(500), rng, draws=2)
    with pytest.raises(BadInput, match="scores must be of 1 classes, as those of the reference"):
        calibration.apply([[0.1, 0.9]])
