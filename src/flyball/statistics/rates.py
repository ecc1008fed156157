"""Rates: confidence sequences that hold at every look, from the first unit on, without any approximation.

One rate p: a mixture of binomial likelihoods over Beta(k p, k (1 - p)) against p itself is a martingale that starts at
1 (Robbins 1970; Howard et al. 2021), so p leaves {p: mixture < 1/alpha} at any time with probability alpha at most.
Two rates: the product of both arms' martingales at (p, p + difference) is one, too; a difference is left out when every
p is. All of it is a function of four counts: looks merge, order does not matter.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, check_counts, check_positive
from flyball.statistics.fixed import _null
from flyball.statistics.inference import Inference

_EDGE = 1e-12
_GRID = np.linspace(0.0, 1.0, 13)
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
    k, goal = concentration(n_best, alpha), -np.log(alpha)
    events, units = np.broadcast_arrays(np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64))
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
    k: float,
) -> Doubles:
    """Log e-value against rate of b - rate of a = `difference`: the least over all rates of a. Shapes broadcast."""
    s_a, n_a, s_b, n_b, shift = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (successes_a, trials_a, successes_b, trials_b, difference))
    )
    first, last = np.maximum(0.0, -shift), np.minimum(1.0, 1.0 - shift)
    rate_a, rate_b = s_a / np.maximum(n_a, 1), s_b / np.maximum(n_b, 1) - shift
    spread = []
    for rate, units in ((rate_a, n_a), (rate_b, n_b)):
        near, count = np.clip(rate, 0.01, 0.99), np.maximum(units, 1)
        spread.append(np.sqrt(near * (1 - near) / count) + 1 / count)
    low = np.clip(np.minimum(rate_a - spread[0], rate_b - spread[1]), first, last)
    high = np.clip(np.maximum(rate_a + spread[0], rate_b + spread[1]), first, last)
    least = np.full(low.shape, np.inf)
    for _ in range(_ZOOMS):
        p = low[..., None] + (high - low)[..., None] * _GRID
        total = rate_log_e(s_a[..., None], n_a[..., None], p, k) + rate_log_e(
            s_b[..., None], n_b[..., None], p + shift[..., None], k
        )
        best = total.argmin(axis=-1)
        least = np.minimum(least, total.min(axis=-1))
        step = (high - low) / (len(_GRID) - 1)
        center = low + step * best
        low, high = np.maximum(low, center - step), np.minimum(high, center + step)
    return least


def rate_difference_interval(
    successes_a: ArrayLike,
    trials_a: ArrayLike,
    successes_b: ArrayLike,
    trials_b: ArrayLike,
    alpha: float = 0.05,
    n_best: float = 5_000,
) -> tuple[Doubles, Doubles]:
    """The interval of rate of b - rate of a, valid at every look; `n_best`: units of each arm."""
    check_counts({"a": (successes_a, trials_a), "b": (successes_b, trials_b)})
    k, goal = concentration(n_best, alpha), -np.log(alpha)
    s_a, n_a, s_b, n_b = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (successes_a, trials_a, successes_b, trials_b))
    )
    estimate = s_b / np.maximum(n_b, 1) - s_a / np.maximum(n_a, 1)

    def ends(limit: float) -> Doubles:
        inner, outer = estimate.copy(), np.full(estimate.shape, limit)
        for _ in range(_BISECTIONS):
            middle = (outer + inner) / 2
            inside = rate_difference_log_e(s_a, n_a, s_b, n_b, middle, k) < goal
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
) -> Inference:
    """The comparison of two rates at this look; `n_best`: units of each arm, fixed before the start.

    The interval is two-sided, so a non-inferiority verdict errs with less than alpha.

    >>> rate_difference(20, 1000, 60, 1000, n_best=1000).verdict
    'better'
    """
    null = _null(margin, higher_is_better)
    if min(trials_a, trials_b) < 0:
        raise BadInput("units", "0 or more in each arm", (trials_a, trials_b))
    low, high = rate_difference_interval(successes_a, trials_a, successes_b, trials_b, alpha, n_best)
    log_e = rate_difference_log_e(successes_a, trials_a, successes_b, trials_b, null, concentration(n_best, alpha))
    effect = successes_b / max(trials_b, 1) - successes_a / max(trials_a, 1)
    beyond = effect > null if higher_is_better else effect < null
    return Inference(
        "beta-binomial confidence sequence",
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
        constants={"alpha": alpha, "n_best": n_best, "margin": margin},
    )
