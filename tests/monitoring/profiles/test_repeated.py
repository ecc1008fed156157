"""Rows that are sent twice under new ids are counted exactly, and rows that are alike by chance are no finding."""

import numpy as np
import polars as pl
import pytest

from flyball.monitoring.profiles.column import ColumnProfile
from flyball.monitoring.profiles.repeated import NEAR_US, REPEATED, id_columns, repeated_rows, repeated_test

FIELDS = ("payment", "card", "shop", "amount")


def payments(rng: np.random.Generator, rows: int, cards: int = 300, first: int = 0) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "payment": np.arange(first, first + rows),
            "card": rng.integers(cards, size=rows),
            "shop": [f"s{number}" for number in rng.integers(8, size=rows)],
            "amount": rng.lognormal(3, 1, rows).round(2),
            "at": np.sort(rng.integers(0, 3_600_000_000, rows)),
        }
    )


def twice(rows: pl.DataFrame, hit: np.ndarray, later_us: int) -> pl.DataFrame:
    again = rows.filter(pl.Series(hit)).with_columns(pl.col("payment") + 10_000_000, pl.col("at") + later_us)
    return pl.concat([rows, again])


def profiled(rows: pl.DataFrame, ids: tuple[str, ...] | None) -> ColumnProfile:
    return ColumnProfile.of(repeated_rows(rows, FIELDS, ids))


def test_ids_are_columns_of_which_all_values_differ() -> None:
    rng = np.random.default_rng(1)
    assert id_columns(payments(rng, 2_000), FIELDS) == ("payment",)
    assert id_columns(payments(rng, 199), FIELDS) is None


@pytest.mark.parametrize(("later_us", "kind"), [(0, 2), (1_000_000, 1), (NEAR_US, 1), (NEAR_US + 1, 0)])
def test_each_row_that_is_sent_again_is_marked(later_us: int, kind: int) -> None:
    rng = np.random.default_rng(2)
    rows = payments(rng, 400, cards=100_000)
    marks = repeated_rows(twice(rows, rng.random(400) < 0.5, later_us), FIELDS, ("payment",))
    assert set(marks[:400].to_list()) == {0}
    assert set(marks[400:].to_list()) == {kind}
    naive = repeated_rows(rows, FIELDS, ())  # with the id as a value nothing repeats
    assert naive.sum() == 0


def test_where_nothing_can_be_said_marks_are_missing() -> None:
    rows = payments(np.random.default_rng(3), 10)
    assert repeated_rows(rows, FIELDS, None).null_count() == 10
    assert repeated_rows(rows, FIELDS, FIELDS).null_count() == 10
    assert repeated_rows(rows[:0], FIELDS, ()).to_list() == []
    missing = ColumnProfile.of(pl.Series(REPEATED, [None] * 10, dtype=pl.Int64))
    assert repeated_test([missing], missing) is None


def test_rows_sent_twice_are_seen_and_quiet_windows_are_quiet() -> None:
    rng = np.random.default_rng(4)
    usual = [profiled(payments(rng, 40), ("payment",)) for _ in range(20)]
    p_values = []
    for _ in range(100):
        test = repeated_test(usual, profiled(payments(rng, 40), ("payment",)))
        assert test is not None
        assert test.distance < 0.05
        p_values.append(test.p)
    assert np.mean(np.array(p_values) <= 0.05) <= 0.05
    doubled = repeated_test(usual, profiled(twice(payments(rng, 40), rng.random(40) < 0.5, 0), ("payment",)))
    assert doubled is not None
    assert doubled.p < 1e-6
    assert 0.2 < doubled.distance < 0.5


def test_where_rows_of_a_minute_are_alike_by_chance_the_same_time_alone_counts() -> None:
    """Two of three values are the same in most rows of a minute; a busy day has more of them."""
    rng = np.random.default_rng(5)
    fields = ("payment", "shop")

    def marked(rows: int, again: float = 0.0) -> ColumnProfile:
        table = twice(payments(rng, rows), rng.random(rows) < again, 0)
        return ColumnProfile.of(repeated_rows(table, fields, ("payment",)))

    usual = [marked(200) for _ in range(12)]
    busy = repeated_test(usual, marked(1_000))
    assert busy is not None
    assert (busy.distance < 0.01, busy.p > 0.01) == (True, True)
    doubled = repeated_test(usual, marked(200, again=0.5))
    assert doubled is not None
    assert doubled.p < 1e-6
