"""Confidence sequences from a contrast and its standard error: valid at every look after a burn-in.

Source: Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic confidence
sequences", Annals of Statistics 2024 (arXiv 2103.06476). They are asymptotic: they need a burn-in, because means of few
units are not normal yet (a rate of 2 % that is examined from the tenth unit on gives 83 % false positives instead of
5 %). For rates and bounded values, `rate_difference` and `BoundedDifference` need no burn-in.
"""

import numpy as np
from numpy.typing import ArrayLike

from flyball.core import Doubles
from flyball.statistics.checks import check_alpha, check_positive, check_side, finite
from flyball.statistics.contrasts import Contrast, standardized
from flyball.statistics.fixed import _null
from flyball.statistics.inference import Inference

BURN_IN = 500
"""The units that each arm needs before an asymptotic sequence allows a conclusion."""


def sequence_r2(alpha: float, n_best: float, side: str = "two") -> float:
    """The squared mixture parameter that makes the interval narrowest near `n_best` units of both arms together.

    Raises `BadInput` for an `n_best` that is not positive, an alpha outside (0, 1) or an unknown side.
    """
    check_positive(n_best=n_best)
    log_level = -2 * np.log(check_alpha(alpha if check_side(side) == "two" else 2 * alpha))
    return float((log_level + np.log1p(log_level)) / n_best)


@finite("se", "count", "alpha", "r2")
def sequence_reach(se: ArrayLike, count: ArrayLike, alpha: float, r2: float, side: str = "two") -> Doubles:
    """Half the width of the interval, or for one side the distance of its end from the estimate.

    `se`: standard errors, `count`: units of both arms; their shapes broadcast. `r2`: from `sequence_r2`.
    """
    error, units = np.asarray(se, dtype=np.float64), np.asarray(count, dtype=np.float64)
    grown = units * r2
    if side == "two":
        log_level = np.log(np.sqrt(grown + 1) / alpha)
    else:
        log_level = np.log1p(np.sqrt(grown + 1) / (2 * alpha))
    return np.asarray(error * np.sqrt(2 * (grown + 1) / grown * log_level))


@finite("effect", "se", "count", "r2")
def sequence_log_e(effect: ArrayLike, se: ArrayLike, count: ArrayLike, r2: float) -> Doubles:
    """Log e-value against an effect of zero, two-sided: the likelihood ratio of a normal mixture; shapes broadcast.

    With a standard error of 0 it is the limit: infinite for an effect, and for none as with any standard error.
    """
    z, units = standardized(effect, se), np.asarray(count, dtype=np.float64)
    grown = units * r2
    return np.asarray(z**2 * grown / (2 * (grown + 1)) - 0.5 * np.log1p(grown))


@finite("effect", "se", "count", "r2")
def sequence_p(effect: ArrayLike, se: ArrayLike, count: ArrayLike, r2: float, side: str = "two") -> Doubles:
    """The always-valid p-value: the smallest alpha at which the interval with this `r2` excludes zero.

    Shapes broadcast. With a standard error of 0 it is the limit: 0 for an effect toward the side, and 1 otherwise.
    """
    z, units = standardized(effect, se), np.asarray(count, dtype=np.float64)
    if side == "two":
        return np.asarray(np.minimum(1.0, np.exp(-sequence_log_e(effect, se, units, r2))))
    toward = z if side == "greater" else -z
    grown = units * r2
    x = toward**2 * grown / (2 * (grown + 1))
    with np.errstate(divide="ignore", over="ignore"):
        p = np.sqrt(grown + 1) / (2 * np.expm1(x))
    return np.where(toward > 0, np.minimum(1.0, p), 1.0)


@finite("total", "squares", "count")
def mean_sequence(
    total: float, squares: float, count: int, n_best: float, alpha: float = 0.05, burn_in: int = BURN_IN
) -> tuple[float, float] | None:
    """The asymptotic confidence sequence of one mean at this look; None below `burn_in` values.

    `total`, `squares`: sums of the values and of their squares. `n_best`: the number of values at which the interval
    is narrowest, fixed before the start.

    >>> low, high = mean_sequence(total=1_000.0, squares=2_000.0, count=1_000, n_best=1_000)
    >>> f"{low:.3f} {high:.3f}"
    '0.904 1.096'
    """
    if count < max(burn_in, 2):
        return None
    mean = total / count
    variance = max(squares - count * mean**2, 0.0) / (count - 1)
    reach = float(sequence_reach(np.sqrt(variance / count), count, alpha, sequence_r2(alpha, n_best)))
    return mean - reach, mean + reach


@finite("margin", "burn_in")
def anytime(
    contrast: Contrast,
    n_best: float,
    alpha: float = 0.05,
    side: str = "two",
    margin: float = 0.0,
    higher_is_better: bool = True,
    burn_in: int = BURN_IN,
) -> Inference:
    """The asymptotic confidence sequence at this look.

    `n_best`: the units of both arms at which the interval is narrowest, fixed before the start. A `margin` above 0
    makes it a one-sided test of non-inferiority. While an arm has fewer than `burn_in` units, the verdict is
    `too early`. With a standard error of 0 the interval is the effect itself, and p the limit, see `sequence_p`. Raises
    `BadInput` for a negative margin, an unknown side, an alpha outside (0, 1), or a standard error that is below 0 or
    not finite.

    >>> anytime(Contrast(1.0, 0.1, 1e9, 100, 100, 2.0), n_best=5000).verdict
    'too early'
    """
    null = _null(margin, higher_is_better)
    if margin > 0:
        side = "greater" if higher_is_better else "less"
    r2 = sequence_r2(alpha, n_best, side)
    reach = float(sequence_reach(contrast.se, contrast.count, alpha, r2, side))
    fewest = min(contrast.count_a, contrast.count_b)
    missing = "" if fewest >= burn_in else f"{burn_in - fewest} more units in the smaller arm (burn-in of {burn_in})"
    return Inference(
        "asymptotic confidence sequence",
        "anytime",
        contrast.effect,
        -np.inf if side == "less" else contrast.effect - reach,
        np.inf if side == "greater" else contrast.effect + reach,
        float(sequence_p(contrast.effect - null, contrast.se, contrast.count, r2, side)),
        alpha,
        contrast.count_a,
        contrast.count_b,
        side,
        contrast.relative,
        margin,
        higher_is_better,
        missing,
        {"alpha": alpha, "n_best": n_best, "burn_in": burn_in, "margin": margin},
    )
