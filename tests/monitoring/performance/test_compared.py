"""Differences of windows: p-values without a change, planted changes, seasons, slices."""

import numpy as np
import pytest
from scipy import stats
from tests.monitoring.performance.bank import DAY_US, START_US, rows

from flyball.evaluation import Estimate
from flyball.monitoring.performance.compared import (
    MetricNow,
    compared_metrics,
    difference_p,
    frequent_values,
    window_p,
)
from flyball.monitoring.performance.estimated import learn_reference
from flyball.monitoring.performance.logged import Logged


def test_intervals_alone_give_the_usual_p_value() -> None:
    now, before = Estimate(1.0, 1.0 - 1.96, 1.0 + 1.96), Estimate(0.0, -1.96, 1.96)
    p = difference_p(now, before, [])
    assert p == pytest.approx(2 * stats.norm.sf(1 / np.sqrt(2)), rel=1e-3)
    assert difference_p(now, None, [0.0] * 4) is None
    assert difference_p(Estimate(1.0, 1.0, 1.0), Estimate(1.0, 1.0, 1.0), []) == 1.0


def test_windows_that_lie_apart_make_a_difference_usual() -> None:
    now, before = Estimate(1.0, 0.99, 1.01), Estimate(0.0, -0.01, 0.01)
    far = difference_p(now, before, [-1.0, 1.0, -0.5, 0.5, 0.0, 0.8])
    assert far is not None
    assert far > 0.1
    near = difference_p(now, before, [-0.01, 0.01, 0.0, 0.02, -0.02, float("nan")])
    assert near is not None
    assert near < 1e-5


def test_a_further_value_of_a_normal_distribution_is_uniform() -> None:
    rng = np.random.default_rng(1)
    p = [window_p(rng.normal(), rng.normal(size=8)) for _ in range(500)]
    assert stats.kstest(p, "uniform").pvalue > 0.001
    assert window_p(1.0, np.array([1.0, 1.0])) == 1.0
    assert window_p(2.0, np.array([1.0, 1.0])) == 0.0


def days(count: int, seed: int, harder: float = 0.0, from_day: int = 1_000, waiting: int = 0) -> list[Logged]:
    """A day each of 300 probabilities; from a day on outcomes follow them less; of the last days none has a label."""
    rng = np.random.default_rng(seed)
    windows = []
    for day in range(count):
        scores = rng.beta(1, 2, 300)
        truth = (1 - harder) * scores + harder / 2 if day >= from_day else scores
        mature = np.full(300, day < count - waiting)
        actual = np.where(mature, rng.random(300) < truth, 0.0)
        at_us = START_US + day * DAY_US + np.arange(300) * 1_000_000
        merchants = np.array(["acme", "corner", "acme"] * 100, object)
        windows.append(
            rows(
                scores,
                actual,
                at_us=at_us,
                mature=mature,
                unit=np.arange(300) + day * 300,
                units=count * 300,
                slices={"merchant": merchants},
            )
        )
    return windows


def compare(windows: list[Logged]) -> list[MetricNow]:
    from flyball.monitoring.performance.observed import joined

    before = joined(windows[:-1])
    return list(compared_metrics(windows[:-1], before, windows[-1], learn_reference(before), 0))


def test_metrics_of_all_come_before_the_main_one_of_each_slice() -> None:
    compared = compare(days(8, 2))
    assert [(row.by, row.slice) for row in compared[-2:]] == [("merchant", "acme"), ("merchant", "corner")]
    assert [row.metric for row in compared[-2:]] == ["brier", "brier"]
    assert {row.basis for row in compared} == {"measured"}
    assert len(compared) == 9 + 2
    assert compared[0].rows == 300
    assert compared[0].before_rows == 2_100


def test_without_a_change_few_differences_are_seen() -> None:
    seen = sum(
        row.p is not None and row.p <= 0.05 and row.metric == "brier"
        for seed in range(40)
        for row in compare(days(8, seed))
    )
    assert seen <= stats.binom.ppf(0.999, 40 * 3, 0.05)


def test_a_planted_change_is_measured() -> None:
    (brier,) = (row for row in compare(days(8, 3, 0.9, 7)) if row.metric == "brier" and not row.by)
    assert brier.p is not None
    assert brier.p < 1e-3
    assert brier.before is not None
    assert brier.now.value > brier.before.value


def test_predictions_without_labels_are_estimated() -> None:
    compared = compare(days(10, 4, waiting=1))
    assert {row.basis for row in compared} == {"estimated"}
    by_name = {row.metric: row for row in compared if not row.by}
    assert set(by_name) == {"share", "auc", "log_loss", "brier", "accuracy", "precision", "recall", "f1"}
    for name, row in by_name.items():
        assert row.before is not None
        assert row.now.value == pytest.approx(row.before.value, rel=0.25), name
        assert row.p is not None
        assert row.p > 0.001


def test_the_most_frequent_values_are_kept() -> None:
    values = np.array(["b"] * 3 + ["a"] * 3 + ["c"] * 5 + [str(number) for number in range(30)], object)
    kept = frequent_values(values)
    assert kept[:3] == ["c", "a", "b"]
    assert len(kept) == 20
