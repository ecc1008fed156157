"""Intervals: what they cover, that they are paired, and that a seed settles them."""

import numpy as np
import pytest

from flyball.core import BadInput
from flyball.evaluation import Estimate, bootstrap_interval, bootstrap_means, paired_difference
from flyball.evaluation.estimates import resample_weights


def test_a_resample_draws_as_many_users_as_there_are() -> None:
    weights = np.concatenate(list(resample_weights(30, 500, seed=3)))
    assert weights.shape == (500, 30)
    assert (weights.sum(axis=1) == 30).all()
    # each weight is binomial(30, 1/30)
    assert weights.mean() == 1.0
    assert weights.var() == pytest.approx(29 / 30, rel=0.05)


def test_resampled_means_equal_a_loop_over_drawn_users() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(7, 2))
    found = bootstrap_means(values, seed=5, resamples=20)
    weights = np.concatenate(list(resample_weights(7, 20, seed=5)))
    for row, mean in zip(weights, found, strict=True):
        drawn = [values[user] for user in range(7) for _ in range(int(row[user]))]
        assert mean.tolist() == pytest.approx(np.mean(drawn, axis=0).tolist())


def test_chunks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(size=40)
    whole = bootstrap_interval(values, seed=2)
    monkeypatch.setattr("flyball.evaluation.estimates._CHUNK_CELLS", 400)
    assert bootstrap_interval(values, seed=2).low == pytest.approx(whole.low, abs=1e-12)
    assert bootstrap_interval(values, seed=2).high == pytest.approx(whole.high, abs=1e-12)


@pytest.mark.parametrize("kind", ["normal", "skewed", "rare"])
def test_95_percent_intervals_cover_a_planted_mean(kind: str) -> None:
    rng = np.random.default_rng(11)
    draw, mean, least = {
        "normal": (lambda: rng.normal(0.3, 1.0, 120), 0.3, 0.92),
        "skewed": (lambda: rng.exponential(2.0, 200), 2.0, 0.91),
        "rare": (lambda: (rng.random(300) < 0.1).astype(float), 0.1, 0.91),
    }[kind]
    repetitions = 400
    inside = 0
    for seed in range(repetitions):
        found = bootstrap_interval(draw(), seed, resamples=300)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= mean <= found.high
    assert least <= inside / repetitions <= 0.98


def test_a_planted_difference_is_seen_only_when_paired() -> None:
    rng = np.random.default_rng(4)
    tastes = rng.normal(0, 1.0, 300)
    worse, better = tastes + rng.normal(0, 0.05, 300), tastes + 0.03 + rng.normal(0, 0.05, 300)
    gain = paired_difference(better, worse, seed=1)
    assert gain.low is not None
    assert 0 < gain.low < 0.03 < (gain.high or 0)
    apart = bootstrap_interval(better, seed=1), bootstrap_interval(worse, seed=2)
    assert (apart[0].low or 0) < (apart[1].high or 0)


def test_a_false_difference_is_seen_about_one_time_in_twenty() -> None:
    rng = np.random.default_rng(8)
    seen = 0
    for seed in range(400):
        gap = paired_difference(rng.random(150), rng.random(150), seed, resamples=300)
        assert gap.low is not None
        assert gap.high is not None
        seen += not gap.low <= 0 <= gap.high
    assert seen / 400 < 0.09


def test_ends_are_settled_by_the_seed_and_bracket_the_value() -> None:
    values = np.random.default_rng(0).random(50)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)
    assert bootstrap_interval(np.array([3.0]), seed=1) == Estimate(3.0)
    assert Estimate(3.0).text() == "3.0000"
    assert Estimate(0.25, 0.2, 0.3).text(2) == "0.25 [0.20, 0.30]"
    with pytest.raises(BadInput, match="others must be 50 long"):
        paired_difference(values, values[1:], seed=1)
    with pytest.raises(BadInput, match="one user or more"):
        bootstrap_interval(np.zeros(0), seed=1)
