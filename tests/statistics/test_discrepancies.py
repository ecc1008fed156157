"""Mean discrepancy: the definition by loops, Evidently's median heuristic, false positives, planted differences."""

import json

import numpy as np
import pytest
from scipy import stats
from tests.data import real

from flyball.core import BadInput
from flyball.statistics import mean_discrepancy, mean_discrepancy_test, median_bandwidth

RUNS = 400


def naive(a: np.ndarray, b: np.ndarray, bandwidth: float) -> float:
    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float(np.exp(-((x - y) ** 2).sum() / (2 * bandwidth**2)))

    def within(rows: np.ndarray) -> float:
        pairs = [kernel(x, y) for i, x in enumerate(rows) for j, y in enumerate(rows) if i != j]
        return float(np.mean(pairs))

    return within(a) + within(b) - 2 * float(np.mean([kernel(x, y) for x in a for y in b]))


def test_it_is_the_unbiased_estimate() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(7, 3)), rng.normal(0.5, 1, (5, 3))
    assert mean_discrepancy(a, b, 0.8) == pytest.approx(naive(a, b, 0.8))


def test_its_mean_without_a_difference_is_0() -> None:
    rng = np.random.default_rng(2)
    values = [mean_discrepancy(rng.normal(size=(20, 2)), rng.normal(size=(30, 2)), 1.0) for _ in range(RUNS)]
    assert abs(np.mean(values)) < 4 * np.std(values) / np.sqrt(RUNS)


def test_the_bandwidth_is_the_published_one() -> None:
    (case,) = (
        case
        for case in json.loads(real("..", "vectors", "evidently_stattests.json").read_text())["cases"]
        if case["test"] == "MMD median sigma"
    )
    assert case["sigma"] == "sqrt(0.5*1.0)"
    assert median_bandwidth(np.array(case["dist"])) == pytest.approx(np.sqrt(0.5))
    assert median_bandwidth(np.zeros((3, 3))) == 1.0


@pytest.mark.parametrize(("rows_a", "rows_b"), [(12, 8), (40, 15)])
def test_false_positives_are_as_many_as_stated(rows_a: int, rows_b: int) -> None:
    rng = np.random.default_rng(3)
    p = np.array(
        [
            mean_discrepancy_test(
                rng.lognormal(size=(rows_a, 2)), rng.lognormal(size=(rows_b, 2)), rng, permutations=99
            ).p
            for _ in range(RUNS)
        ]
    )
    for alpha in (0.05, 0.2):
        assert stats.binom.ppf(0.001, RUNS, alpha) <= (p <= alpha).sum() <= stats.binom.ppf(0.999, RUNS, alpha)


def test_equal_rows_are_no_difference() -> None:
    rng = np.random.default_rng(4)
    assert mean_discrepancy_test(np.ones((30, 2)), np.ones((30, 2)), rng).p == 1.0


def test_a_difference_that_no_single_column_shows_is_seen() -> None:
    """The columns agree in a and are independent in b."""
    rng = np.random.default_rng(15)
    same = rng.normal(size=(300, 1))
    a = np.hstack([same, same + 0.3 * rng.normal(size=(300, 1))])
    b = rng.normal(size=(300, 2)) * a.std(axis=0)
    assert min(stats.ks_2samp(a[:, column], b[:, column]).pvalue for column in (0, 1)) > 0.05
    assert mean_discrepancy_test(a, b, rng).p == 0.001


def test_p_is_never_0_and_many_rows_are_sampled() -> None:
    rng = np.random.default_rng(6)
    test = mean_discrepancy_test(rng.normal(size=(5_000, 2)), rng.normal(9, 1, (300, 2)), rng, permutations=49)
    assert test.p == pytest.approx(1 / 50)
    assert (test.rows_a, test.rows_b) == (1_000, 300)


def test_the_same_seed_gives_the_same_p() -> None:
    a, b = np.random.default_rng(7).normal(size=(2, 40, 2))
    p = {mean_discrepancy_test(a, b, np.random.default_rng(8)).p for _ in range(3)}
    assert len(p) == 1
    before = np.random.get_state()[1].tolist()  # type: ignore[index, union-attr]
    mean_discrepancy_test(a, b, np.random.default_rng(8))
    assert np.random.get_state()[1].tolist() == before  # type: ignore[index, union-attr]


def test_bad_arguments_are_refused() -> None:
    rng = np.random.default_rng(9)
    with pytest.raises(BadInput, match="a must be of shape"):
        mean_discrepancy([[1.0]], [[1.0], [2.0]])
    with pytest.raises(BadInput, match="b must be of shape"):
        mean_discrepancy([[1.0], [2.0]], [[1.0, 2.0], [2.0, 3.0]])
    with pytest.raises(BadInput, match="bandwidth must be a number above 0"):
        mean_discrepancy([[1.0], [2.0]], [[1.0], [2.0]], 0.0)
    with pytest.raises(BadInput, match="permutations must be a number above 0"):
        mean_discrepancy_test([[1.0], [2.0]], [[1.0], [2.0]], rng, permutations=0)
    with pytest.raises(BadInput, match="most_rows must be 2 or more"):
        mean_discrepancy_test([[1.0], [2.0]], [[1.0], [2.0]], rng, most_rows=1)


@pytest.mark.parametrize("factor", [2.0**-600, 2.0**600, 2.0**1020])
def test_the_unit_of_the_values_changes_nothing(factor: float) -> None:
    """Squares of such values are 0 or infinite."""
    rng = np.random.default_rng(10)
    a, b = rng.normal(size=(30, 2)), rng.normal(1.5, 1, (30, 2))
    p = [mean_discrepancy_test(a * unit, b * unit, np.random.default_rng(11)).p for unit in (1.0, factor)]
    assert p == [0.001, 0.001]
    assert mean_discrepancy(a * factor, b * factor) == mean_discrepancy(a, b)
    assert mean_discrepancy(a * factor, b * factor, 0.8 * factor) == pytest.approx(naive(a, b, 0.8))
    mixed = [column * [1.0, factor] for column in (a, b)]
    assert mean_discrepancy_test(*mixed, np.random.default_rng(11)).p == 0.001


def test_a_kernel_that_is_far_narrower_than_the_distances_sees_equal_rows_alone() -> None:
    rows = [[0.0], [0.0], [1e200]]
    assert mean_discrepancy(rows, rows, 1.0) == pytest.approx(1 / 3 + 1 / 3 - 2 * 5 / 9)
