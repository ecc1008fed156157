"""What differs between the profile of a reference and that of current rows, and is no chance.

A column shifted if both hold: some set of its values has a share that differs by `least` or more, and the difference is
significant when all columns are considered (Holm), given how far the windows of the reference lie apart. With a
reference in fewer than three windows, its rows count as independent.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from math import isinf
from typing import Literal

import numpy as np
from msgspec import Struct

from flyball.core import BadInput, Doubles, format_second
from flyball.monitoring.profiles.column import BOOLEAN, LIST, TEXT, TIME, ColumnProfile
from flyball.monitoring.profiles.dependence import dependence
from flyball.monitoring.profiles.table import TableProfile
from flyball.statistics import (
    FrequentValue,
    design_effect,
    holm,
    homogeneity_p,
    kolmogorov_smirnov,
    kolmogorov_smirnov_p,
    shared_tail_p,
    shares_of,
    total_variation,
)

LEAST = 0.05
ALPHA = 0.05
_POINTS = np.linspace(0.1, 0.9, 9)
_FEWEST_WINDOWS = 3
_LOOKED_AT = 20
_MOST, _OFTEN = 0.5, 10
"""New values are named where they make half of a difference; a value is new whose share is ten times as large as it may
have been unseen."""
_FEWEST_INDEPENDENT = 10
"""With fewer independent rows the limits that p-values come from do not hold."""

Aspect = Literal["values", "missing", "infinite", "length"]
SeasonWindow = tuple[int, ColumnProfile]
"""A season, such as the day of the week, and the profile of a window in it."""


class Shift(Struct, frozen=True):
    """One aspect of a column, compared.

    `distance`: the largest difference, over all sets of values, between their shares in reference and current rows, as
    far as it is certain: the error of sketches is subtracted. `p`: adjusted for all aspects compared (Holm).
    `shifted`: whether `distance` is at least the least one that matters, and `p` at most alpha. `design_effect`: how
    many rows count as one independent row. `change`: what changed most, such as `fr 20.0% → 40.1%`.
    """

    column: str
    aspect: Aspect
    distance: float
    p: float
    shifted: bool
    design_effect: float = 1.0
    change: str = ""


class Comparison(Struct, frozen=True):
    """Columns that are only in one of them or changed their kind, and the shifts of all others, largest first."""

    rows: tuple[int, int]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    kinds: dict[str, tuple[str, str]]
    shifts: tuple[Shift, ...]

    @property
    def differs(self) -> bool:
        """Whether anything was found."""
        return bool(self.added or self.removed or self.kinds or any(shift.shifted for shift in self.shifts))


class ColumnTest(Struct, frozen=True):
    """One aspect of a column, tested alone; the fields are those of `Shift`, `effect` is the design effect.

    `medians`: of numbers, before and now.
    """

    column: str
    aspect: Aspect
    distance: float
    p: float
    effect: float
    change: str
    medians: tuple[float, float] | None = None


def compare_profiles(
    reference: Sequence[TableProfile], current: TableProfile, *, least: float = LEAST, alpha: float = ALPHA
) -> Comparison:
    """Compare `current` with `reference`, given as one profile for each window of time, or a single one.

    `least`: the least difference of shares that matters, from 0 to 1. Where nothing shifted, the probability of any
    shift among the results is at most `alpha`. Raises `BadInput` if either has no rows.
    """
    return compare_tables({"": (reference, current)}, least=least, alpha=alpha)[""]


def compare_tables(
    tables: Mapping[str, tuple[Sequence[TableProfile], TableProfile]], *, least: float = LEAST, alpha: float = ALPHA
) -> dict[str, Comparison]:
    """`compare_profiles` of several tables, (reference, current) by name; `alpha` holds for all of them together."""
    if not 0 <= least < 1:
        raise BadInput("least difference", "from 0 to below 1", least)
    looks = {name: _look(name, reference, current) for name, (reference, current) in tables.items()}
    adjusted = iter(holm([test.p for look in looks.values() for test in look.tests]).tolist())
    return {name: look.comparison([next(adjusted) for _ in look.tests], least, alpha) for name, look in looks.items()}


class _Look(Struct, frozen=True):
    """A table with the tests of its columns, before they are considered together."""

    reference: TableProfile
    current: TableProfile
    kinds: dict[str, tuple[str, str]]
    tests: list[ColumnTest]

    def comparison(self, p_values: Sequence[float], least: float, alpha: float) -> Comparison:
        """The result; `p_values`: adjusted, one for each test."""
        shifts = [
            Shift(
                test.column,
                test.aspect,
                test.distance,
                p,
                p <= alpha and test.distance >= least,
                test.effect,
                test.change,
            )
            for test, p in zip(self.tests, p_values, strict=True)
        ]
        before, now = self.reference, self.current
        return Comparison(
            (before.rows, now.rows),
            tuple(name for name in now.columns if name not in before.columns),
            tuple(name for name in before.columns if name not in now.columns),
            self.kinds,
            tuple(sorted(shifts, key=lambda shift: (not shift.shifted, -shift.distance))),
        )


def _look(table: str, reference: Sequence[TableProfile], current: TableProfile) -> _Look:
    windows = [window for window in reference if window.rows]
    merged = reduce(TableProfile.merge, windows, TableProfile())
    of_table = f" of {table}" if table else ""
    for what, rows in (("reference", merged.rows), ("current rows", current.rows)):
        if not rows:
            raise BadInput(f"{what}{of_table}", "one row or more", 0)
    kinds = {
        name: (before, now)
        for name, column in merged.columns.items()
        if name in current.columns
        and (before := column.kind) is not None
        and (now := current.columns[name].kind) is not None
        and before != now
    }
    same = [name for name in merged.columns if name in current.columns and name not in kinds]
    tests = [
        test
        for name in same
        for test in column_tests(
            name,
            [window.column(name) for window in windows],
            current.columns[name],
            alike=dependence(current, merged, name),
        )
    ]
    return _Look(merged, current, kinds, tests)


def column_tests(
    name: str,
    reference: Sequence[ColumnProfile],
    now: ColumnProfile,
    spread: Sequence[SeasonWindow] = (),
    alike: float = 1.0,
) -> list[ColumnTest]:
    """The tests of the aspects of a column of one kind, not adjusted for each other.

    `reference`: the profiles that `now` is compared with, those of one season, say. `spread`: more windows, by their
    season, which show how usual windows differ; by default those of `reference`. `alike`: how many rows count as one at
    least; with infinity there are no tests.
    """
    if isinf(alike):
        return []
    before = reduce(ColumnProfile.merge, reference)
    windows = spread or [(0, part) for part in reference]
    tests = [_share(name, "missing", before, now, windows, alike)]
    if before.infinite or now.infinite:
        tests.append(_share(name, "infinite", before, now, windows, alike))
    if before.kind in (TEXT, BOOLEAN, LIST):
        if sum(before.buckets) and sum(now.buckets):
            tests.append(_categories(name, before, now, windows, alike))
    elif before.numbers.count and now.numbers.count:
        tests.append(_numbers(name, "values", before, now, windows, alike))
    if before.numbers.count and now.numbers.count and (before.kind == LIST or _mostly_rare(before)):
        tests.append(_numbers(name, "length", before, now, windows, alike))
    return tests


def _mostly_rare(column: ColumnProfile) -> bool:
    """Whether it holds texts most of which are rare, such as ids: a change of their form is seen in their lengths."""
    frequent = column.frequent
    return column.kind == TEXT and sum(frequent.counts.values()) < frequent.count / 2


def _share(
    name: str,
    aspect: Literal["missing", "infinite"],
    before: ColumnProfile,
    now: ColumnProfile,
    windows: Sequence[SeasonWindow],
    alike: float,
) -> ColumnTest:
    """Compare the share of rows that are, say, missing."""
    some: list[tuple[int, int]] = [(getattr(part, aspect), part.rows) for part in (before, now)]
    parts = [(season, part) for season, part in windows if part.rows]
    spread = window_spread(
        np.array([[getattr(part, aspect) / part.rows] for _, part in parts]),
        [part.rows for _, part in parts],
        [season for season, _ in parts],
        alike,
    )
    counts = [(number, rows - number) for number, rows in some]
    change = " → ".join(f"{number / rows:.1%}" for number, rows in some)
    p = spread.p(homogeneity_p(counts[0], counts[1], spread.effect), now.rows)
    return ColumnTest(name, aspect, total_variation(*counts), p, spread.effect, change)


def _categories(
    name: str, before: ColumnProfile, now: ColumnProfile, windows: Sequence[SeasonWindow], alike: float
) -> ColumnTest:
    parts = [(season, part) for season, part in windows if sum(part.buckets)]
    spread = window_spread(
        np.array([shares_of(part.buckets) for _, part in parts]),
        [sum(part.buckets) for _, part in parts],
        [season for season, _ in parts],
        alike,
    )
    distance = total_variation(before.buckets, now.buckets)
    p = spread.p(homogeneity_p(before.buckets, now.buckets, spread.effect), sum(now.buckets))
    return ColumnTest(name, "values", distance, p, spread.effect, _moved_items(before, now, distance))


def _moved_items(before: ColumnProfile, now: ColumnProfile, distance: float) -> str:
    """The values that make most of the difference: new ones, or the frequent one whose share changed most."""

    def share(column: ColumnProfile, item: FrequentValue) -> float:
        return column.frequent.counts.get(item, 0) / column.frequent.count

    items = dict.fromkeys(item for column in (before, now) for item, _ in column.frequent.most(_LOOKED_AT))
    if not items:
        return ""
    item = max(items, key=lambda item: abs(share(now, item) - share(before, item)))
    unseen = before.frequent.too_low / before.frequent.count  # a value without a counter may have had such a share
    new = {item: share(now, item) for item in now.frequent.counts if item not in before.frequent.counts}
    new = {item: now_share for item, now_share in new.items() if now_share > _OFTEN * unseen}
    together = sum(new.values())
    if not new or together < _MOST * distance:
        return f"{item} {share(before, item):.1%} → {share(now, item):.1%}"
    item = max(new, key=lambda item: (new[item], str(item)))
    others = f", with {len(new) - 1} more new values {together:.1%}" if len(new) > 1 else ""
    return f"{item} {share(before, item):.1%} → {share(now, item):.1%}{others}"


def _numbers(
    name: str,
    aspect: Literal["values", "length"],
    before: ColumnProfile,
    now: ColumnProfile,
    windows: Sequence[SeasonWindow],
    alike: float,
) -> ColumnTest:
    parts = [(season, part) for season, part in windows if part.numbers.count]
    at = before.quantiles.quantiles(_POINTS)
    points = np.unique([at, np.nextafter(at, -np.inf)])  # below as well: a value that most rows share is itself a point
    spread = window_spread(
        np.array([part.quantiles.cdf(points) for _, part in parts]),
        [part.numbers.count for _, part in parts],
        [season for season, _ in parts],
        alike,
    )
    error = before.quantiles.rank_error + now.quantiles.rank_error
    distance = max(0.0, kolmogorov_smirnov(before.quantiles.weighted(), now.quantiles.weighted()) - error)
    p = kolmogorov_smirnov_p(distance, before.numbers.count, now.numbers.count, spread.effect, spread.effect)
    p = spread.p(p, now.numbers.count)
    (middle,), (middle_now,) = (column.quantiles.quantiles([0.5]).tolist() for column in (before, now))
    shown = (format_second(int(value)) if before.kind == TIME else f"{value:.6g}" for value in (middle, middle_now))
    what = "median length" if aspect == "length" else "median"
    return ColumnTest(name, aspect, distance, p, spread.effect, f"{what} {' → '.join(shown)}", (middle, middle_now))


class WindowSpread(Struct, frozen=True):
    """How far usual windows lie apart. `effect`, `shared`: the design effect, and what of it rows of a window share;
    `windows`: how many say so."""

    effect: float
    shared: float
    windows: int

    def p(self, p: float, rows: int) -> float:
        """`p` of a window of `rows`, with the tail of what its rows share.

        Where they count as few, it is no less than the rank of one window among so many can say: what is compared is
        one window with `windows`.
        """
        if self.windows < _FEWEST_WINDOWS:
            return p
        p = shared_tail_p(p, self.effect, self.shared)
        return p if rows / self.effect >= _FEWEST_INDEPENDENT else max(p, 1 / (self.windows + 1))


def window_spread(shares: Doubles, rows: Sequence[int], seasons: Sequence[int], alike: float) -> WindowSpread:
    """The spread, where there are windows enough to see it; its effect is `alike` at least.

    With seasons from three windows of each on average: by two, such as two rainy Fridays, what is chance looks like a
    season, and the windows of a season as if they could not differ.
    """
    if len(rows) < _FEWEST_WINDOWS:
        return WindowSpread(alike, 0.0, len(rows))
    different = len(set(seasons))
    known = different > 1 and len(rows) >= _FEWEST_WINDOWS * different
    of_season = seasons if known else None
    effect = design_effect(shares, rows, of_season)
    return WindowSpread(max(alike, effect), effect - 1.0, len(rows))
