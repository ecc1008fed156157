"""Two columns whose values stand in each other's place, in all rows or in some of them.

Where a share f of rows has them exchanged, the distribution of one is (1 - f) A + f B and that of the other
(1 - f) B + f A, with A and B the usual ones. The world hardly ever moves two columns so: each along the line to the
usual distribution of the other, both by the same share.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import combinations

import numpy as np
from msgspec import Struct

from flyball.core import Doubles
from flyball.monitoring.profiles.column import BOOLEAN, LIST, ColumnProfile
from flyball.statistics import shares_of

_POINTS = np.linspace(0.05, 0.95, 19)
_UNLIKE = 0.25
"""How far the usual distributions of two columns lie apart at least, so that their exchange can be seen."""
_LEAST, _SAME, _UNEXPLAINED = 0.1, 0.25, 0.25
"""The least share of rows, how far the shares of both columns may differ, and what of a change may remain."""
_NOISE = 1.36
"""By how much, over the root of the rows, distribution functions differ by chance (Kolmogorov, at 5 %)."""


class Exchange(Struct, frozen=True):
    """Two columns, and the share of rows in which they stand in each other's place."""

    columns: tuple[str, str]
    share: float

    @property
    def words(self) -> str:
        first, second = self.columns
        part = "all rows" if self.share > 0.95 else f"{self.share:.0%} of the rows"
        return f"columns {first} and {second} are exchanged in {part}"


def exchanges(
    usual: Mapping[str, Sequence[ColumnProfile]], now: Mapping[str, ColumnProfile], effect: float = 1.0
) -> list[Exchange]:
    """The pairs of columns that are exchanged, each column in one pair at most, those that fit best first.

    `usual`, `now`: of the columns that changed, alone. `effect`: how many rows count as one.
    """
    before = {name: reduce(ColumnProfile.merge, parts, ColumnProfile()) for name, parts in usual.items()}
    fitting = []
    for first, second in combinations(now, 2):
        fit = _exchanged_share((before[first], before[second]), (now[first], now[second]), effect)
        if fit is not None:
            fitting.append((fit[1], Exchange((first, second), fit[0])))
    chosen: list[Exchange] = []
    for _, exchange in sorted(fitting, key=lambda pair: pair[0]):
        if not {*exchange.columns} & {name for other in chosen for name in other.columns}:
            chosen.append(exchange)
    return chosen


def _exchanged_share(
    before: tuple[ColumnProfile, ColumnProfile], now: tuple[ColumnProfile, ColumnProfile], effect: float
) -> tuple[float, float] | None:
    """(share of rows, what of the change remains) of two columns; None where they are not exchanged."""
    kinds = {part.kind for part in (*before, *now)}
    if len(kinds) != 1 or kinds & {None, BOOLEAN, LIST} or not all(part.numbers.count for part in (*before, *now)):
        return None
    (a, b), (a_now, b_now) = _placed(before, now)
    apart = b - a
    if np.abs(apart).max() < _UNLIKE:
        return None
    moved = a_now - a, b - b_now
    shares = [float(change @ apart / (apart @ apart)) for change in moved]
    share = sum(shares) / 2
    if share < _LEAST or abs(shares[0] - shares[1]) > _SAME * share or share > 1.15:
        return None
    noise = _NOISE * float(np.sqrt(effect / min(part.numbers.count for part in now)))
    remains = max(float(np.abs(change - share * apart).max()) for change in moved)
    largest = max(float(np.abs(change).max()) for change in moved)
    if largest < 2 * noise or remains > max(_UNEXPLAINED * largest, noise):
        return None
    return min(1.0, share), remains / largest


def _placed(
    before: tuple[ColumnProfile, ColumnProfile], now: tuple[ColumnProfile, ColumnProfile]
) -> tuple[list[Doubles], list[Doubles]]:
    """The distributions, shape (points,): of numbers at quantiles of both columns, of others by parts of the values."""
    if before[0].kind in ("number", "time"):
        points = np.unique(np.concatenate([part.quantiles.quantiles(_POINTS) for part in before]))
        placed = [part.quantiles.cdf(points) for part in (*before, *now)]
    else:
        placed = [shares_of(part.buckets) for part in (*before, *now)]
    return placed[:2], placed[2:]
