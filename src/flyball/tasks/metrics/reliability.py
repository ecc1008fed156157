"""Calibration of probabilities: the reliability curve and the calibration error, both by bins.

Sources: reliability diagrams: Murphy and Winkler, Applied Statistics 1977; calibration error in equally filled bins:
Nixon et al., "Measuring Calibration in Deep Learning", CVPR Workshops 2019; bin edges as scikit-learn's
`calibration_curve` has them. Bins are computed from all examples and are the same in every resample.
"""

from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles, SignedInts
from flyball.tasks.unit_weights import ExampleWeight, Resampled, defined_ratio, divided

Strategy = Literal["quantile", "uniform"]
BINS = 10


class ReliabilityBin(msgspec.Struct, frozen=True):
    """The examples whose probability is in `(low, high]`, the first bin with `low` itself.

    `rows`: how many. `predicted`: their mean probability. `observed`: the share of positives. The latter two are
    functions of unit weights, so that the bootstrap gives their intervals as for other metrics.
    """

    low: float
    high: float
    rows: int
    predicted: Resampled
    observed: Resampled


def bin_edges(predicted: NDArray[Any], bins: int = BINS, strategy: Strategy = "quantile") -> Doubles:
    """The edges of bins, at most (bins + 1,): of equal numbers of examples ("quantile") or equal width ("uniform").

    Equal probabilities are in the same bin, so many ties give fewer bins. Raises `BadInput` without bins.
    """
    if bins < 1:
        raise BadInput("bins", "one or more", bins)
    if strategy == "uniform":
        return np.linspace(0.0, 1.0, bins + 1)
    if strategy != "quantile":
        raise BadInput("strategy of bins", '"quantile" or "uniform"', strategy)
    if not len(predicted):
        return np.array([0.0, 1.0])
    return np.unique(np.quantile(np.asarray(predicted, np.float64), np.linspace(0.0, 1.0, bins + 1)))


def reliability(
    predicted: NDArray[Any],
    actual: NDArray[Any],
    unit_of: SignedInts,
    units: int,
    bins: int = BINS,
    strategy: Strategy = "quantile",
    weight: ExampleWeight = None,
) -> list[ReliabilityBin]:
    """The reliability curve, without empty bins. `predicted`: probabilities (rows,); `actual`: 0 or 1."""
    edges = bin_edges(predicted, bins, strategy)
    bin_of = _bin_of(predicted, edges)
    curve = []
    for number in np.unique(bin_of).tolist():
        inside = (bin_of == number).astype(np.float64)
        curve.append(
            ReliabilityBin(
                float(edges[number]),
                float(edges[min(number + 1, len(edges) - 1)]),
                int(inside.sum()),
                defined_ratio(inside * predicted, inside, unit_of, units, weight),
                defined_ratio(inside * (np.asarray(actual) > 0), inside, unit_of, units, weight),
            )
        )
    return curve


def calibration_error(
    predicted: NDArray[Any],
    actual: NDArray[Any],
    unit_of: SignedInts,
    units: int,
    weight: ExampleWeight = None,
    bins: int = BINS,
    strategy: Strategy = "quantile",
) -> Resampled:
    """Expected calibration error: the mean over rows of |mean probability - share of positives| of the row's bin.

    For few rows it is above 0 even for correct probabilities, and larger in resamples, so its bootstrap is centered.
    """
    bin_of = _bin_of(predicted, bin_edges(predicted, bins, strategy))
    counted = np.ones(len(bin_of)) if weight is None else np.asarray(weight, np.float64)
    gap = (np.asarray(predicted, np.float64) - (np.asarray(actual) > 0)) * counted
    numbers = np.unique(bin_of)
    gaps = (
        np.stack([np.bincount(unit_of, np.where(bin_of == number, gap, 0.0), units) for number in numbers], axis=1)
        if len(numbers)
        else np.zeros((units, 1))
    )
    rows = np.bincount(unit_of, counted, units).astype(np.float64)
    return lambda weights: divided(np.abs(weights @ gaps).sum(axis=1), weights @ rows)


def _bin_of(predicted: NDArray[Any], edges: Doubles) -> NDArray[np.int64]:
    return np.searchsorted(edges[1:-1], np.asarray(predicted, np.float64)).astype(np.int64)
