"""Rows that are those before them once more, under another id: what a source sends twice.

The log refuses an event that it has, by its identity. A source that makes a new id for each attempt passes that check.
So a row counts as repeated if one before it, at most a minute earlier, has the same values in all columns but ids. An
id is a column whose values are all different, over weeks of rows.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from flyball.monitoring.profiles.column import ColumnProfile
from flyball.monitoring.profiles.comparison import SeasonWindow, window_spread
from flyball.statistics import homogeneity_p

if TYPE_CHECKING:
    import polars as pl

REPEATED = "row before it"
"""The column of a profile that holds, for each row, 2 if it repeats one with the same time, 1 if one of the last
minute, else 0: the name of no field."""
NEAR_US = 60_000_000
FEWEST_ROWS = 200
"""Rows that must be known to say which columns are ids."""
_DIFFERENT = 0.999
_CHANCE = 0.02
"""The share of usual rows from which repetition is no rarity, so that it says nothing."""


def id_columns(rows: "pl.DataFrame", fields: Sequence[str]) -> tuple[str, ...] | None:
    """Those of `fields` whose values are all different in `rows`; None for too few rows to say.

    Fractions are no ids: amounts may all be different, and are what shows that a row is sent twice.
    """
    if len(rows) < FEWEST_ROWS:
        return None
    return tuple(
        name
        for name in fields
        if not rows[name].dtype.is_float()
        and not rows[name].dtype.is_nested()
        and rows[name].n_unique() >= _DIFFERENT * len(rows)
    )


def repeated_rows(rows: "pl.DataFrame", fields: Sequence[str], ids: Sequence[str] | None) -> "pl.Series":
    """What the column `REPEATED` holds of `rows`, which have `at` in microseconds; null where nothing can be said."""
    import polars as pl

    same = [name for name in fields if ids is not None and name not in ids]
    if not same or not len(rows):
        return pl.Series(REPEATED, [None] * len(rows), dtype=pl.Int64)
    at = pl.col("at").cast(pl.Int64)
    ordered = rows.select(pl.struct(same).hash(1).alias("same"), at.alias("at")).with_row_index("row").sort("at")
    gap = pl.col("at") - pl.col("at").shift(1).over("same")
    kind = pl.when(gap.is_null() | (gap > NEAR_US)).then(0).when(gap > 0).then(1).otherwise(2)
    return ordered.with_columns(kind.cast(pl.Int64).alias(REPEATED)).sort("row")[REPEATED]


class RepeatedTest(Struct, frozen=True):
    """`before`, `now`: the shares of rows that repeat another; `p`: of so different ones where nothing changed."""

    before: float
    now: float
    p: float
    effect: float

    @property
    def distance(self) -> float:
        """How many more of the rows are repeated than usual."""
        return max(0.0, self.now - self.before)


def repeated_test(
    usual: Sequence[ColumnProfile], now: ColumnProfile, spread: Sequence[SeasonWindow] = (), alike: float = 1.0
) -> RepeatedTest | None:
    """Compare how many rows repeat another; None where that is not known, or no rarity in usual windows.

    Where two rows of a minute are often alike by chance, only those of the very same time count.
    """
    if not now.numbers.count or not np.isfinite(alike):
        return None
    for least in (1, 2):
        before = [_counts(part, least) for part in usual]
        rows = sum(number for _, number in before)
        if rows and sum(count for count, _ in before) <= _CHANCE * rows:
            return _tested(before, _counts(now, least), [(season, _counts(p, least)) for season, p in spread], alike)
    return None


def _tested(
    before: Sequence[tuple[int, int]],
    now: tuple[int, int],
    spread: Sequence[tuple[int, tuple[int, int]]],
    alike: float,
) -> RepeatedTest:
    windows = [(season, part) for season, part in spread or [(0, part) for part in before] if part[1]]
    apart = window_spread(
        np.array([[count / rows] for _, (count, rows) in windows]),
        [rows for _, (_, rows) in windows],
        [season for season, _ in windows],
        alike,
    )
    count, rows = (sum(part[index] for part in before) for index in (0, 1))
    p = homogeneity_p((count, rows - count), (now[0], now[1] - now[0]), apart.effect)
    return RepeatedTest(count / rows, now[0] / now[1], apart.p(p, now[1]), apart.effect)


def _counts(part: ColumnProfile, least: int) -> tuple[int, int]:
    """(repeated rows, rows of which it is known)."""
    counts = part.frequent.counts
    return sum(counts.get(kind, 0) for kind in (1, 2) if kind >= least), part.numbers.count
