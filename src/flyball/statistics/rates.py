"""Rates: confidence sequences that are valid at every look, from the first unit on, and not asymptotic.

One rate p: the likelihood ratio of a mixture of binomials over Beta(k p, k (1 - p)) and of p is a martingale that
starts at 1 (Robbins, Annals of Mathematical Statistics 1970; Howard et al. 2021). By Ville's inequality the
probability that the true p ever leaves {p: ratio < 1/alpha} is at most alpha.
Two rates: the likelihood ratio of a mixture over pairs of rates and of the pair (p, p + difference) is such a
martingale too, because the likelihoods of independent arms multiply. A difference is excluded when it is for every p.
The state consists of four counts: it merges, and the order of units does not matter.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, check_counts, check_positive, finite, number
from flyball.statistics.fixed import _null
from flyball.statistics.inference import Inference

_EDGE = 1e-12
_NODES, _WEIGHTS = special.roots_hermitenorm(20)
_LOG_WEIGHTS = np.log(_WEIGHTS / _WEIGHTS.sum())
_WIDEST_LOG_ODDS = 0.5  # the limit of the mixture's standard deviation, which is undefined for rates of 0 or 1
_ON_DIFFERENCE = 0.8
_GRID = np.linspace(0.0, 1.0, 17)
_ZOOMS = 5
_BISECTIONS = 45
_FEW = 10_000


def concentration(n_best: float, alpha: float) -> float:
    """The parameter k of the beta mixture that makes the interval narrowest near `n_best` units.

    Raises `BadInput` for an `n_best` that is not positive or an alpha outside (0, 1).
    """
    check_positive(n_best=n_best)
    log_level = -2 * np.log(check_alpha(alpha))
    return float(max(n_best / (log_level + np.log1p(log_level)) - 1, 1e-3))


@finite("successes", "trials", "rate", "k")
def rate_log_e(successes: ArrayLike, trials: ArrayLike, rate: ArrayLike, k: float) -> Doubles:
    """Log e-value against `rate`; shapes broadcast; `k` from `concentration`."""
    events, units, p = (np.asarray(value, dtype=np.float64) for value in (successes, trials, rate))
    p = np.clip(p, _EDGE, 1 - _EDGE)
    q, misses = 1 - p, units - events
    mixture = special.betaln(k * p + events, k * q + misses) - special.betaln(k * p, k * q)
    return np.asarray(mixture - special.xlogy(events, p) - special.xlogy(misses, q))


def rate_interval(
    successes: ArrayLike, trials: ArrayLike, alpha: float = 0.05, n_best: float = 5_000
) -> tuple[Doubles, Doubles]:
    """(low, high) of one rate, valid at every look; shapes of `successes` and `trials` broadcast.

    `n_best`: the units at which the interval is narrowest. Without trials it is [0, 1]. Raises `BadInput` for counts
    that are not whole numbers with 0 <= successes <= trials.

    >>> low, high = rate_interval(15, 50, n_best=50)
    >>> f"{low:.4f} {high:.4f}"
    '0.1296 0.5119'
    """
    check_counts({"the rate": (successes, trials)})
    return _mean_interval(successes, trials, alpha, n_best)


@finite("totals", "counts")
def bounded_mean_interval(
    totals: ArrayLike, counts: ArrayLike, alpha: float = 0.05, n_best: float = 5_000
) -> tuple[Doubles, Doubles]:
    """(low, high) of the mean of values in [0, 1], from their sums and counts, valid at every look; shapes broadcast.

    The likelihood ratio q^x (1 - q)^(1 - x) / (p^x (1 - p)^(1 - x)) is convex in x and therefore below its chord, so
    its mean is at most 1 if the mean of x is p. The method for rates is thus valid for all values in [0, 1]; the
    interval is as wide as for values of 0 and 1. For values that vary less, `betting_interval` is narrower but needs
    more state than two sums. Raises `BadInput` for a total below 0 or above its count.

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


@finite("successes_a", "trials_a", "successes_b", "trials_b", "difference", "share", "n_best")
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
    """Log e-value against (rate of b - rate of a) = `difference`, the smallest over all rates of a; shapes broadcast.

    `n_best`, `share`: as in `rate_difference`. Raises `BadInput` for a share outside (0, 1).
    """
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
    """Log e-value against a pair of rates.

    Four fifths of the initial wealth bet on the difference, by a Gaussian mixture over the difference of log odds: a
    moves down by `share` of it and b up by `1 - share`, so that the common rate stays. One fifth bets on each rate by
    itself, which excludes common rates that contradict the counts. Otherwise such rates would keep every difference
    in the interval when events are rare.
    """
    s_a, n_a, s_b, n_b = counts
    p_a, p_b = np.clip(rate_a, _EDGE, 1 - _EDGE), np.clip(rate_b, _EDGE, 1 - _EDGE)
    variance = share * p_a * (1 - p_a) + (1 - share) * p_b * (1 - p_b)
    log_level = -2 * np.log(check_alpha(alpha))
    scale = np.sqrt((log_level + np.log1p(log_level)) / (n_best * share * (1 - share) * variance))
    scale = np.minimum(scale, _WIDEST_LOG_ODDS)
    total: Doubles | None = None
    together = len(_NODES) if scale.size <= _FEW else 1  # the same bits, and no array of twenty times as many rows
    for start in range(0, len(_NODES), together):
        nodes, log_weights = (
            array[start : start + together].reshape(-1, *(1,) * scale.ndim) for array in (_NODES, _LOG_WEIGHTS)
        )
        log_e = log_weights + _log_ratio(s_a, n_a, p_a, -share * nodes * scale)
        log_e = log_e + _log_ratio(s_b, n_b, p_b, (1 - share) * nodes * scale)
        summed = np.logaddexp.reduce(log_e, axis=0)
        total = summed if total is None else np.logaddexp(total, summed)
    k = concentration(n_best / 2, alpha)
    apart = rate_log_e(s_a, n_a, p_a, k) + rate_log_e(s_b, n_b, p_b, k)
    return np.asarray(np.logaddexp(np.log(_ON_DIFFERENCE) + np.asarray(total), np.log1p(-_ON_DIFFERENCE) + apart))


def _log_ratio(successes: Doubles, trials: Doubles, rate: Doubles, log_odds: Doubles) -> Doubles:
    """Log likelihood of `rate` moved by `log_odds`, less that of `rate` itself."""
    # log(q'/q) = -log(1 + p (exp(h) - 1)), and log(p'/p) is that plus h
    return np.asarray(successes * log_odds - trials * np.log1p(rate * np.expm1(log_odds)))


@finite("share", "n_best")
def rate_difference_interval(
    successes_a: ArrayLike,
    trials_a: ArrayLike,
    successes_b: ArrayLike,
    trials_b: ArrayLike,
    alpha: float = 0.05,
    n_best: float = 10_000,
    share: float = 0.5,
) -> tuple[Doubles, Doubles]:
    """(low, high) of the rate of b minus the rate of a, valid at every look; shapes broadcast.

    `n_best`: the units of both arms at which it is narrowest. `share`: the declared share of units that go to b. Raises
    `BadInput` for counts that are not whole numbers with 0 <= successes <= trials, or an alpha outside (0, 1).
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


@finite("margin", "share", "n_best")
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

    Fixed before the start: `n_best`, the units of both arms at which the interval is narrowest, and `share`, the share
    of units that go to b. The interval is two-sided, so the error rate of a non-inferiority verdict is below alpha.
    Raises `BadInput` for a negative margin and as `rate_difference_interval` does.

    >>> rate_difference(20, 1000, 60, 1000, n_best=2000).verdict
    'better'
    """
    null = _null(margin, higher_is_better)
    if min(number("trials of a", trials_a), number("trials of b", trials_b)) < 0:
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
