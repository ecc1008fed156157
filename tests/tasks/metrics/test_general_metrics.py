"""General metrics against naive sums and scipy; weights against repeated rows."""

import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from tests.data import real

from flyball.core import BadInput
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


def naive_recall_at_fpr(scores: Any, happened: Any, most: float = 0.5) -> float:
    """The best recall among all thresholds, the one above every score too."""
    positives, negatives = sum(happened), len(happened) - sum(happened)
    if not positives or not negatives:
        return float("nan")
    recalls = [0.0]
    for threshold in set(scores):
        taken = [x for a, x in zip(scores, happened, strict=True) if a >= threshold]
        if (len(taken) - sum(taken)) / negatives <= most:
            recalls.append(sum(taken) / positives)
    return max(recalls)


def naive_log_loss(scores: Any, happened: Any) -> float:
    return float(np.mean([-np.log(max(p if x else 1 - p, 1e-15)) for p, x in zip(scores, happened, strict=True)]))


def at_half_fpr(p: Any, x: Any, unit_of: Any, units: int, weight: Any = None) -> Any:
    return metrics.recall_at_fpr(p, x, 0.5, unit_of, units, weight)


def of_flagged(metric: Function) -> Function:
    """The metric of acting upon scores above 0.2."""
    return lambda p, x, unit_of, units, weight=None: metric(p > 0.2, x, unit_of, units, weight)


def of_confusion(cell: str) -> Function:
    return of_flagged(lambda *columns: metrics.confusion(*columns)[cell])


def naive_confusion(above: str, below: str) -> Function:
    def value(p: Any, x: Any) -> float:
        cells = dict.fromkeys(("tp", "fp", "fn", "tn"), 0)
        for score, happened in zip(p, x, strict=True):
            cells[("t" if (score > 0.2) == bool(happened) else "f") + ("p" if score > 0.2 else "n")] += 1
        whole = sum(cells[name] for name in below.split())
        return cells[above] / whole if whole else float("nan")

    return value


def naive_macro_f1(p: Any, x: Any) -> float:
    scores = []
    for name in set(p) | set(x):
        hits = sum(a == b == name for a, b in zip(p, x, strict=True))
        scores.append(2 * hits / (list(p).count(name) + list(x).count(name)))
    return float(np.mean(scores))


def naive_balanced_accuracy(p: Any, x: Any) -> float:
    return float(np.mean([np.mean([a == name for a, b in zip(p, x, strict=True) if b == name]) for name in set(x)]))


NAIVE: dict[str, tuple[Function, Function]] = {
    "auc": (metrics.auc, naive_auc),
    "average_precision": (metrics.average_precision, naive_average_precision),
    "log_loss": (metrics.log_loss, naive_log_loss),
    "recall_at_fpr": (at_half_fpr, naive_recall_at_fpr),
    "brier": (metrics.brier, lambda p, x: float(np.mean([(a - b) ** 2 for a, b in zip(p, x, strict=True)]))),
    "calibration_ratio": (metrics.calibration_ratio, lambda p, x: sum(p) / sum(x) if sum(x) else math.nan),
    "mae": (metrics.mae, lambda p, x: float(np.mean([abs(a - b) for a, b in zip(p, x, strict=True)]))),
    "rmse": (metrics.rmse, lambda p, x: float(np.mean([(a - b) ** 2 for a, b in zip(p, x, strict=True)]) ** 0.5)),
    "rmsle": (metrics.rmsle, lambda p, x: float(np.mean((np.log1p(p) - np.log1p(x)) ** 2) ** 0.5)),
    "bias": (metrics.bias, lambda p, x: float(np.mean(np.array(p) - np.array(x)))),
    "late_share": (metrics.late_share, lambda p, x: float(np.mean(np.array(x) > np.array(p)))),
    "accuracy": (metrics.accuracy, lambda p, x: float(np.mean(np.array(x) == np.array(p)))),
    "macro_f1": (metrics.macro_f1, naive_macro_f1),
    "balanced_accuracy": (metrics.balanced_accuracy, naive_balanced_accuracy),
    "precision_of_flagged": (of_flagged(metrics.precision_of_flagged), naive_confusion("tp", "tp fp")),
    "recall_of_flagged": (of_flagged(metrics.recall_of_flagged), naive_confusion("tp", "tp fn")),
    "false_positive_rate": (of_flagged(metrics.false_positive_rate), naive_confusion("fp", "fp tn")),
    **{
        name: (of_confusion(name), naive_confusion("".join(word[0] for word in name.split("_")), "tp fp fn tn"))
        for name in ("true_positive", "false_positive", "false_negative", "true_negative")
    },
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
        if not repeated:
            continue
        expected = naive([p for p, _ in repeated], [x for _, x in repeated])
        assert value[row] == pytest.approx(expected, abs=1e-9, nan_ok=True), (name, repeated)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]),
            st.integers(0, 1),
            st.integers(0, UNITS - 1),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=15,
    ),
    name=st.sampled_from(sorted(NAIVE)),
)
def test_an_example_of_weight_two_counts_as_two(rows: list[tuple[float, int, int, int]], name: str) -> None:
    metric, naive = NAIVE[name]
    repeated = [(p, x) for p, x, _, weight in rows for _ in range(weight)]
    if not repeated:
        return
    predicted, actual, unit_of, weight = (np.array(column) for column in zip(*rows, strict=True))
    value = metric(predicted, actual, unit_of, UNITS, weight)(np.ones((1, UNITS)))[0]
    expected = naive([p for p, _ in repeated], [x for _, x in repeated])
    assert value == pytest.approx(expected, abs=1e-9, nan_ok=True)


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
    assert metrics.recall_at_fpr(np.array([0.1, 0.2, 0.8, 0.9]), happened, 0.0, unit_of, 4)(ones)[0] == 1.0
    assert metrics.log_loss(happened.astype(float), happened, unit_of, 4)(ones)[0] == 0.0
    assert np.isnan(metrics.auc(np.arange(4.0), np.ones(4), unit_of, 4)(ones)[0])


def test_calibration_error_of_planted_bins() -> None:
    """A hundred rows in ten bins of ten: predictions are right but for one bin, off by 0.3: a tenth of the rows."""
    predicted = np.repeat(np.arange(10) / 10, 10)
    actual = np.concatenate([(np.arange(10) < nth).astype(float) for nth in range(10)])
    unit_of, ones = np.arange(100), np.ones((1, 100))
    assert metrics.calibration_error(predicted, actual, unit_of, 100)(ones)[0] == pytest.approx(0.0, abs=1e-12)
    actual[40:50] = (np.arange(10) < 7).astype(float)
    assert metrics.calibration_error(predicted, actual, unit_of, 100)(ones)[0] == pytest.approx(0.03)


def test_the_reliability_curve_is_that_of_scikit_learn() -> None:
    cases = json.loads(real("..", "vectors", "calibration.json").read_text())["calibration_curve"]
    assert len(cases) == 2
    for case in cases:
        predicted, actual = np.array(case["p"]), np.array(case["y"])
        unit_of, ones = np.arange(len(actual)), np.ones((1, len(actual)))
        curve = metrics.reliability(predicted, actual, unit_of, len(actual), case["bins"], case["strategy"])
        assert [one.observed(ones)[0] for one in curve] == pytest.approx(case["prob_true"])
        assert [one.predicted(ones)[0] for one in curve] == pytest.approx(case["prob_pred"])
        shares = [one.rows / len(actual) for one in curve]
        gaps = np.abs(np.subtract(case["prob_true"], case["prob_pred"]))
        error = metrics.calibration_error(
            predicted, actual, unit_of, len(actual), bins=case["bins"], strategy=case["strategy"]
        )
        assert error(ones)[0] == pytest.approx(float(np.dot(shares, gaps)))


@given(rows=rows, seed=st.integers(0, 5))
def test_the_order_of_tied_rows_changes_no_bin(rows: list[tuple[float, int, int]], seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(rows))
    predicted, actual, unit_of = (np.array(column) for column in zip(*rows, strict=True))
    ones = np.ones((1, UNITS))
    plain = metrics.calibration_error(predicted, actual, unit_of, UNITS)(ones)[0]
    assert metrics.calibration_error(predicted[order], actual[order], unit_of[order], UNITS)(ones)[0] == (
        pytest.approx(plain)
    )


def test_bins_are_checked() -> None:
    with pytest.raises(BadInput, match="bins must be one or more, got 0"):
        metrics.bin_edges(np.array([0.5]), 0)
    with pytest.raises(BadInput, match='strategy of bins must be "quantile" or "uniform", got \'equal\''):
        metrics.bin_edges(np.array([0.5]), 2, "equal")  # type: ignore[arg-type]
    assert metrics.reliability(np.zeros(0), np.zeros(0), np.zeros(0, np.int64), 1) == []


def naive_top(rows: list[tuple[float, int, int, int]], k: int) -> tuple[dict[int, float], float]:
    """{day: precision of its k best}, and how much was found in all; ties at the cutoff in every order alike."""
    precision, found = {}, 0.0
    for day in {day for *_, day in rows}:
        todays = sorted(((p, x) for p, x, _, d in rows if d == day), reverse=True)
        cutoff = todays[min(k, len(todays)) - 1][0]
        above = [x for p, x in todays if p > cutoff]
        tied = [x for p, x in todays if p == cutoff]
        room = min(k, len(todays)) - len(above)
        hits = sum(above) + room * sum(tied) / len(tied)
        precision[day], found = hits / min(k, len(todays)), found + hits
    return precision, found


dated = st.lists(
    st.tuples(st.sampled_from([0.1, 0.5, 0.5, 0.9]), st.integers(0, 1), st.integers(0, UNITS - 1), st.integers(0, 2)),
    min_size=1,
    max_size=14,
)


@given(rows=dated, k=st.integers(1, 4), counts=st.lists(st.integers(0, 2), min_size=UNITS, max_size=UNITS))
def test_reviews_of_a_day_equal_the_naive_loop(
    rows: list[tuple[float, int, int, int]], k: int, counts: list[int]
) -> None:
    predicted, actual, unit_of, day_of = (np.array(column) for column in zip(*rows, strict=True))
    unit_of = np.append(unit_of, [0, 1])  # two units on one day, so that no unit is a day
    predicted, actual, day_of = np.append(predicted, [0.5, 0.5]), np.append(actual, [0, 1]), np.append(day_of, [9, 9])
    weights = np.array([counts, [1] * UNITS], np.float64)
    columns = [column.tolist() for column in (predicted, actual, unit_of, day_of)]
    precision = metrics.precision_a_day(predicted, actual, k, day_of, unit_of, UNITS)(weights)
    recall = metrics.recall_a_day(predicted, actual, k, day_of, unit_of, UNITS)(weights)
    for row, drawn in enumerate(weights.astype(int).tolist()):
        repeated = [one for one in zip(*columns, strict=True) for _ in range(drawn[one[2]])]
        if not repeated:
            assert np.isnan(precision[row])
            assert np.isnan(recall[row])
            continue
        by_day, found = naive_top(repeated, k)
        assert precision[row] == pytest.approx(np.mean(list(by_day.values())))
        happened = sum(x for _, x, *_ in repeated)
        assert recall[row] == pytest.approx(found / happened if happened else float("nan"), nan_ok=True)


@given(rows=dated, k=st.integers(1, 4), counts=st.lists(st.integers(0, 2), min_size=3, max_size=3))
def test_a_day_drawn_twice_is_two_days(rows: list[tuple[float, int, int, int]], k: int, counts: list[int]) -> None:
    predicted, actual, _, day_of = (np.array(column) for column in zip(*rows, strict=True))
    by_day, _ = naive_top(rows, k)
    drawn = [by_day[day] for day, count in enumerate(counts) if day in by_day for _ in range(count)]
    value = metrics.precision_a_day(predicted, actual, k, day_of, day_of, 3)(np.array([counts], np.float64))[0]
    assert value == pytest.approx(np.mean(drawn) if drawn else float("nan"), nan_ok=True)


def test_a_card_counts_once_a_day_by_its_highest_score() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    actual, card, day = np.array([0, 1, 0, 1]), np.array([1, 1, 2, 3]), np.zeros(4, np.int64)
    ones = np.ones((1, 1))
    assert metrics.precision_a_day(scores, actual, 2, day, day, 1)(ones)[0] == 0.5  # rows 0.9 and 0.8
    # cards 1 (0.9, fraud) and 2 (0.7, none)
    assert metrics.precision_a_day(scores, actual, 2, day, day, 1, entity_of=card)(ones)[0] == 0.5
    assert metrics.precision_a_day(scores, actual, 1, day, day, 1, entity_of=card)(ones)[0] == 1.0
    with pytest.raises(BadInput, match="units of precision_a_day must be days or entities"):
        metrics.precision_a_day(scores, actual, 1, day, np.arange(4), 4, entity_of=card)
    with pytest.raises(BadInput, match="k a day must be above 0, got 0"):
        metrics.precision_a_day(scores, actual, 0, day, day, 1)


def test_card_precision_is_that_of_the_fraud_handbook() -> None:
    """`card_precision_top_k_day` of the handbook, written down as it is there, on its own transactions."""
    frame = pl.read_parquet(real("fraud-handbook-simulated", "transactions_2018-04_06.parquet"))
    frame = frame.filter(pl.col("TX_TIME_DAYS").is_between(50, 56)).with_columns(
        score=pl.col("TX_AMOUNT") + pl.col("TRANSACTION_ID") / 1e12  # no ties: the handbook has no rule for them
    )
    precisions = []
    for (_day,), todays in frame.group_by("TX_TIME_DAYS"):
        cards = todays.group_by("CUSTOMER_ID").agg(pl.col("score").max(), pl.col("TX_FRAUD").max())
        top = cards.sort("score", descending=True).head(100)
        precisions.append(float(top["TX_FRAUD"].sum()) / 100)
    day = frame["TX_TIME_DAYS"].to_numpy() - 50
    found = metrics.precision_a_day(
        frame["score"].to_numpy(),
        frame["TX_FRAUD"].to_numpy(),
        100,
        day,
        day,
        7,
        entity_of=frame["CUSTOMER_ID"].cast(pl.Int64).to_numpy(),
    )
    assert len(precisions) == 7
    assert found(np.ones((1, 7)))[0] == pytest.approx(np.mean(precisions))
    assert 0.1 < np.mean(precisions) < 0.9  # amounts above 220 are one of its scenarios


def test_what_is_found_counts_by_its_value() -> None:
    """Two frauds, of 90 and 10: one review a day finds the first of the day, which is the small one."""
    scores, actual, value = np.array([0.9, 0.8, 0.1]), np.array([1, 1, 0]), np.array([10.0, 90.0, 500.0])
    day, ones = np.zeros(3, np.int64), np.ones((1, 1))
    assert metrics.recall_a_day(scores, actual, 1, day, day, 1, value=value)(ones)[0] == pytest.approx(0.1)
    assert metrics.recall_of_flagged(scores > 0.85, actual, day, 1, value=value)(ones)[0] == pytest.approx(0.1)
    assert metrics.recall_of_flagged(scores > 0.5, actual, day, 1, value=value)(ones)[0] == 1.0


def test_money_saved_is_what_accepting_all_costs_less_what_was_paid() -> None:
    """Accepting all costs 100 of fraud; the decisions cost 10 (a fraud missed) and two reviews of 5."""
    accepted, cost = np.array([90.0, 10.0, 0.0]), np.array([5.0, 10.0, 5.0])
    unit_of, ones = np.arange(3), np.ones((1, 3))
    assert metrics.money_saved(cost, accepted, unit_of, 3)(ones)[0] == pytest.approx(80 / 3)
    assert metrics.savings(cost, accepted, unit_of, 3)(ones)[0] == pytest.approx(0.8)
    assert np.isnan(metrics.savings(cost, np.zeros(3), unit_of, 3)(ones)[0])


def test_one_class_says_why_there_is_no_auc() -> None:
    assert metrics.one_class(np.array([0, 1]), "auc") is None
    reasons = [metrics.one_class(np.array(actual), "auc") for actual in ([1, 1], [])]
    assert [reason.reason for reason in reasons if reason is not None] == [
        "auc needs examples of both classes, all 2 are 1",
        "auc needs examples of both classes, there are none",
    ]


def test_log_loss_of_classes() -> None:
    probabilities = np.array([[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]])
    value = metrics.class_log_loss(probabilities, np.array([0, 1, -1]), np.arange(3), 3)(np.ones((1, 3)))[0]
    assert value == pytest.approx(-np.log([0.5, 0.8, 1e-15]).mean())


def test_quantiles_and_intervals() -> None:
    actual, unit_of, ones = np.array([0.0, 10.0]), np.arange(2), np.ones((1, 2))
    # 4 below costs (1 - q) * 4, 6 above costs q * 6
    assert metrics.pinball(np.full(2, 4.0), actual, 0.9, unit_of, 2)(ones)[0] == pytest.approx((0.1 * 4 + 0.9 * 6) / 2)
    assert metrics.interval_width(np.array([0.0, 1.0]), np.array([4.0, 2.0]), unit_of, 2)(ones)[0] == 2.5
    below_zero = metrics.rmsle(np.array([-3.0, 0.0]), np.zeros(2), unit_of, 2)(ones)[0]
    assert below_zero == 0.0
    with pytest.raises(BadInput, match="false-positive rate must be from 0 to 1, got 2"):
        metrics.recall_at_fpr(actual, actual, 2, unit_of, 2)
    assert metrics.interval_coverage(np.array([0.0, 1.0]), np.array([0.0, 9.0]), actual, unit_of, 2)(ones)[0] == 0.5


@pytest.mark.parametrize("seed", range(5))
def test_auc_is_the_rank_sum_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    predicted, actual = rng.random(300).round(2), rng.integers(0, 2, 300)
    value = metrics.auc(predicted, actual, np.arange(300), 300)(np.ones((1, 300)))[0]
    wins = stats.mannwhitneyu(predicted[actual == 1], predicted[actual == 0]).statistic
    assert value == pytest.approx(wins / ((actual == 1).sum() * (actual == 0).sum()))
