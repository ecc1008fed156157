"""General metrics against naive sums and scipy; weights against repeated rows."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flyball.tasks import metrics

UNITS = 4
Function = Callable[..., Any]


def naive_auc(scores: Any, happened: Any) -> float:
    """Every pair of one that happened and one that did not."""
    pairs = [
        (a, b)
        for a, x in zip(scores, happened, strict=True)
        if x
        for b, y in zip(scores, happened, strict=True)
        if not y
    ]
    return float(np.mean([1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs])) if pairs else float("nan")


def naive_average_precision(scores: Any, happened: Any) -> float:
    """Down the distinct scores: recall gained times precision so far."""
    total, before, value = sum(happened), 0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        taken = [bool(x) for a, x in zip(scores, happened, strict=True) if a >= threshold]
        value += (sum(taken) - before) / total * sum(taken) / len(taken) if total else 0.0
        before = sum(taken)
    return value if total else float("nan")


def naive_logloss(scores: Any, happened: Any) -> float:
    return float(np.mean([-np.log(max(p if x else 1 - p, 1e-15)) for p, x in zip(scores, happened, strict=True)]))


NAIVE: dict[str, tuple[Function, Function]] = {
    "auc": (metrics.auc, naive_auc),
    "average_precision": (metrics.average_precision, naive_average_precision),
    "logloss": (metrics.logloss, naive_logloss),
    "brier": (metrics.brier, lambda p, x: float(np.mean([(a - b) ** 2 for a, b in zip(p, x, strict=True)]))),
    "calibration_ratio": (metrics.calibration_ratio, lambda p, x: sum(p) / sum(x) if sum(x) else None),
    "mae": (metrics.mae, lambda p, x: float(np.mean([abs(a - b) for a, b in zip(p, x, strict=True)]))),
    "rmse": (metrics.rmse, lambda p, x: float(np.mean([(a - b) ** 2 for a, b in zip(p, x, strict=True)]) ** 0.5)),
    "rmsle": (metrics.rmsle, lambda p, x: float(np.mean((np.log1p(p) - np.log1p(x)) ** 2) ** 0.5)),
    "bias": (metrics.bias, lambda p, x: float(np.mean(np.array(p) - np.array(x)))),
}

rows = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.5, 0.9, 1.0]), st.integers(0, 1), st.integers(0, UNITS - 1)),
    min_size=1,
    max_size=20,
)


@given(
    rows=rows, weights=st.lists(st.integers(0, 3), min_size=UNITS, max_size=UNITS), name=st.sampled_from(sorted(NAIVE))
)
def test_a_metric_of_unit_weights_equals_the_naive_one_over_repeated_rows(
    rows: list[tuple[float, int, int]], weights: list[int], name: str
) -> None:
    metric, naive = NAIVE[name]
    predicted, actual, unit_of = (np.array(column) for column in zip(*rows, strict=True))
    value = metric(predicted, actual, unit_of, UNITS)(np.array([weights, [1] * UNITS], np.float64))
    for row, counts in enumerate((weights, [1] * UNITS)):
        repeated = [(p, x) for p, x, unit in rows for _ in range(counts[unit])]
        if not repeated or (name == "calibration_ratio" and not sum(x for _, x in repeated)):
            continue
        expected = naive([p for p, _ in repeated], [x for _, x in repeated])
        assert value[row] == pytest.approx(expected, abs=1e-9, nan_ok=True), (name, repeated)


@given(rows=rows)
def test_what_happened_and_did_not_can_change_places_in_auc(rows: list[tuple[float, int, int]]) -> None:
    predicted, actual, unit_of = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones((1, UNITS))
    straight = metrics.auc(predicted, actual, unit_of, UNITS)(ones)[0]
    turned = metrics.auc(-predicted, 1 - actual, unit_of, UNITS)(ones)[0]
    assert straight == pytest.approx(turned, nan_ok=True)


def test_perfect_and_useless_scores() -> None:
    happened, unit_of = np.array([0, 0, 1, 1]), np.arange(4)
    ones = np.ones((1, 4))
    assert metrics.auc(np.array([0.1, 0.2, 0.8, 0.9]), happened, unit_of, 4)(ones)[0] == 1.0
    assert metrics.auc(np.full(4, 0.5), happened, unit_of, 4)(ones)[0] == 0.5
    assert metrics.average_precision(np.array([0.1, 0.2, 0.8, 0.9]), happened, unit_of, 4)(ones)[0] == 1.0
    assert metrics.logloss(happened.astype(float), happened, unit_of, 4)(ones)[0] == 0.0
    assert np.isnan(metrics.auc(np.arange(4.0), np.ones(4), unit_of, 4)(ones)[0])


def test_calibration_error_of_planted_bins() -> None:
    """A hundred rows in ten bins of ten: predictions are right but for one bin, off by 0.3: a tenth of the rows."""
    predicted = np.repeat(np.arange(10) / 10, 10)
    actual = np.concatenate([(np.arange(10) < nth).astype(float) for nth in range(10)])
    unit_of, ones = np.arange(100), np.ones((1, 100))
    assert metrics.calibration_error(predicted, actual, unit_of, 100)(ones)[0] == pytest.approx(0.0, abs=1e-12)
    actual[40:50] = (np.arange(10) < 7).astype(float)
    assert metrics.calibration_error(predicted, actual, unit_of, 100)(ones)[0] == pytest.approx(0.03)


def test_quantiles_and_intervals() -> None:
    actual, unit_of, ones = np.array([0.0, 10.0]), np.arange(2), np.ones((1, 2))
    # 4 below costs (1 - q) * 4, 6 above costs q * 6
    assert metrics.pinball(np.full(2, 4.0), actual, 0.9, unit_of, 2)(ones)[0] == pytest.approx((0.1 * 4 + 0.9 * 6) / 2)
    assert metrics.interval_coverage(np.array([0.0, 1.0]), np.array([0.0, 9.0]), actual, unit_of, 2)(ones)[0] == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_the_rank_sum_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, actual = rng.random(300).round(2), rng.integers(0, 2, 300)
    value = metrics.auc(predicted, actual, np.arange(300), 300)(np.ones((1, 300)))[0]
    wins = stats.mannwhitneyu(predicted[actual == 1], predicted[actual == 0]).statistic
    assert value == pytest.approx(wins / ((actual == 1).sum() * (actual == 0).sum()))
