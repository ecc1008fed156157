"""Expected performance: NannyML's formulas, all outcomes of few rows, coverage of intervals, planted changes."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from flyball.core import BadInput
from flyball.statistics import expected_performance, learn_calibration

SCORES = st.lists(st.floats(0.01, 0.99), min_size=12, max_size=40)
RUNS = 150


def measured(scores: np.ndarray, outcomes: np.ndarray, threshold: float = 0.5) -> dict[str, float]:
    """Each metric by its definition."""
    predicted, y = scores >= threshold, outcomes.astype(float)
    hits = float((predicted * y).sum())
    above = (scores[:, None] > scores) + 0.5 * (scores[:, None] == scores)
    pairs = y[:, None] * (1 - y)
    return {
        "accuracy": float((predicted == (y > 0)).mean()),
        "brier": float(((scores - y) ** 2).mean()),
        "log_loss": float(-np.log(np.where(y > 0, scores, 1 - scores)).mean()),
        "precision": hits / max(float(predicted.sum()), 1),
        "recall": hits / max(float(y.sum()), 1),
        "f1": 2 * hits / max(float(predicted.sum() + y.sum()), 1),
        "auc": float((pairs * above).sum() / max(pairs.sum(), 1)),
    }


@given(SCORES)
def test_expectations_are_those_that_nannyml_publishes(scores: list[float]) -> None:
    """Expected counts of true and false positives and negatives, each probability added where its row is predicted."""
    p = np.array(scores)
    positive = p >= 0.5
    if not positive.any():
        return
    tp, fp, fn = p[positive].sum(), (1 - p[positive]).sum(), p[~positive].sum()
    metrics = expected_performance(p).metrics
    assert metrics["accuracy"].value == pytest.approx(1 - np.abs(positive - p).mean())
    for name, expected in {
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
    }.items():
        if name in metrics:
            assert metrics[name].value == pytest.approx(expected)


@pytest.mark.parametrize("scores", [[0.2, 0.9, 0.6, 0.4, 0.7, 0.1, 0.95, 0.3], [0.5] * 8, [0.05, 0.5, 0.5, 0.99]])
def test_means_and_variances_are_those_over_all_outcomes(scores: list[float]) -> None:
    p = np.array(scores)
    total = dict.fromkeys(("accuracy", "brier", "log_loss", "precision"), 0.0)
    squares = dict.fromkeys(total, 0.0)
    for outcomes in product([0, 1], repeat=len(p)):
        chance = float(np.prod(np.where(outcomes, p, 1 - p)))
        for name, value in measured(p, np.array(outcomes)).items():
            if name in total:
                total[name] += chance * value
                squares[name] += chance * value**2
    expected = expected_performance(p).metrics
    for name, mean in total.items():
        assert expected[name].value == pytest.approx(mean)
        variance = squares[name] - mean**2
        if name != "log_loss" and variance > 1e-12:
            largest = 2 if name == "brier" else 1
            size = mean / largest * (1 - mean / largest) / (variance / largest**2) - 1
            ends = stats.beta.ppf([0.025, 0.975], mean / largest * size, (1 - mean / largest) * size) * largest
            assert [expected[name].low, expected[name].high] == pytest.approx(ends.tolist())


def window(rng: np.random.Generator, rows: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are too low, with their outcomes; `shift` moves the scores, not what they mean."""
    scores = np.clip(rng.beta(2 + shift, 3, rows), 1e-6, 1 - 1e-6)
    return scores, rng.random(rows) < np.sqrt(scores)


@pytest.mark.parametrize(("rows", "shift"), [(60, 0.0), (1_000, 0.0), (1_000, 0.7)])
def test_intervals_contain_what_is_measured_later(rows: int, shift: float) -> None:
    """Calibration learned on 3,000 rows; windows of other rows, with and without a shift of the scores."""
    rng = np.random.default_rng(rows)
    inside: dict[str, int] = {}
    for _ in range(RUNS):
        calibration = learn_calibration(*window(rng, 3_000), rng, draws=30)
        scores, outcomes = window(rng, rows, shift)
        later = measured(scores, outcomes)
        for name, metric in expected_performance(scores, calibration).metrics.items():
            inside[name] = inside.get(name, 0) + (metric.low - 1e-9 <= later[name] <= metric.high + 1e-9)
    assert set(inside) == {"accuracy", "brier", "log_loss", "precision", "recall", "f1", "auc"}
    fewest = stats.binom.ppf(0.001, RUNS, 0.93)  # asymptotic intervals of 95 %, of which 2 % may be missing
    assert min(inside.values()) >= fewest, inside
    assert min(inside.values()) <= RUNS * 0.995, inside  # not empty by width


def test_a_changed_relation_leaves_the_interval() -> None:
    rng = np.random.default_rng(5)
    calibration = learn_calibration(*window(rng, 5_000), rng)
    scores, _ = window(rng, 2_000)
    expected = expected_performance(scores, calibration).metrics["accuracy"]
    flipped = rng.random(2_000) < 1 - np.sqrt(scores)
    assert measured(scores, flipped)["accuracy"] < expected.low - 0.1


def test_the_auc_is_that_of_drawn_outcomes_with_ties() -> None:
    rng = np.random.default_rng(6)
    scores = np.round(rng.beta(1, 2, 300), 1)
    drawn = [measured(scores, rng.random(300) < scores)["auc"] for _ in range(2_000)]
    auc = expected_performance(scores).metrics["auc"]
    assert auc.value == pytest.approx(np.mean(drawn), abs=0.003)
    assert [auc.low, auc.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]).tolist(), abs=0.012)


def test_classes_have_the_metrics_of_all_outcomes() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8], [0.4, 0.4, 0.2]])
    means = dict.fromkeys(("accuracy", "brier", "log_loss"), 0.0)
    for labels in product(range(3), repeat=3):
        chance = float(np.prod(p[range(3), labels]))
        happened = np.eye(3)[list(labels)]
        means["accuracy"] += chance * float((p.argmax(axis=1) == labels).mean())
        means["brier"] += chance * float(((p - happened) ** 2).sum(axis=1).mean())
        means["log_loss"] += chance * float(-np.log(p[range(3), labels]).mean())
    expected = expected_performance(p)
    assert {name: metric.value for name, metric in expected.metrics.items()} == pytest.approx(means)
    assert not expected.unknown


def test_flags_replace_the_threshold() -> None:
    scores = np.linspace(0.01, 0.99, 50)
    by_flag = expected_performance(scores, positive=scores >= 0.3)
    assert by_flag.metrics == expected_performance(scores, threshold=0.3).metrics
    reverse = expected_performance(scores[::-1], positive=scores[::-1] >= 0.3)
    assert reverse.metrics["recall"].value == pytest.approx(by_flag.metrics["recall"].value)


def test_what_cannot_be_known_is_named() -> None:
    rng = np.random.default_rng(7)
    rare = expected_performance(np.full(100, 0.01))
    assert set(rare.metrics) == {"accuracy", "log_loss", "brier"}
    assert rare.unknown["precision"] == "no outcome is predicted"
    assert rare.unknown["recall"] == "fewer than 5 outcomes are expected"
    assert rare.unknown["f1"] == "fewer than 5 outcomes are expected or predicted"
    assert rare.unknown["auc"] == "fewer than 5 outcomes of a kind are expected"
    scores, outcomes = window(rng, 2_000)
    beyond = expected_performance(np.linspace(0.5, 1, 200), learn_calibration(scores / 2, outcomes, rng))
    assert not beyond.metrics
    assert set(beyond.unknown.values()) == {"100% of the scores lie where the reference has next to no rows"}


def test_certain_outcomes_have_no_width() -> None:
    exact = expected_performance([0.0] * 50 + [1.0] * 50)
    assert {(metric.low, metric.high) for name, metric in exact.metrics.items() if name == "accuracy"} == {(1.0, 1.0)}
    assert exact.metrics["auc"].value == 1.0


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(BadInput, match=r"scores at position 1 must be within \[0, 1\], got 1.5"):
        expected_performance([0.5, 1.5])
    with pytest.raises(BadInput, match="with a row or more"):
        expected_performance([])
    with pytest.raises(BadInput, match="sum of a row of scores at row 0 must be 1, got 2.7"):
        expected_performance(np.full((30, 3), 0.9))
    for threshold in (np.nan, 7, -0.1):
        with pytest.raises(BadInput, match="threshold must be (from 0 to 1|finite)"):
            expected_performance([0.5, 0.6], threshold=threshold)
    with pytest.raises(BadInput, match="positive must be one flag for each of 2 scores"):
        expected_performance([0.5, 0.6], positive=[True])
