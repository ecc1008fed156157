"""Intervals with the declared coverage: conformalized quantile regression, for all rows or for each group.

Sources: Romano, Patterson and Candès, "Conformalized Quantile Regression", NeurIPS 2019; groups: Vovk, Lindsay,
Nouretdinov and Gammerman, "Mondrian Confidence Machine", 2003; weighted examples: Tibshirani et al., "Conformal
Prediction Under Covariate Shift", NeurIPS 2019, where the predicted example gets the average weight.
"""

from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles, SignedInts

_SLACK = 1e-9  # (n + 1) * level is computed in floating point


def conformity_scores(low: NDArray[Any], high: NDArray[Any], actual: NDArray[Any]) -> Doubles:
    """The distance of each actual number from [low, high], shape (n,); negative inside the interval."""
    return np.asarray(np.maximum(np.asarray(low, np.float64) - actual, np.asarray(actual, np.float64) - high))


def conformal_margin(scores: NDArray[Any], level: float, weight: NDArray[Any] | None = None) -> float:
    """By how much both ends must move outward, so that an interval covers with probability `level` at least.

    `scores` (n,): conformity scores of examples that were not trained on. It is their ceil((n + 1) level)-th smallest;
    inf where there are too few (`fewest_examples`). Raises `BadInput`.

    >>> conformal_margin(np.array([-1.0, 0.0, 2.0, 5.0]), level=0.8)
    5.0
    """
    if not 0 < level < 1:
        raise BadInput("level of an interval", "between 0 and 1", level)
    ordered = np.argsort(scores, kind="stable")
    mass = np.ones(len(ordered)) if weight is None else np.asarray(weight, np.float64)[ordered]
    if not mass.sum() > 0:
        return float("inf")
    mass = mass / mass[mass > 0].mean()
    enough = np.cumsum(mass) >= level * (mass.sum() + 1) - _SLACK
    return float(np.asarray(scores, np.float64)[ordered][np.argmax(enough)]) if enough.any() else float("inf")


def fewest_examples(level: float) -> int:
    """The fewest examples of equal weight whose margin is finite.

    >>> fewest_examples(0.8), fewest_examples(0.95)
    (4, 19)
    """
    return ceil(level / (1 - level) - _SLACK)


def group_margins(
    scores: NDArray[Any], group_of: SignedInts, groups: int, level: float, weight: NDArray[Any] | None = None
) -> Doubles:
    """The margin of each group, shape (groups + 1,).

    The last margin is that of all examples; it is used for unknown groups and for groups with too few examples.
    `scores`, `weight`: shape (n,). `group_of`: int64 (n,), from 0, -1 for none. Raises `BadInput` for a level outside
    (0, 1).
    """
    margins = np.full(groups + 1, conformal_margin(scores, level, weight))
    order = np.argsort(group_of, kind="stable")
    ends = np.searchsorted(np.asarray(group_of)[order], np.arange(groups + 1))
    for group in range(groups):
        rows = order[ends[group] : ends[group + 1]]
        own = conformal_margin(np.asarray(scores)[rows], level, None if weight is None else weight[rows])
        margins[group] = own if np.isfinite(own) else margins[-1]
    return margins
