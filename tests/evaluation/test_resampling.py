"""Intervals: what they cover, that they are paired, and that a seed settles them."""

from typing import Any

import numpy as np
import pytest

from flyball.core import BadInput
from flyball.evaluation import Estimate, Resamples, interval_of, resample, resample_weights
from flyball.tasks import request_mean


def mean(values: Any) -> Any:
    """The mean of one value a unit, as a function of unit weights."""
    return request_mean(np.asarray(values, np.float64), np.arange(len(values)), len(values))


def interval(values: Any, seed: int, resamples: int = 1_000) -> Estimate:
    return resample({"mean": mean(values)}, len(values), seed, resamples)["mean"].estimate()


def paired(values: Any, others: Any, seed: int, resamples: int = 1_000) -> Estimate:
    both = resample({"a": mean(values), "b": mean(others)}, len(values), seed, resamples)
    return both["a"].minus(both["b"]).estimate()


def test_a_resample_draws_as_many_units_as_there_are() -> None:
    weights = np.concatenate(list(resample_weights(30, 500, seed=3)))
    assert weights.shape == (500, 30)
    assert (weights.sum(axis=1) == 30).all()
    # each weight is binomial(30, 1/30)
    assert weights.mean() == 1.0
    assert weights.var() == pytest.approx(29 / 30, rel=0.05)


def test_resampled_means_equal_a_loop_over_drawn_units() -> None:
    values = np.random.default_rng(0).normal(size=7)
    found = resample({"mean": mean(values)}, 7, seed=5, resamples=20)["mean"]
    weights = np.concatenate(list(resample_weights(7, 20, seed=5)))
    for row, drawn_mean in zip(weights, found.drawn, strict=True):
        drawn = [values[unit] for unit in range(7) for _ in range(int(row[unit]))]
        assert drawn_mean == pytest.approx(np.mean(drawn))
    assert found.value == pytest.approx(values.mean())


def test_a_unit_counts_with_all_its_requests() -> None:
    values, unit_of = np.array([1.0, 3.0, 10.0]), np.array([0, 0, 1])
    function = request_mean(values, unit_of, 2)
    assert function(np.array([[1.0, 1.0], [2.0, 0.0], [0.0, 2.0]])).tolist() == pytest.approx([14 / 3, 2.0, 10.0])


def test_chunks_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(1).normal(size=40)
    whole = interval(values, seed=2)
    monkeypatch.setattr("flyball.evaluation.resampling._CHUNK_CELLS", 400)
    assert interval(values, seed=2).low == pytest.approx(whole.low, abs=1e-12)
    assert interval(values, seed=2).high == pytest.approx(whole.high, abs=1e-12)


@pytest.mark.parametrize("kind", ["normal", "skewed", "rare"])
def test_95_percent_intervals_cover_a_planted_mean(kind: str) -> None:
    rng = np.random.default_rng(11)
    draw, planted, least = {
        "normal": (lambda: rng.normal(0.3, 1.0, 120), 0.3, 0.92),
        "skewed": (lambda: rng.exponential(2.0, 200), 2.0, 0.91),
        "rare": (lambda: (rng.random(300) < 0.1).astype(float), 0.1, 0.91),
    }[kind]
    repetitions = 400
    inside = 0
    for seed in range(repetitions):
        found = interval(draw(), seed, resamples=300)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= planted <= found.high
    assert least <= inside / repetitions <= 0.98


def test_intervals_cover_when_requests_of_a_user_go_together() -> None:
    """Five requests of a user that share the user's luck are worth one, not five."""
    rng = np.random.default_rng(12)
    inside, repetitions, unit_of = 0, 300, np.repeat(np.arange(80), 5)
    for seed in range(repetitions):
        values = 0.3 + np.repeat(rng.normal(size=80), 5)
        found = resample({"mean": request_mean(values, unit_of, 80)}, 80, seed, 300)["mean"].estimate()
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.3 <= found.high
    assert 0.91 <= inside / repetitions <= 0.98


def test_a_planted_difference_is_seen_only_when_paired() -> None:
    rng = np.random.default_rng(4)
    tastes = rng.normal(0, 1.0, 300)
    worse, better = tastes + rng.normal(0, 0.05, 300), tastes + 0.03 + rng.normal(0, 0.05, 300)
    gain = paired(better, worse, seed=1)
    assert gain.low is not None
    assert 0 < gain.low < 0.03 < (gain.high or 0)
    apart = interval(better, seed=1), interval(worse, seed=2)
    assert (apart[0].low or 0) < (apart[1].high or 0)


def test_a_false_difference_is_seen_about_one_time_in_twenty() -> None:
    rng = np.random.default_rng(8)
    seen = 0
    for seed in range(400):
        gap = paired(rng.random(150), rng.random(150), seed, resamples=300)
        assert gap.low is not None
        assert gap.high is not None
        seen += not gap.low <= 0 <= gap.high
    assert seen / 400 < 0.09


def test_ends_are_settled_by_the_seed_and_bracket_the_value() -> None:
    values = np.random.default_rng(0).random(50)
    assert interval(values, seed=1) == interval(values, seed=1)
    assert interval(values, seed=1) != interval(values, seed=2)
    assert interval(np.array([3.0]), seed=1) == Estimate(3.0)
    assert Estimate(3.0).text() == "3.0000"
    assert Estimate(0.25, 0.2, 0.3).text(2) == "0.25 [0.20, 0.30]"
    with pytest.raises(BadInput, match="units must be one or more"):
        resample({"mean": mean(values)}, 0, seed=1)


def test_a_centered_share_is_moved_to_its_value_and_stays_a_share() -> None:
    def covered(weights: Any) -> Any:
        """The share of units that are drawn at all: a resample that repeats units always understates it."""
        return (weights > 0).mean(axis=1)

    plain = resample({"share": covered}, 50, seed=1)["share"]
    moved = resample({"share": covered}, 50, seed=1, centered=frozenset({"share"}))["share"]
    assert plain.value == moved.value == 1.0
    assert plain.drawn.max() < 1.0
    assert moved.drawn.max() <= 1.0
    assert moved.drawn.mean() > plain.drawn.mean() + 0.3


def test_resamples_without_a_value_are_left_out_of_the_interval() -> None:
    drawn = np.array([np.nan, 1.0, 2.0, 3.0])
    assert interval_of(2.0, drawn, 9).low == pytest.approx(1.05)
    assert Resamples(2.0, np.full(4, np.nan), 9).estimate() == Estimate(2.0)
