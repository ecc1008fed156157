"""A law: how something measured grows with sizes, fitted to measured sizes, which says where it is extrapolated."""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from scipy.optimize import nnls

from flyball.core import BadInput

FAR = 10.0
"""From how many times the largest measured size on a value is said to be extrapolated far."""


class Measured(msgspec.Struct, frozen=True):
    """What was measured at sizes, such as {"users": 500, "items": 1000}."""

    sizes: dict[str, float]
    value: float


class Law(msgspec.Struct, frozen=True):
    """`base` plus, for each size, `slopes[size]` times it. `points`: what it was fitted to."""

    base: float
    slopes: dict[str, float]
    points: tuple[Measured, ...]

    def at(self, sizes: Mapping[str, float]) -> float:
        """The value at these sizes; sizes that the law does not know are left aside."""
        return self.base + sum(slope * sizes[name] for name, slope in self.slopes.items())

    def beyond(self, sizes: Mapping[str, float]) -> float:
        """How many times the largest measured size the farthest of these is; 1 or below is within what was measured.

        Sizes on which the value does not depend are left aside.
        """
        ratios = [
            sizes[name] / max(point.sizes[name] for point in self.points)
            for name, slope in self.slopes.items()
            if slope > 0
        ]
        return max(ratios, default=0.0)


def fitted_law(points: Sequence[Measured], noise: float = 0.0) -> Law:
    """The line through `points` with no negative term, by relative error.

    `noise`: the relative error of a value; what grows by less over all that was measured is taken for constant, the
    largest value. Raises `BadInput` for fewer than two different sizes.

    >>> law = fitted_law([Measured({"n": 1.0}, 3.0), Measured({"n": 3.0}, 7.0)])
    >>> round(law.at({"n": 10}), 6), law.beyond({"n": 30})
    (21.0, 10.0)
    """
    names = sorted({name for point in points for name in point.sizes})
    if len({tuple(sorted(point.sizes.items())) for point in points}) < 2:
        raise BadInput("measured sizes of a law", "two or more", [point.sizes for point in points])
    values = np.array([point.value for point in points], np.float64)
    if not (values > 0).all() or values.max() - values.min() <= noise * values.max():
        return Law(float(values.max()), dict.fromkeys(names, 0.0), tuple(points))
    columns = np.array([[1.0, *(point.sizes[name] for name in names)] for point in points])
    scale = columns.max(axis=0)
    terms, _ = nnls(columns / scale / values[:, None], np.ones(len(values)))
    base, *slopes = (terms / scale).tolist()
    return Law(base, dict(zip(names, slopes, strict=True)), tuple(points))
