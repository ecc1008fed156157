"""Changes of the loss: intervals cover the truth, and what predictions or shares of labels explain is told apart."""

import numpy as np
import pytest

from flyball.core import Doubles
from flyball.monitoring.performance.logged import Logged, PredictionKind
from flyball.monitoring.performance.loss_windows import (
    between_windows,
    change_evidence,
    explained_by_shares,
    explained_change,
    joined,
    loss_change,
    rise_p,
    unit_means,
)


def rows(kind: PredictionKind, scores: Doubles, actual: Doubles, width: Doubles | None = None) -> Logged:
    count = len(scores)
    half = np.full(count, np.nan) if width is None else width / 2
    return Logged(
        kind=kind,
        label="y",
        classes=(),
        at_us=np.arange(count),
        unit=np.arange(count),
        units=count,
        scores=scores,
        spans=np.stack([scores - half, scores + half], axis=1),
        flagged=scores >= 0.5,
        actual=actual,
        mature=np.ones(count, bool),
        weight=np.ones(count),
        answer=np.array([None] * count, object),
    )


def numbers(rng: np.random.Generator, count: int, far: float = 1.0, worse: float = 1.0) -> Logged:
    """Predictions of minutes whose error grows with their size; `far`: larger ones, `worse`: larger errors."""
    size = far * rng.uniform(10, 30, count)
    return rows("number", size, size + 0.1 * worse * size * rng.standard_normal(count), 0.3 * size)


def probabilities(rng: np.random.Generator, count: int, share: float, spread: float = 1.0) -> Logged:
    """Calibrated at a share of 0.2; another share of labels leaves what the cases of each look like."""
    actual = (rng.random(count) < share).astype(float)
    signal = spread * rng.standard_normal(count) + 2 * actual
    odds = 0.25 * np.exp(2 * signal - 2)
    return rows("probability", odds / (1 + odds), actual)


def test_the_interval_of_a_change_covers_it_nineteen_times_in_twenty() -> None:
    rng, covered = np.random.default_rng(1), 0
    for _ in range(300):
        windows = [rng.normal(5, 1, 40) for _ in range(8)]
        low, high = loss_change(windows, rng.normal(5.5, 1, 40))
        covered += low <= 0.5 <= high
    assert 0.91 <= covered / 300 <= 0.995
    assert loss_change([], np.ones(5)) == (float("-inf"), float("inf"))


def test_what_windows_vary_by_widens_the_interval() -> None:
    rng = np.random.default_rng(2)
    calm = [rng.normal(5, 1, 50) for _ in range(10)]
    wild = [rng.normal(5 + shift, 1, 50) for shift in rng.normal(0, 1, 10)]
    assert between_windows(calm) < 0.15 < between_windows(wild)
    widths = [high - low for low, high in (loss_change(windows, calm[0]) for windows in (calm, wild))]
    assert widths[1] > 3 * widths[0]


def test_larger_predictions_explain_a_larger_error_and_a_worse_relation_does_not() -> None:
    rng = np.random.default_rng(3)
    before = numbers(rng, 3_000)
    for far, worse, explained_part in ((2.0, 1.0, 1.0), (1.0, 2.0, 0.0)):
        now = numbers(rng, 3_000, far, worse)
        rise = np.abs(now.actual - now.scores).mean() - np.abs(before.actual - before.scores).mean()
        explained = explained_change(before, now)
        assert explained is not None
        assert explained / rise == pytest.approx(explained_part, abs=0.15)


def test_nothing_says_what_is_expected_of_lists() -> None:
    lists = rows("list", np.ones(20), np.ones(20))
    assert explained_change(lists, lists) is None
    assert explained_by_shares(lists, lists, (0.5, 0.5)) is None


def test_other_shares_of_labels_explain_how_predictions_move_and_other_cases_do_not() -> None:
    rng = np.random.default_rng(4)
    before = probabilities(rng, 5_000, 0.2)
    by_shares = explained_by_shares(before, probabilities(rng, 5_000, 0.6), (0.4, 0.6))
    assert by_shares is not None
    assert by_shares > 0.85
    by_cases = explained_by_shares(before, probabilities(rng, 5_000, 0.2, spread=3.0), (0.7, 0.3))
    assert by_cases is not None
    assert by_cases < 0.5


def test_the_evidence_holds_the_interval_and_what_is_explained() -> None:
    rng = np.random.default_rng(5)
    windows = [numbers(rng, 100) for _ in range(8)]
    now = numbers(rng, 100, worse=3.0)
    evidence = change_evidence(windows, now)
    change = unit_means(now, "losses").mean() - unit_means(joined(windows), "losses").mean()
    assert evidence["low"] < change < evidence["high"]
    assert evidence["low"] > 0
    assert abs(evidence["explained"]) < 0.3 * change


def test_the_p_value_of_a_rise_is_uniform_where_keys_share_their_day() -> None:
    """A day has a level of its own, which all its keys share: ten times what chance of 400 keys explains."""
    rng, p_values = np.random.default_rng(5), []
    for _ in range(400):
        days = [rng.normal(5 + 0.5 * rng.standard_normal(), 1, 400) for _ in range(9)]
        p_values.append(rise_p(days[:-1], days[-1]) or 0.0)
    for level in (0.01, 0.05, 0.5):
        assert np.mean(np.array(p_values) <= level) <= level + 3 * np.sqrt(level * (1 - level) / 400)
    assert np.mean(np.array(p_values) <= 0.5) >= 0.42


def test_a_window_beyond_all_that_windows_differ_by_is_a_rise() -> None:
    """On weekends losses are twice as high."""
    rng = np.random.default_rng(9)
    windows = [rng.normal(0.2 if day % 7 >= 5 else 0.1, 0.05, 200) for day in range(28)]
    usual, high = (rise_p(windows, rng.normal(mean, 0.05, 200)) for mean in (0.2, 0.4))
    assert usual is not None
    assert usual > 0.01
    assert high is not None
    assert high < 1e-4
    assert rise_p([-units for units in windows], -rng.normal(0.4, 0.05, 200)) == pytest.approx(1, abs=1e-4)


def test_few_windows_do_not_say_how_windows_differ() -> None:
    windows = [np.array([1.0, 2.0])] * 4
    assert rise_p([*windows, np.array([1.5])], np.array([9.0])) is None
    assert rise_p([np.ones(3)] * 5, np.ones(3)) == 1.0
    assert rise_p([np.ones(3)] * 5, np.full(3, 2.0)) == 0.0
