"""The examples that calibration maps are fitted on: scores, outcomes and weights."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles


def checked_examples(
    scores: NDArray[Any], actual: NDArray[Any], weight: NDArray[Any] | None
) -> tuple[Doubles, Doubles, Doubles]:
    """The examples with a weight above 0 as float64 (n,), in an order that does not depend on the original one.

    Raises `BadInput` for different shapes, numbers out of range or not finite, or no weight above 0.
    """
    columns = [np.asarray(column, np.float64) for column in (scores, actual)]
    columns.append(np.ones(len(columns[0])) if weight is None else np.asarray(weight, np.float64))
    for name, column in zip(("scores", "actual", "weight"), columns, strict=True):
        if column.shape != (len(columns[0]),):
            raise BadInput(f"{name} to calibrate by", f"of shape ({len(columns[0])},)", column.shape)
        if not np.isfinite(column).all():
            raise BadInput(f"{name} to calibrate by", "finite", float(column[~np.isfinite(column)][0]))
    scores, actual, weight = columns
    if ((actual < 0) | (actual > 1)).any():
        raise BadInput("actual to calibrate by", "from 0 to 1", float(actual[(actual < 0) | (actual > 1)][0]))
    if (weight < 0).any():
        raise BadInput("weight to calibrate by", "from 0", float(weight.min()))
    kept = weight > 0
    if not kept.any():
        raise BadInput("examples to calibrate by", "one or more of a weight above 0", len(scores))
    order = np.lexsort((weight[kept], actual[kept], scores[kept]))
    return scores[kept][order], actual[kept][order], weight[kept][order]


def pooled_by_score(scores: Doubles, actual: Doubles, weight: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """The distinct scores, ascending, with the weighted mean of `actual` and the weight at each."""
    first = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))
    mass = np.add.reduceat(weight, first)
    return scores[first], np.add.reduceat(weight * actual, first) / mass, mass
