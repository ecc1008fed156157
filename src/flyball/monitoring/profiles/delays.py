"""How long after its time each row of a window became known, and whether these delays changed by half an hour or more.

A source whose times are moved by hours, as by another time zone, sends the same rows at the same hours as ever: only
the time from `at` until the row became known shows it. Delays vary by seconds and minutes as load does, so what counts
is the share of rows that came later, or sooner, than usual by more than half an hour: the largest difference of the
distribution functions after one was moved by so much.
"""

from collections.abc import Sequence
from functools import reduce

import numpy as np
from msgspec import Struct

from flyball.core import Doubles
from flyball.monitoring.profiles.column import ColumnProfile
from flyball.monitoring.profiles.comparison import SeasonWindow, window_spread
from flyball.statistics import kolmogorov_smirnov_p

DELAY = "known_at - at"
"""The column of a profile that holds the delays of live events, in seconds: the name of no field."""
TOLERATED_S = 1800.0
_POINTS = np.linspace(0.1, 0.9, 9)
_HOUR_S = 3600.0
_NEAR_HOUR = 0.15
"""How far a move may be from a whole or half hour, in hours, to be that of a time zone."""
_ZONES_H = 26
"""Time zones are up to so many hours apart."""


class DelayTest(Struct, frozen=True):
    """`distance`: the share of rows that came later, or sooner, than usual; `hours`: by how much, below 0 for sooner.

    `p`: of a share as large where nothing changed; `effect`: the design effect.
    """

    distance: float
    hours: float
    p: float
    effect: float

    @property
    def words(self) -> str:
        """What happened, such as "60.0% of the rows became known 3.1 hours later than usual"."""
        when = "later" if self.hours > 0 else "sooner"
        return f"{self.distance:.1%} of the rows became known {abs(self.hours):.1f} hours {when} than usual"

    @property
    def zone(self) -> str:
        """The move as that of a time zone, such as "3 hours"; "" for one that is none."""
        halves = round(2 * abs(self.hours))
        if not 1 <= halves <= 2 * _ZONES_H or abs(abs(self.hours) - halves / 2) > _NEAR_HOUR:
            return ""
        return "1 hour" if halves == 2 else f"{halves / 2:g} hours"


def delay_test(
    usual: Sequence[ColumnProfile], now: ColumnProfile, spread: Sequence[SeasonWindow] = (), alike: float = 1.0
) -> DelayTest | None:
    """Compare the delays of a window with those of `usual` windows; None without delays in both.

    `spread`, `alike`: as of `column_tests`. Differences up to half an hour are none, so `p` is too high by far.
    """
    before = reduce(ColumnProfile.merge, usual, ColumnProfile())
    if not before.numbers.count or not now.numbers.count or not np.isfinite(alike):
        return None
    later, sooner = _exceeding(before, now), _exceeding(now, before)
    error = before.quantiles.rank_error + now.quantiles.rank_error
    distance = min(1.0, max(0.0, max(later, sooner) - error))
    at = before.quantiles.quantiles(_POINTS)
    points = np.unique([at, np.nextafter(at, -np.inf)])
    windows = [(season, part) for season, part in spread or [(0, part) for part in usual] if part.numbers.count]
    apart = window_spread(
        np.array([part.quantiles.cdf(points) for _, part in windows]),
        [part.numbers.count for _, part in windows],
        [season for season, _ in windows],
        alike,
    )
    p = kolmogorov_smirnov_p(distance, before.numbers.count, now.numbers.count, apart.effect, apart.effect)
    hours = _moved_s(before, now, distance, later > sooner) / _HOUR_S
    return DelayTest(distance, hours, apart.p(p, now.numbers.count), apart.effect)


def _moved_s(before: ColumnProfile, now: ColumnProfile, share: float, later: bool) -> float:
    """By how much the rows were moved: the median of those that no usual delay explains, or where they are few, the
    difference of the means, which the moved rows alone make."""
    if not share:
        return 0.0
    values, weights = now.quantiles.weighted()
    low, middle, high = before.quantiles.quantiles([0.01, 0.5, 0.99]).tolist()
    moved = values > high + TOLERATED_S if later else values < low - TOLERATED_S
    if weights[moved].sum() < share * weights.sum() / 2:
        return (now.numbers.mean - before.numbers.mean) / share
    return float(np.median(np.repeat(values[moved], weights[moved]))) - float(middle)


def _exceeding(first: ColumnProfile, second: ColumnProfile) -> float:
    """The largest share of rows that are later in `second` than in `first` by more than is tolerated."""
    values: Doubles = first.quantiles.weighted()[0]
    return float((first.quantiles.cdf(values) - second.quantiles.cdf(values + TOLERATED_S)).max())
