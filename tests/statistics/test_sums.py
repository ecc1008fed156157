"""Sums equal an exact sum over fractions, merge in any order to the same bits, and do not cancel."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadInput
from flyball.statistics import Sums, mean_contrast, ratio_contrast, sum_by_unit, winsorize

VALUES = st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 3), min_size=2, max_size=40)


@given(VALUES)
def test_totals_and_products_are_those_of_exact_arithmetic(rows: list[tuple[float, float, float]]) -> None:
    sums = Sums.of(rows, scale=1e-3)
    whole = [[round(float(np.rint(value / 1e-3))) for value in row] for row in rows]
    assert sums.totals == tuple(sum(row[i] for row in whole) for i in range(3))
    pairs = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]
    assert sums.products == tuple(sum(row[i] * row[j] for row in whole) for i, j in pairs)
    count, unit = len(rows), Fraction(1, 1000)
    for i, j in pairs:
        mean_i, mean_j = (Fraction(sum(row[c] for row in whole), count) for c in (i, j))
        exact = sum((row[i] - mean_i) * (row[j] - mean_j) for row in whole) / (count - 1) * unit**2
        assert sums.covariance(i, j) == sums.covariance(j, i) == float(exact)


@given(VALUES, st.randoms())
def test_merging_in_any_order_gives_the_same_bits(rows: list[tuple[float, float, float]], order: object) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    cut = len(rows) // 2
    assert Sums.of(shuffled[:cut] or np.zeros((0, 3))).merge(Sums.of(shuffled[cut:])) == Sums.of(rows)
    assert Sums.of(rows).minus(Sums.of(shuffled[cut:])) == Sums.of(shuffled[:cut] or np.zeros((0, 3)))


def test_a_variance_far_from_zero_does_not_cancel() -> None:
    values = 1e8 + np.arange(10_000) % 2
    assert Sums.of(values).covariance() == pytest.approx(10_000 / 4 / 9_999, rel=1e-12)


def test_many_large_values_do_not_overflow() -> None:
    values = np.full(9_001, 2.0**29)
    values[0] = -(2.0**29)
    sums = Sums.of(values)
    unit = round(2.0**29 / 1e-6)
    assert (sums.totals[0], sums.products[0]) == (8_999 * unit, 9_001 * unit**2)


def test_one_column_of_several() -> None:
    rng = np.random.default_rng(1)
    table = rng.normal(size=(50, 3))
    for column in range(3):
        assert Sums.of(table).column(column) == Sums.of(table[:, column])
    assert Sums.of(table).covariances() == pytest.approx(np.cov(table.T), abs=1e-5)


def test_rows_of_one_unit_are_one_cluster() -> None:
    """Each unit's rows repeated: as clusters the interval stays, as rows it would shrink."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=400)
    arms = []
    for times in (1, 5):
        units = np.repeat(np.arange(200), times)
        arms.append([Sums.of(sum_by_unit(units, np.repeat(half, times))) for half in (values[:200], values[200:])])
    once, repeated = (ratio_contrast(a, b) for a, b in arms)
    assert repeated.se == pytest.approx(once.se, rel=1e-6)
    assert once.se == pytest.approx(mean_contrast(Sums.of(values[:200]), Sums.of(values[200:])).se, rel=1e-5)


def test_winsorizing_moves_to_the_bounds() -> None:
    assert winsorize([-5.0, 0.5, 7.0], -1.0, 2.0).tolist() == [-1.0, 0.5, 2.0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1.0, float("nan")], "values at position 1 must be finite"),
        ([1e12], "take a larger scale"),
        (np.zeros((2, 2, 2)), "shape"),
    ],
)
def test_what_has_no_sums_is_refused(values: object, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Sums.of(values)  # type: ignore[arg-type]


def test_sums_of_other_columns_do_not_merge() -> None:
    with pytest.raises(BadInput, match="2 columns"):
        Sums.of([[1.0, 2.0]]).merge(Sums.of([1.0]))
    with pytest.raises(BadInput, match="two or more for a variance"):
        Sums.of([1.0]).covariance()
    with pytest.raises(BadInput, match="one or more for a mean"):
        Sums.of([]).mean()
    with pytest.raises(BadInput, match="low must be below"):
        winsorize([1.0], 2.0, 1.0)
