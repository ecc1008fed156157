"""Rates: confidence sequences that hold at every look, from the first unit on, without any approximation.

One rate p: a mixture of binomial likelihoods over Beta(k p, k (1 - p)) against p itself is a martingale that starts at
1 (Robbins 1970; Howard et al. 2021), so p leaves {p: mixture < 1/alpha} at any time with probability alpha at most.
Two rates: a mixture of both arms' likelihoods at rates that differ more or less, against the pair (p, p + difference)
itself, is such a martingale, too (the arms' likelihoods multiply); a difference is left out when every p is. All of it
is a function of four counts: looks merge, order does not matter.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, check_counts, check_positive
from flyball.statistics.fixed import _null
from flyball.statistics.inference import Inference

_EDGE = 1e-12
_NODES, _WEIGHTS = special.roots_hermitenorm(20)
_LOG_WEIGHTS = np.log(_WEIGHTS / _WEIGHTS.sum())
_WIDEST_LOG_ODDS = 0.5  # of one standard deviation of the mixture, where rates near 0 or 1 leave it undefined
_ON_DIFFERENCE = 0.8
_GRID = np.linspace(0.0, 1.0, 17)
_ZOOMS = 5
_BISECTIONS = 45


def concentration(n_best: float, alpha: float) -> float:
    """The mixture's k that makes the interval narrowest near `n_best` units."""
    check_positive(n_best=n_best)
    log_level = -2 * np.log(check_alpha(alpha))
    return float(max(n_best / (log_level + np.log1p(log_level)) - 1, 1e-3))


def rate_log_e(successes: ArrayLike, trials: ArrayLike, rate: ArrayLike, k: float) -> Doubles:
    """Log e-value against `rate`, shapes broadcast; `k` from `concentration`."""
    events, units, p = (np.asarray(value, dtype=np.float64) for value in (successes, trials, rate))
    p = np.clip(p, _EDGE, 1 - _EDGE)
    q, misses = 1 - p, units - events
    mixture = special.betaln(k * p + events, k * q + misses) - special.betaln(k * p, k * q)
    return np.asarray(mixture - special.xlogy(events, p) - special.xlogy(misses, q))


def rate_interval(
    successes: ArrayLike, trials: ArrayLike, alpha: float = 0.05, n_best: float = 5_000
) -> tuple[Doubles, Doubles]:
    """The interval of one rate, of the shape of `successes`; [0, 1] where there is nothing yet.

    >>> low, high = rate_interval(15, 50, n_best=50)
    >>> f"{low:.4f} {high:.4f}"
    '0.1296 0.5119'
    """
    check_counts({"the rate": (successes, trials)})
    return _mean_interval(successes, trials, alpha, n_best)


def bounded_mean_interval(
    totals: ArrayLike, counts: ArrayLike, alpha: float = 0.05, n_best: float = 5_000
) -> tuple[Doubles, Doubles]:
    """The interval of the mean of values in [0, 1], from their sums and counts alone; valid at every look.

    The likelihood ratio q^x (1 - q)^(1 - x) / (p^x (1 - p)^(1 - x)) lies below its chord in x, so its mean is at most 1
    when that of x is p: what holds of rates holds of all values in [0, 1], and is as wide as if they were all 0 or 1.
    For values that vary less `betting_interval` is narrower, but needs more than two sums.

    >>> low, high = bounded_mean_interval(30.0, 50, n_best=50)
    >>> f"{low:.4f} {high:.4f}"
    '0.3858 0.7935'
    """
    total, count = np.asarray(totals, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    if not ((total >= -_EDGE) & (total <= count * (1 + _EDGE) + _EDGE)).all():
        raise BadInput("totals", "from 0 to the counts: the values lie in [0, 1]", (totals, counts))
    return _mean_interval(np.clip(total, 0.0, count), count, alpha, n_best)


def _mean_interval(totals: ArrayLike, counts: ArrayLike, alpha: float, n_best: float) -> tuple[Doubles, Doubles]:
    k, goal = concentration(n_best, alpha), -np.log(alpha)
    events, units = np.broadcast_arrays(np.asarray(totals, dtype=np.float64), np.asarray(counts, dtype=np.float64))
    estimate = np.where(units > 0, events / np.maximum(units, 1), 0.5)

    def ends(outer: Doubles) -> Doubles:
        inner = estimate.copy()
        for _ in range(_BISECTIONS):
            middle = (outer + inner) / 2
            inside = rate_log_e(events, units, middle, k) < goal
            inner = np.where(inside, middle, inner)
            outer = np.where(inside, outer, middle)
        return outer

    low, high = ends(np.zeros_like(estimate)), ends(np.ones_like(estimate))
    return np.where(events > 0, low, 0.0), np.where(events < units, high, 1.0)


def rate_difference_log_e(
    successes_a: ArrayLike,
    trials_a: ArrayLike,
    successes_b: ArrayLike,
    trials_b: ArrayLike,
    difference: ArrayLike,
    n_best: float,
    alpha: float = 0.05,
    share: float = 0.5,
) -> Doubles:
    """Log e-value against rate of b - rate of a = `difference`: the least over all rates of a. Shapes broadcast."""
    check_positive(n_best=n_best)
    if not 0 < share < 1:
        raise BadInput("share", "between 0 and 1: the share of units to arm b", share)
    s_a, n_a, s_b, n_b, shift = np.broadcast_arrays(
        *(np.asarray(count, dtype=np.float64) for count in (successes_a, trials_a, successes_b, trials_b, difference))
    )
    first, last = np.maximum(0.0, -shift), np.minimum(1.0, 1.0 - shift)
    spread = []
    rate_a, rate_b = s_a / np.maximum(n_a, 1), s_b / np.maximum(n_b, 1) - shift
    for rate, units in ((rate_a, n_a), (rate_b, n_b)):
        near, count = np.clip(rate, 0.01, 0.99), np.maximum(units, 1)
        spread.append(4 * np.sqrt(near * (1 - near) / count) + 1 / count)
    low = np.clip(np.minimum(rate_a - spread[0], rate_b - spread[1]), first, last)
    high = np.clip(np.maximum(rate_a + spread[0], rate_b + spread[1]), first, last)
    counts = tuple(array[..., None] for array in (s_a, n_a, s_b, n_b))
    least = np.full(low.shape, np.inf)
    for _ in range(_ZOOMS):
        p = low[..., None] + (high - low)[..., None] * _GRID
        log_e = _pair_log_e(counts, p, p + shift[..., None], n_best, alpha, share)
        least = np.minimum(least, log_e.min(axis=-1))
        step = (high - low) / (len(_GRID) - 1)
        center = low + step * log_e.argmin(axis=-1)
        low, high = np.maximum(low, center - step), np.minimum(high, center + step)
    return least


def _pair_log_e(
    counts: tuple[Doubles, ...], rate_a: Doubles, rate_b: Doubles, n_best: float, alpha: float, share: float
) -> Doubles:
    """Log e-value against both rates.

    Four fifths of the wealth bet on the difference alone, by a Gaussian mixture over how far b's log odds are above
    a's: a moves down by `share` of it and b up by the rest, so that the common rate stays. One fifth bets on each rate
    apart, which rules out common rates that the counts speak against (with many units in few events these would
    otherwise make any difference look like noise).
    """
    s_a, n_a, s_b, n_b = counts
    p_a, p_b = np.clip(rate_a, _EDGE, 1 - _EDGE), np.clip(rate_b, _EDGE, 1 - _EDGE)
    variance = share * p_a * (1 - p_a) + (1 - share) * p_b * (1 - p_b)
    log_level = -2 * np.log(check_alpha(alpha))
    scale = np.sqrt((log_level + np.log1p(log_level)) / (n_best * share * (1 - share) * variance))
    scale = np.minimum(scale, _WIDEST_LOG_ODDS)
    total: Doubles | None = None
    for node, log_weight in zip(_NODES, _LOG_WEIGHTS, strict=True):
        log_e = log_weight + _log_ratio(s_a, n_a, p_a, -share * node * scale)
        log_e = log_e + _log_ratio(s_b, n_b, p_b, (1 - share) * node * scale)
        total = log_e if total is None else np.logaddexp(total, log_e)
    k = concentration(n_best / 2, alpha)
    apart = rate_log_e(s_a, n_a, p_a, k) + rate_log_e(s_b, n_b, p_b, k)
    return np.asarray(np.logaddexp(np.log(_ON_DIFFERENCE) + np.asarray(total), np.log1p(-_ON_DIFFERENCE) + apart))


def _log_ratio(successes: Doubles, trials: Doubles, rate: Doubles, log_odds: Doubles) -> Doubles:
    """Log likelihood of `rate` moved by `log_odds`, less that of `rate` itself."""
    # log(q'/q) = -log(1 + p (exp(h) - 1)), and log(p'/p) is that plus h
    return np.asarray(successes * log_odds - trials * np.log1p(rate * np.expm1(log_odds)))


def rate_difference_interval(
    successes_a: ArrayLike,
    trials_a: ArrayLike,
    successes_b: ArrayLike,
    trials_b: ArrayLike,
    alpha: float = 0.05,
    n_best: float = 10_000,
    share: float = 0.5,
) -> tuple[Doubles, Doubles]:
    """The interval of rate of b - rate of a, valid at every look.

    `n_best`: units of both arms at which it is to be narrowest. `share`: of units to b, as declared.
    """
    check_counts({"a": (successes_a, trials_a), "b": (successes_b, trials_b)})
    goal = -np.log(check_alpha(alpha))
    s_a, n_a, s_b, n_b = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (successes_a, trials_a, successes_b, trials_b))
    )
    estimate = s_b / np.maximum(n_b, 1) - s_a / np.maximum(n_a, 1)

    def ends(limit: float) -> Doubles:
        inner, outer = estimate.copy(), np.full(estimate.shape, limit)
        for _ in range(_BISECTIONS):
            middle = (outer + inner) / 2
            inside = rate_difference_log_e(s_a, n_a, s_b, n_b, middle, n_best, alpha, share) < goal
            inner = np.where(inside, middle, inner)
            outer = np.where(inside, outer, middle)
        return outer

    return ends(-1.0), ends(1.0)


def rate_difference(
    successes_a: int,
    trials_a: int,
    successes_b: int,
    trials_b: int,
    n_best: float,
    alpha: float = 0.05,
    margin: float = 0.0,
    higher_is_better: bool = True,
    share: float = 0.5,
) -> Inference:
    """The comparison of two rates at this look.

    Fixed before the start: `n_best`, units of both arms at which the interval is to be narrowest, and `share`, that of
    units to b. The interval is two-sided, so a non-inferiority verdict errs with less than alpha.

    >>> rate_difference(20, 1000, 60, 1000, n_best=2000).verdict
    'better'
    """
    null = _null(margin, higher_is_better)
    if min(trials_a, trials_b) < 0:
        raise BadInput("units", "0 or more in each arm", (trials_a, trials_b))
    low, high = rate_difference_interval(successes_a, trials_a, successes_b, trials_b, alpha, n_best, share)
    log_e = rate_difference_log_e(successes_a, trials_a, successes_b, trials_b, null, n_best, alpha, share)
    effect = successes_b / max(trials_b, 1) - successes_a / max(trials_a, 1)
    beyond = effect > null if higher_is_better else effect < null
    return Inference(
        "confidence sequence of two rates",
        "anytime",
        effect,
        float(low),
        float(high),
        min(1.0, float(np.exp(-log_e))) if margin == 0 or beyond else 1.0,
        alpha,
        trials_a,
        trials_b,
        margin=margin,
        higher_is_better=higher_is_better,
        missing="" if min(trials_a, trials_b) > 0 else "units in both arms",
        constants={"alpha": alpha, "n_best": n_best, "share": share, "margin": margin},
    )
