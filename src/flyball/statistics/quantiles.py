"""Quantiles such as the 99th percentile of latencies: intervals for one look and for every look.

Sources: order statistics and the binomial distribution (Conover, "Practical Nonparametric Statistics", 1999, 3.2);
at every look, Howard and Ramdas, "Sequential estimation of quantiles", Bernoulli 2022 (arXiv 1906.09712).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, doubles, finite
from flyball.statistics.contrasts import Contrast
from flyball.statistics.inference import Inference
from flyball.statistics.mixtures import beta_binomial_log_mixture, beta_binomial_r

_ZOOMS = 40


def _sorted_sample(values: ArrayLike, quantile: float) -> Doubles:
    if not 0 < quantile < 1:
        raise BadInput("quantile", "between 0 and 1, such as 0.99", quantile)
    ordered = np.sort(doubles("values", values).ravel())
    if not len(ordered):
        raise BadInput("values", "one or more", 0)
    return ordered


@finite("quantile")
def quantile_interval(values: ArrayLike, quantile: float, alpha: float = 0.05) -> tuple[float, float, float]:
    """(estimate, low, high) of a quantile for one look, by order statistics.

    An end is infinite if there are too few values. Raises `BadInput` for no values or a quantile outside (0, 1).

    >>> quantile_interval(range(1, 101), 0.5)
    (50.5, 40.0, 61.0)
    """
    ordered = _sorted_sample(values, quantile)
    count = len(ordered)
    low = int(stats.binom.ppf(check_alpha(alpha) / 2, count, quantile))
    high = int(stats.binom.ppf(1 - alpha / 2, count, quantile)) + 1
    return (
        float(np.quantile(ordered, quantile)),
        float(ordered[low - 1]) if low >= 1 else -np.inf,
        float(ordered[high - 1]) if high <= count else np.inf,
    )


@finite("quantile")
def quantile_contrast(a: ArrayLike, b: ArrayLike, quantile: float, alpha: float = 0.05) -> Contrast:
    """The difference of the quantiles of b and a, for one look; a standard error is the width of an interval, scaled.

    Raises `BadInput` for an arm with too few values for an interval.
    """
    parts = []
    for name, values in (("a", a), ("b", b)):
        estimate, low, high = quantile_interval(values, quantile, alpha)
        if np.isinf(high - low):
            raise BadInput(f"values of {name}", f"enough for an interval of the {quantile:g} quantile", np.size(values))
        parts.append((estimate, low, high, np.size(values)))
    return contrast_of_quantiles(parts[0], parts[1], alpha=alpha)


def contrast_of_quantiles(
    a: tuple[float, float, float, int],
    b: tuple[float, float, float, int],
    relative: bool = False,
    alpha: float = 0.05,
) -> Contrast:
    """The contrast of two quantiles, each (estimate, low, high, units) with an interval of level 1 - `alpha`.

    Raises `BadInput` for a relative effect on a quantile of 0, and for other than four finite numbers.
    """
    for what, arm in (("quantile of arm a", a), ("quantile of arm b", b)):
        if doubles(what, arm).shape != (4,):
            raise BadInput(what, "four numbers: estimate, low, high, units", arm)
    width = 2 * stats.norm.isf(check_alpha(alpha) / 2)
    se_a, se_b = ((arm[2] - arm[1]) / width for arm in (a, b))
    effect, se = b[0] - a[0], float(np.hypot(se_a, se_b))
    if relative:
        if a[0] == 0:
            raise BadInput("quantile of arm a", "other than 0 for a relative effect", a[0])
        se = float(np.hypot(se_b, se_a * b[0] / a[0]) / abs(a[0]))
        effect /= abs(a[0])
    return Contrast(effect, se, float(a[3] + b[3] - 2), a[3], b[3], a[0], relative)


def _log_e(below: ArrayLike, count: int, quantile: float, r: float) -> Doubles:
    shares = np.asarray(below, dtype=np.float64)
    variance = quantile * (1 - quantile) * count
    return beta_binomial_log_mixture(shares - quantile * count, variance, r, quantile, 1 - quantile)


@finite("quantile", "n_best")
def quantile_sequence(
    values: ArrayLike, quantile: float, n_best: float, alpha: float = 0.05
) -> tuple[float, float, float]:
    """(estimate, low, high) of a quantile, valid at every look.

    `n_best`: the number of values at which the interval is narrowest, fixed before the start. An end is infinite if
    there are too few values. Raises `BadInput` for no values or a quantile outside (0, 1).
    """
    ordered = _sorted_sample(values, quantile)
    r = float(beta_binomial_r(n_best * quantile * (1 - quantile), check_alpha(alpha), quantile, 1 - quantile))
    log_e = _log_e(np.arange(len(ordered) + 1), len(ordered), quantile, r)
    kept = np.flatnonzero(log_e < -np.log(alpha))  # the possible counts of values at or below the quantile
    low = float(ordered[kept[0] - 1]) if kept[0] > 0 else -np.inf
    high = float(ordered[kept[-1]]) if kept[-1] < len(ordered) else np.inf
    return float(np.quantile(ordered, quantile)), low, high


@finite("quantile", "n_best")
def quantile_difference_log_e(a: ArrayLike, b: ArrayLike, quantile: float, n_best: float, alpha: float = 0.05) -> float:
    """Log e-value against equal quantiles: the smallest product of the e-values of both arms, over common values.

    Raises `BadInput` for an arm without values or a quantile outside (0, 1).
    """
    first, second = _sorted_sample(a, quantile), _sorted_sample(b, quantile)
    r = float(beta_binomial_r(n_best * quantile * (1 - quantile), check_alpha(alpha), quantile, 1 - quantile))
    # counts are constant between adjacent values: it is enough to examine each value and each gap
    at = np.unique(np.concatenate([first, second]))
    total = np.zeros(2 * len(at) + 1)
    for ordered in (first, second):
        less, up_to = np.searchsorted(ordered, at, "left"), np.searchsorted(ordered, at, "right")
        counts = np.arange(len(ordered) + 1)
        log_e = _log_e(counts, len(ordered), quantile, r)
        best = int(log_e.argmin())
        # at a value, the count below the quantile is between `less` and `up_to`: the smallest e-value of these
        on = np.where(less > best, log_e[less], np.where(up_to < best, log_e[up_to], log_e[best]))
        total[1::2] += on
        total[0::2] += log_e[np.concatenate([[0], up_to])]
    return float(total.min())


@finite("quantile", "n_best", "alpha")
def quantile_difference(
    a: ArrayLike, b: ArrayLike, quantile: float, n_best: float, alpha: float = 0.05, higher_is_better: bool = False
) -> Inference:
    """The quantile of b minus that of a, valid at every look.

    `n_best`: the values of each arm at which the interval is narrowest, fixed before the start. The interval contains
    every shift of b at which equal quantiles are not rejected. Raises `BadInput` as `quantile_difference_log_e` does.
    """
    first, second = _sorted_sample(a, quantile), _sorted_sample(b, quantile)
    effect = float(np.quantile(second, quantile) - np.quantile(first, quantile))
    goal = -np.log(alpha)
    reach = max(first[-1], second[-1]) - min(first[0], second[0])

    def end(limit: float) -> float:
        inner, outer = effect, limit
        if quantile_difference_log_e(first, second - outer, quantile, n_best, alpha) < goal:
            return float(np.copysign(np.inf, limit - effect))
        for _ in range(_ZOOMS):
            middle = (inner + outer) / 2
            if quantile_difference_log_e(first, second - middle, quantile, n_best, alpha) < goal:
                inner = middle
            else:
                outer = middle
        return outer

    spread = max(reach, np.finfo(np.float64).tiny)
    log_e = quantile_difference_log_e(first, second, quantile, n_best, alpha)
    return Inference(
        f"confidence sequence of the {quantile:g} quantile",
        "anytime",
        effect,
        end(effect - 2 * spread),
        end(effect + 2 * spread),
        min(1.0, float(np.exp(-log_e))),
        alpha,
        len(first),
        len(second),
        higher_is_better=higher_is_better,
        constants={"alpha": alpha, "n_best": n_best, "quantile": quantile},
    )
