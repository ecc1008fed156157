"""Chooses the number to promise when being late costs more than being early.

The promise with the lowest expected cost is the quantile late / (late + early) of the predicted distribution, the
critical ratio of the newsvendor problem: Arrow, Harris and Marschak, "Optimal Inventory Policy", Econometrica 1951.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import isfinite
from statistics import NormalDist

import msgspec

from flyball.core import BadDeclaration

_NORMAL = NormalDist()


class Quote(msgspec.Struct, frozen=True):
    """The costs of promising one unit (of time, or of what is predicted) too little and too much; made by `quote`."""

    late: float
    early: float

    @property
    def level(self) -> float:
        """The quantile to promise."""
        return self.late / (self.late + self.early)

    def check(self, quantiles: Sequence[float]) -> None:
        """Raise `BadDeclaration` if the quantile is outside the predicted `quantiles` (ascending)."""
        if not quantiles or not 0 < quantiles[0] <= self.level <= quantiles[-1] < 1:
            known = f"{quantiles[0]:g} to {quantiles[-1]:g}" if quantiles else "none"
            must = f"within the predicted quantiles ({known}): predict further ones or change the costs"
            raise BadDeclaration(
                f"level of quote(late={self.late:g}, early={self.early:g})", must, round(self.level, 6)
            )

    def of(self, quantiles: Sequence[float], values: Sequence[float]) -> float:
        """The promise, interpolated between the predicted `values` of the two nearest `quantiles` (both ascending).

        The interpolation assumes a normal distribution between them; a linear one would promise too much.
        """
        self.check(quantiles)
        above = min(bisect_right(quantiles, self.level), len(quantiles) - 1)
        below = max(above - 1, 0)
        if quantiles[above] == quantiles[below]:
            return float(values[below])
        level, lower, upper = (
            _NORMAL.inv_cdf(probability) for probability in (self.level, quantiles[below], quantiles[above])
        )
        share = (level - lower) / (upper - lower)
        return float(values[below] + share * (values[above] - values[below]))


def quote(late: float, early: float) -> Quote:
    """Promise the number with the lowest expected cost: a unit too little costs `late`, a unit too much `early`.

    Raises `BadDeclaration` for costs that are not above 0.

    >>> round(quote(late=3, early=1).of([0.5, 0.9], [30.0, 50.0]), 2)
    40.53
    """
    for name, cost in (("late", late), ("early", early)):
        if not isinstance(cost, int | float) or isinstance(cost, bool) or not (isfinite(cost) and cost > 0):
            raise BadDeclaration(f"{name} of quote(...)", "a number above 0", cost)
    return Quote(float(late), float(early))
