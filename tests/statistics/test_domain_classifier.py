"""The domain classifier: false positives of any classifier, planted differences, groups of rows that are alike."""

import numpy as np
import pytest
from scipy import stats

from flyball.core import BadInput
from flyball.statistics import domain_classifier_test

RUNS = 150


def test_false_positives_are_as_many_as_stated() -> None:
    rng = np.random.default_rng(1)
    p = np.array(
        [domain_classifier_test(rng.normal(size=(200, 5)), rng.normal(size=(120, 5)), rng).p for _ in range(RUNS)]
    )
    assert stats.binom.ppf(0.001, RUNS, 0.05) <= (p <= 0.05).sum() <= stats.binom.ppf(0.999, RUNS, 0.05)
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_a_difference_that_no_single_column_shows_is_seen() -> None:
    rng = np.random.default_rng(2)
    a = rng.normal(size=(2_000, 4))
    b = rng.normal(size=(2_000, 4))
    b[:, 1] = np.where(rng.random(2_000) < 0.8, b[:, 0], b[:, 1])
    test = domain_classifier_test(a, b, rng)
    assert test.statistic > 0.6
    assert test.p < 1e-9
    assert (test.rows_a, test.rows_b) == (1_000, 1_000)


def test_values_that_are_missing_more_often_are_seen() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=(2, 1_000, 2))
    b[rng.random(1_000) < 0.3, 1] = np.nan
    assert domain_classifier_test(a, b, rng).p < 1e-9


def test_rows_that_are_alike_count_as_one() -> None:
    """40 users of 25 equal rows each: as rows they differ for certain, as users they do not."""
    rng = np.random.default_rng(4)
    plain = grouped = 0
    for _ in range(30):
        a, b = (np.repeat(rng.normal(size=(40, 2)), 25, axis=0) for _ in range(2))
        groups = np.repeat(np.arange(40), 25)
        plain += domain_classifier_test(a, b, rng).p <= 0.05
        grouped += domain_classifier_test(a, b, rng, groups_a=groups, groups_b=groups).p <= 0.05
    assert plain > 25
    assert grouped <= stats.binom.ppf(0.999, 30, 0.05)


def test_the_statistic_is_the_area_on_rows_that_were_not_learned() -> None:
    seen: list[np.ndarray] = []

    def score_rows(rows: np.ndarray, current: np.ndarray, others: np.ndarray) -> np.ndarray:
        seen.extend([rows, others])
        assert current.sum() == 30
        return np.asarray(others[:, 0])

    a, b = np.arange(60.0)[:, None], np.arange(100.0, 160.0)[:, None]
    test = domain_classifier_test(a, b, np.random.default_rng(5), score_rows=score_rows)
    assert test.statistic == 1.0
    assert not set(seen[0].ravel()) & set(seen[1].ravel())
    assert len(seen[0]) == len(seen[1]) == 60


def test_the_same_seed_gives_the_same_p() -> None:
    a, b = np.random.default_rng(6).normal(size=(2, 300, 3))
    assert len({domain_classifier_test(a, b, np.random.default_rng(7)).p for _ in range(2)}) == 1


def test_bad_arguments_are_refused() -> None:
    rng = np.random.default_rng(8)
    rows = rng.normal(size=(100, 2))
    with pytest.raises(BadInput, match="rows or groups of b must be 40 or more, got 39"):
        domain_classifier_test(rows, rows[:39], rng)
    with pytest.raises(BadInput, match="rows or groups of a must be 40 or more, got 1"):
        domain_classifier_test(rows, rows, rng, groups_a=np.zeros(100))
    with pytest.raises(BadInput, match="columns of b must be 2, as of a, got 1"):
        domain_classifier_test(rows, rows[:, :1], rng)
    with pytest.raises(BadInput, match="groups of a must be one for each of 100 rows"):
        domain_classifier_test(rows, rows, rng, groups_a=[1])
    with pytest.raises(BadInput, match="a must be of shape"):
        domain_classifier_test(rows[0], rows, rng)
    with pytest.raises(BadInput, match="most_rows must be 40 or more"):
        domain_classifier_test(rows, rows, rng, most_rows=3)


@pytest.mark.parametrize("other", [2.0, 1e-300, 1e-35])
def test_a_constant_differs_from_another_however_small(other: float) -> None:
    before = np.zeros((100, 1))
    assert domain_classifier_test(before, np.full((100, 1), other), np.random.default_rng(1)).p < 1e-9


def test_an_infinite_value_is_refused() -> None:
    with pytest.raises(BadInput, match="b must be finite numbers, or nan for missing ones, got inf"):
        domain_classifier_test(np.ones((100, 1)), np.full((100, 1), np.inf), np.random.default_rng(1))
