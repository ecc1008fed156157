"""Density ratios of planted shifts: means and losses under the new distribution from a sample of the old one."""

import numpy as np
import pytest
from scipy import stats

from flyball.core import BadInput
from flyball.statistics import covariate_weights, effective_size

OLD, NEW = stats.norm(0.0, 1.0), stats.norm(1.0, 0.6)


def drawn(seed: int, rows: int = 4_000) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """(old, new, generator); the second column is the same noise in both."""
    rng = np.random.default_rng(seed)
    old, new = (np.stack([one.rvs(rows, random_state=rng), rng.normal(size=rows)], axis=1) for one in (OLD, NEW))
    return old, new, rng


@pytest.mark.parametrize("seed", range(3))
def test_weighted_means_are_those_of_the_new_distribution(seed: int) -> None:
    old, new, rng = drawn(seed)
    found = covariate_weights(old, new, rng)
    assert found.weights.mean() == pytest.approx(1.0)
    assert found.p < 1e-6
    for moment in (lambda x: x, np.square, lambda x: x > 1.5):
        expected = float(moment(NEW.rvs(200_000, random_state=rng)).mean())
        assert np.average(moment(old[:, 0]), weights=found.weights) == pytest.approx(expected, abs=0.1)
    assert np.average(old[:, 1], weights=found.weights) == pytest.approx(0.0, abs=0.1)


def test_weights_are_close_to_the_ratio_of_the_densities_and_leave_as_many_rows() -> None:
    old, new, rng = drawn(7)
    found = covariate_weights(old, new, rng)
    right = NEW.pdf(old[:, 0]) / OLD.pdf(old[:, 0])
    assert np.corrcoef(found.weights, right)[0, 1] > 0.9
    assert found.effective == pytest.approx(effective_size(right), rel=0.15)


def test_samples_of_one_distribution_keep_nearly_all_rows() -> None:
    rng = np.random.default_rng(2)
    found = covariate_weights(rng.normal(size=(2_000, 3)), rng.normal(size=(2_000, 3)), rng)
    assert found.effective > 0.85 * 2_000
    assert found.limited == 0


def test_weights_are_limited() -> None:
    old, new, rng = drawn(4)
    found = covariate_weights(old, new + 2.0, rng, limit=3.0)
    assert found.limited > 0
    ordered = np.sort(found.weights)
    assert ordered[-found.limited] == ordered[-1] > ordered[-found.limited - 1]


def test_a_row_in_both_samples_is_scored_by_a_classifier_that_saw_neither() -> None:
    """A classifier that remembers every row would find each of them current."""

    def remembers(rows: np.ndarray, is_current: np.ndarray, others: np.ndarray) -> np.ndarray:
        current = {row.tobytes() for row in rows[is_current]}
        return np.array([0.9 if row.tobytes() in current else 0.5 for row in others])

    rng = np.random.default_rng(6)
    rows = rng.normal(size=(400, 2))
    numbers = np.arange(400)
    apart = covariate_weights(rows, rows[:200], rng, score_rows=remembers, rows_of=(numbers, numbers[:200]))
    assert apart.weights.tolist() == [1.0] * 400
    mixed = covariate_weights(rows, rows[:200], rng, score_rows=remembers)
    assert mixed.weights[:200].mean() > 2 * mixed.weights[200:].mean()


def test_the_same_generator_gives_the_same_weights() -> None:
    (first, second) = (covariate_weights(*drawn(3, 500)).weights for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_a_limit_of_one_or_few_rows_are_refused() -> None:
    old, new, rng = drawn(1, 100)
    with pytest.raises(BadInput, match="limit must be above 1"):
        covariate_weights(old, new, rng, limit=1.0)
    with pytest.raises(BadInput, match="40 or more"):
        covariate_weights(old, new[:39], rng)


def test_the_effective_size_does_not_depend_on_the_unit_of_the_weights() -> None:
    for factor in (1e-300, 1.0, 1e300):
        assert effective_size(np.array([1.0, 2.0, 3.0]) * factor) == pytest.approx(36 / 14)


@pytest.mark.parametrize("wrong", [[], [0.0, 0.0], [1.0, np.nan], [-1.0, 2.0], [np.inf], 3.0, [[1.0, 2.0]]])
def test_weights_of_no_size_are_refused(wrong: object) -> None:
    with pytest.raises(BadInput, match="weights"):
        effective_size(wrong)  # type: ignore[arg-type]
