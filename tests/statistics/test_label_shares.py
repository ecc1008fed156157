"""Label shift: planted shares, the equations by hand, general minimizers, intervals, and what is refused."""

import numpy as np
import pytest
from scipy import optimize, stats

from flyball.core import BadInput
from flyball.statistics import SHIFT_METHODS, label_shift
from flyball.statistics.label_shares import smallest_change

RUNS = 120


def rows(rng: np.random.Generator, shares: list[float], count: int) -> tuple[np.ndarray, np.ndarray]:
    """(labels, probabilities that are calibrated where all labels are equally frequent)."""
    labels = rng.choice(len(shares), count, p=shares)
    centers = np.linspace(-1, 1, len(shares))
    x = rng.normal(centers[labels], 0.7)
    likelihood = np.exp(-((x[:, None] - centers) ** 2) / (2 * 0.7**2))
    return labels, likelihood / likelihood.sum(axis=1, keepdims=True)


def predicted(probabilities: np.ndarray) -> np.ndarray:
    return np.eye(probabilities.shape[1])[probabilities.argmax(axis=1)]


@pytest.mark.parametrize("method", list(SHIFT_METHODS))
def test_planted_shares_are_estimated(method: str) -> None:
    rng = np.random.default_rng(1)
    labels, before = rows(rng, [1 / 3, 1 / 3, 1 / 3], 40_000)
    _, now = rows(rng, [0.7, 0.2, 0.1], 40_000)
    shift = label_shift(labels, before, now, rng, method=method, draws=20)
    assert shift.shares == pytest.approx([0.7, 0.2, 0.1], abs=0.04)
    assert shift.weights == pytest.approx([2.1, 0.6, 0.3], abs=0.15)
    assert shift.changed
    assert shift.method == method


def test_bbse_solves_the_equations() -> None:
    """90 % and 80 % of the labels are predicted; now 45 % of predictions are of class 1: 0.1 (1 - q) + 0.8 q."""
    labels = np.repeat([0, 1], [1_000, 500])
    before = np.eye(2)[np.concatenate([np.arange(1_000) < 100, np.arange(500) < 400]).astype(int)]
    now = np.eye(2)[(np.arange(1_000) < 450).astype(int)]
    shift = label_shift(labels, before, now, np.random.default_rng(1), draws=20)
    assert shift.shares == pytest.approx([0.5, 0.5])
    assert shift.reference == pytest.approx([2 / 3, 1 / 3])
    assert shift.condition == pytest.approx(np.linalg.cond([[0.9, 0.2], [0.1, 0.8]]))


def test_em_maximizes_the_likelihood() -> None:
    rng = np.random.default_rng(2)
    labels, before = rows(rng, [0.5, 0.5], 2_000)
    _, now = rows(rng, [0.8, 0.2], 500)
    shift = label_shift(labels, before, now, rng, method="em", draws=20)
    start = np.bincount(labels) / len(labels)

    def negative(share: float) -> float:
        return -float(np.log(now @ (np.array([1 - share, share]) / start)).sum())

    assert shift.shares[1] == pytest.approx(
        optimize.minimize_scalar(negative, bounds=(0, 1), method="bounded").x, abs=1e-4
    )


@pytest.mark.parametrize("penalty", [0.001, 0.05, 0.3])
def test_the_regularized_change_minimizes_its_objective(penalty: float) -> None:
    rng = np.random.default_rng(3)
    matrix, target = rng.random((3, 3)) / 3, rng.normal(size=3) / 5

    def objective(theta: np.ndarray) -> float:
        return float(np.linalg.norm(matrix @ theta - target) + penalty * np.linalg.norm(theta))

    theta = smallest_change(matrix, target, penalty)
    general = optimize.minimize(
        objective, rng.normal(size=3), method="Nelder-Mead", options={"maxiter": 10_000, "xatol": 1e-9}
    )
    assert objective(theta) <= general.fun + 1e-7


def test_a_large_penalty_leaves_the_shares_as_they_were() -> None:
    assert smallest_change(np.eye(2) / 2, np.array([0.1, -0.1]), 10.0).tolist() == [0.0, 0.0]
    rng = np.random.default_rng(4)
    labels, before = rows(rng, [0.5, 0.5], 200)
    _, now = rows(rng, [0.5, 0.5], 30)
    plain, regular = (label_shift(labels, before, now, rng, method=name, draws=20) for name in ("bbse", "rlls"))
    assert abs(regular.shares[1] - regular.reference[1]) <= abs(plain.shares[1] - plain.reference[1])


@pytest.mark.parametrize("method", ["bbse", "em"])
def test_intervals_contain_the_truth(method: str) -> None:
    rng, inside = np.random.default_rng(5), 0
    for _ in range(RUNS):
        labels, before = rows(rng, [0.5, 0.5], 600)
        _, now = rows(rng, [0.75, 0.25], 400)
        shift = label_shift(labels, before, now, rng, method=method, draws=60)
        inside += shift.low[1] <= 0.25 <= shift.high[1]
    assert inside >= stats.binom.ppf(0.001, RUNS, 0.92)  # quantiles of 60 resamples are a little narrow


def test_no_change_is_rarely_seen_as_one() -> None:
    rng, seen = np.random.default_rng(6), 0
    for _ in range(RUNS):
        labels, before = rows(rng, [0.8, 0.2], 1_000)
        seen += label_shift(labels, before, rows(rng, [0.8, 0.2], 500)[1], rng, draws=60).changed
    assert seen <= stats.binom.ppf(0.999, RUNS, 0.08)


def test_predictions_that_tell_nothing_are_refused() -> None:
    rng = np.random.default_rng(7)
    labels = np.repeat([0, 1], 500)
    noise = rng.random(1_000)
    before = np.stack([1 - noise, noise], axis=1)
    with pytest.raises(
        BadInput, match="condition number of the confusion matrix must be at most 30, where predictions"
    ):
        label_shift(labels, before, before, rng)
    never = np.tile([1.0, 0.0], (1_000, 1))
    with pytest.raises(BadInput, match="condition number of the confusion matrix must be at most 30"):
        label_shift(labels, never, never, rng)


def test_bad_arguments_are_refused() -> None:
    rng = np.random.default_rng(8)
    labels, before = rows(rng, [0.5, 0.5], 500)
    with pytest.raises(BadInput, match="method must be one of bbse, rlls, em, got 'least'"):
        label_shift(labels, before, before, rng, method="least")
    with pytest.raises(BadInput, match="rows of class 1 in the reference must be 30 or more, got 0"):
        label_shift(np.zeros(500, int), before, before, rng)
    with pytest.raises(BadInput, match="labels must be whole numbers from 0 to 1, got 2"):
        label_shift(labels + 1, before, before, rng)
    with pytest.raises(BadInput, match="labels must be one for each of 500 rows"):
        label_shift(labels[:3], before, before, rng)
    with pytest.raises(BadInput, match="sum of a row of current at row 0 must be 1"):
        label_shift(labels, before, before / 2, rng)
    with pytest.raises(BadInput, match="current must be of shape"):
        label_shift(labels, before, before[:, :1], rng)
    with pytest.raises(BadInput, match="number of classes of current must be 2, as of the reference, got 3"):
        label_shift(labels, before, np.full((9, 3), 1 / 3), rng)
    with pytest.raises(BadInput, match="sum of the counts of class 1 in the reference must be above 0"):
        label_shift(labels, before, before, rng, counts=labels == 0)
    with pytest.raises(BadInput, match="draws must be a whole number, 20 or more"):
        label_shift(labels, before, before, rng, draws=3)


def test_rows_whose_labels_a_decision_hides_are_represented_by_those_of_a_control_group() -> None:
    rng = np.random.default_rng(9)
    labels = (rng.random(20_000) < 0.1).astype(int)
    score = np.clip(rng.normal(0.2 + 0.5 * labels, 0.15), 0, 1)
    predicted = np.stack([1 - score, score], axis=1)
    declined = score > 0.5
    known = ~declined | (rng.random(len(labels)) < 0.1)  # of what is declined, one in ten is let through
    counts = np.where(declined, 10.0, 1.0)[known]
    shift = label_shift(labels[known], predicted[known], predicted, rng, counts=counts, draws=50)
    assert shift.shares[1] == pytest.approx(0.1, abs=0.01)
    assert shift.reference[1] == pytest.approx(0.1, abs=0.01)
    assert not shift.changed
    alone = label_shift(labels[known], predicted[known], predicted, rng, draws=50)
    assert alone.shares[1] > 0.13  # what is declined looks like more of the label
    assert alone.condition > shift.condition
    with pytest.raises(BadInput, match="counts must be one for each of"):
        label_shift(labels[known], predicted[known], predicted, rng, counts=counts[:5])


@pytest.mark.parametrize("method", list(SHIFT_METHODS))
def test_a_single_row_is_no_certainty(method: str) -> None:
    labels = np.repeat([0, 1, 2], 200)
    before = np.eye(3)[labels] * 0.91 + 0.03
    shift = label_shift(labels, before, before[200:201], np.random.default_rng(10), method=method)
    assert min(shift.high) - max(shift.low) >= 0.3
    assert not shift.changed


@pytest.mark.parametrize(("rows_now", "share"), [(1, 0.1), (4, 0.02), (20, 0.02), (20, 0.1)])
def test_intervals_of_few_rows_contain_the_truth(rows_now: int, share: float) -> None:
    """Predictions are right in 99 of 100, so that most samples have no row of the rare label."""
    rng, inside = np.random.default_rng(rows_now), 0
    labels = np.repeat([0, 1], 200)

    def seen(actual: np.ndarray) -> np.ndarray:
        return np.eye(2)[np.where(rng.random(len(actual)) < 0.99, actual, 1 - actual)]

    for _ in range(RUNS // 2):
        now = (rng.random(rows_now) < share).astype(int)
        shift = label_shift(labels, seen(labels), seen(now), rng, draws=40)
        inside += shift.low[1] <= share <= shift.high[1]
    assert inside >= stats.binom.ppf(0.001, RUNS // 2, 0.95)
