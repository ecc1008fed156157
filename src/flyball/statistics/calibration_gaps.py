"""How far probabilities are from how often their outcome happens: by bins, and in the large with a sequence.

The calibration error by bins is above 0 even for correct probabilities, and more so the fewer rows there are; from the
debiased one what chance alone adds is subtracted. The gap in the large, the share of outcomes less the mean
probability, has a confidence sequence by betting: valid at every look, from the first row on.
Sources: bins of equal counts: Nixon et al., "Measuring Calibration in Deep Learning", CVPR Workshops 2019; debiased:
Kumar, Liang and Ma, "Verified Uncertainty Calibration", NeurIPS 2019, the estimate of the squared error; betting:
Waudby-Smith and Ramdas, JRSS B 2024.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy import special

from flyball.core import BadInput, Doubles
from flyball.statistics.bounded import plan_betting
from flyball.statistics.checks import check_alpha, doubles, finite

CALIBRATION_BINS = 10
_BETS = (0.01, 0.03, 0.1, 0.3, 0.8)
"""The stakes on a gap of either sign, per unit of the difference of outcome and probability."""
_BISECTIONS = 30
_DIGITS = 5


class CalibrationGap(Struct, frozen=True):
    """The calibration of `rows` predictions.

    `gap`: the share of outcomes less the mean probability; [`low`, `high`] its confidence sequence. `log_e`: the log
    e-value against correct probabilities. `error`: the expected calibration error by bins; `debiased`: the root of
    the mean square, less what chance adds.
    """

    rows: int
    predicted: float
    happened: float
    gap: float
    low: float
    high: float
    log_e: float
    error: float
    debiased: float
    alpha: float


@finite("outcomes")
def calibration_gap(
    probabilities: ArrayLike,
    outcomes: ArrayLike,
    *,
    bins: int = CALIBRATION_BINS,
    deviation: float = 0.3,
    n_best: float = 5_000,
    alpha: float = 0.05,
) -> CalibrationGap:
    """The calibration of `probabilities`, shape (rows,), of `outcomes`, 0 or 1, in the order in which they came.

    `n_best`: the rows at which the sequence is narrowest, `deviation`: that of outcomes from their probabilities, both
    fixed before the start; wrong ones make it wider, not invalid. `bins`: of equal numbers of rows.
    Raises `BadInput` without rows, and for an outcome that is neither 0 nor 1.

    >>> gap = calibration_gap([0.5] * 2_000, [0, 1, 1, 1] * 500)
    >>> gap.gap, gap.low > 0.1, gap.log_e > 20
    (0.25, True, True)
    """
    check_alpha(alpha)
    predicted, happened = _pairs(probabilities, outcomes)
    difference = happened - predicted
    low, high = _sequence(difference, n_best, deviation, alpha)
    error, debiased = calibration_errors(predicted, happened, bins)
    return CalibrationGap(
        len(predicted),
        float(predicted.mean()),
        float(happened.mean()),
        float(difference.mean()),
        low,
        high,
        calibration_log_e(predicted, happened),
        error,
        debiased,
        alpha,
    )


def _sequence(differences: Doubles, n_best: float, deviation: float, alpha: float) -> tuple[float, float]:
    """The means within [-1, 1] that bets do not exclude, by bisection: wealth grows with the distance of the mean."""
    plan = plan_betting(-1.0, 1.0, n_best, deviation, alpha, [-1.0, 1.0])
    stakes, weights = np.array(plan.stakes)[:, None], np.array(plan.weights)
    values, counts = np.unique(np.round(differences, _DIGITS), return_counts=True)
    limit = -np.log(alpha)

    def end(outer: float) -> float:
        inner = float(differences.mean())
        for _ in range(_BISECTIONS):
            middle = (outer + inner) / 2
            excluded = special.logsumexp(np.log1p(stakes * (values - middle)) @ counts, b=weights) >= limit
            outer, inner = (middle, inner) if excluded else (outer, middle)
        return outer

    return end(-1.0), end(1.0)


@finite("outcomes")
def calibration_log_e(probabilities: ArrayLike, outcomes: ArrayLike) -> float:
    """The log e-value against "each outcome happens with its probability": the wealth of bets on a gap of either sign.

    Each bet multiplies the wealth by 1 + stake (outcome - probability), whose mean is 1 if the probability is right.
    E-values of successive rows multiply.
    """
    predicted, happened = _pairs(probabilities, outcomes)
    stakes = np.array([*_BETS, *(-stake for stake in _BETS)])
    logs = np.log1p(stakes[:, None] * (happened - predicted)).sum(axis=1)
    return float(special.logsumexp(logs) - np.log(len(stakes)))


@finite("outcomes")
def calibration_errors(
    probabilities: ArrayLike, outcomes: ArrayLike, bins: int = CALIBRATION_BINS
) -> tuple[float, float]:
    """(expected calibration error, root of the debiased mean square of it), in `bins` of equal numbers of rows.

    The mean square of the gaps of bins, less the variance of the share of outcomes in each, which chance alone adds: 0
    on average for correct probabilities, whatever the number of rows. Rows of equal probability share a bin.
    """
    predicted, happened = _pairs(probabilities, outcomes)
    if bins < 1:
        raise BadInput("bins", "one or more", bins)
    edges = np.unique(np.quantile(predicted, np.linspace(0.0, 1.0, bins + 1)))
    bin_of = np.searchsorted(edges[1:-1], predicted)
    rows = np.bincount(bin_of).astype(np.float64)
    filled = rows > 0
    rows = rows[filled]
    expected = np.bincount(bin_of, predicted)[filled] / rows
    observed = np.bincount(bin_of, happened)[filled] / rows
    gap = observed - expected
    chance = np.where(rows > 1, observed * (1 - observed) / np.maximum(rows - 1, 1), gap**2)
    squares = float(rows @ (gap**2 - chance) / len(predicted))
    return float(rows @ np.abs(gap) / len(predicted)), float(np.sqrt(max(0.0, squares)))


def _pairs(probabilities: ArrayLike, outcomes: ArrayLike) -> tuple[Doubles, Doubles]:
    predicted = doubles("probabilities", probabilities, 0.0, 1.0)
    happened = np.asarray(outcomes, dtype=np.float64)
    if predicted.ndim != 1 or not len(predicted) or happened.shape != predicted.shape:
        raise BadInput("outcomes", f"one for each of {len(predicted)} probabilities, one or more", happened.shape)
    wrong = ~np.isin(happened, (0.0, 1.0))
    if wrong.any():
        raise BadInput("outcomes", "0 or 1", float(happened[wrong][0]))
    return predicted, happened
