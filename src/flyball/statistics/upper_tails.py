"""How unusual the largest scores of a population are, when the population itself is the only model of what is usual.

Scores are standardized among those of similar size by their median and upper quartile, then all are one population. Up
to its 90th percentile a score has the share of scores that are as large as its p-value. Above it scores are taken to
fall off exponentially, at the rate that the median and the 90th percentile give: a normal population falls off faster,
one with a power-law tail does so on the scale of logarithms. The rate is estimated, so the tail is that of the
predictive distribution (an exponential with a Jeffreys prior: Lomax). A few percent of foreign scores hardly move these
quantiles, also where all of them are of one size.
"""

import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput, Doubles, Ints
from flyball.statistics.checks import doubles, finite

_Usual = np.ndarray[tuple[int], np.dtype[np.bool_]]

_UPPER = 0.9
_FEWEST, _MOST_GROUPS = 250, 5


@finite("least_scale")
def upper_tail_p_values(
    scores: ArrayLike, sizes: ArrayLike, least_scale: float = 0.0, usual: _Usual | None = None
) -> Doubles:
    """The p-value of each score that it comes from the others' distribution, shape (n,): small where it is large.

    `sizes`: a number for each, such as how active it is; each is compared with those of similar size, in up to five
    groups of 250 or more. `least_scale`: the least e-folding length of the tail, for scores of which most are equal.
    `usual`: which scores show what is usual, by default all. Raises `BadInput` for other than one size for each score.

    >>> upper_tail_p_values([*range(100), 200.0], [1.0] * 101)[[0, 50, 90, 100]].round(6).tolist()
    [1.0, 0.50495, 0.108911, 0.0015]
    """
    values, by = doubles("scores", scores), doubles("sizes", sizes)
    if values.shape != by.shape or values.ndim != 1:
        raise BadInput("sizes", f"one for each of {len(values)} scores", f"{len(by)}")
    shown = np.ones(len(values), np.bool_) if usual is None else usual
    if not shown.any():
        return np.ones(len(values))
    standard, least = np.zeros(len(values)), np.zeros(len(values))
    for rows in _similar_sizes(by):
        own = values[rows[shown[rows]]]
        middle, quartile = np.quantile(own if len(own) else values[shown], [0.5, 0.75])
        scale = max(float(quartile - middle), least_scale * np.log(2), 1e-12)
        standard[rows], least[rows] = (values[rows] - middle) / scale, least_scale / scale
    return _tail(standard, np.sort(standard[shown]), least)


def _similar_sizes(sizes: Doubles) -> list[Ints]:
    """The rows of groups of similar size."""
    if not len(sizes):
        return []
    groups = max(1, min(_MOST_GROUPS, len(sizes) // _FEWEST))
    return list(np.array_split(np.argsort(sizes, kind="stable"), groups))


def _tail(values: Doubles, usual: Doubles, least: Doubles) -> Doubles:
    """`usual`: ascending. `least`: the least e-folding length for each value."""
    middle, upper = np.quantile(usual, [0.5, _UPPER])
    scale = np.maximum(float(upper - middle) / np.log(0.5 / (1 - _UPPER)), least)
    shared = 1 - np.searchsorted(usual, values, side="left") / len(usual)
    seen = max((_UPPER - 0.5) * len(usual), 1.0)
    beyond = np.divide(np.maximum(values - upper, 0.0), scale, out=np.zeros_like(values), where=scale > 0)
    far = (1 - _UPPER) * (1 + beyond / seen) ** -seen
    return np.asarray(np.where((values > upper) & (scale > 0), far, np.maximum(shared, 1 - _UPPER)))
