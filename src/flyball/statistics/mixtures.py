"""Boundaries that a random walk ever crosses with probability at most alpha: mixtures and stitching.

Each log mixture is the logarithm of a nonnegative supermartingale that starts at 1, as a function of the sum `s` of
centered values and of their intrinsic time `v` (a sum of variances). By Ville's inequality the probability that the
supermartingale ever reaches 1/alpha is at most alpha.
Source: Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence sequences", Annals
of Statistics 2021 (arXiv 1810.08240); Howard and Ramdas, "Sequential estimation of quantiles", Bernoulli 2022.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, check_positive, finite, number


@finite("v_best")
def best_rho(v_best: ArrayLike, alpha: float, sides: int = 2) -> Doubles:
    """The mixture parameter that makes the normal boundary tightest near intrinsic time `v_best`; shape of `v_best`.

    The closed-form approximation of Howard et al. (2021), eq. 3.7; the exact optimum differs by about 3 %.
    """
    level = check_alpha(alpha if sides == 2 else 2 * alpha)
    log_level = -2 * np.log(level)
    return np.asarray(np.asarray(v_best, dtype=np.float64) / (log_level + np.log1p(log_level)))


@finite("s", "v", "rho")
def normal_log_mixture(s: ArrayLike, v: ArrayLike, rho: ArrayLike, sides: int = 2) -> Doubles:
    """The log of the normal mixture for one or two `sides`; `rho` from `best_rho`; shapes broadcast."""
    total, time, own = (np.asarray(value, dtype=np.float64) for value in (s, v, rho))
    log_two_sided = 0.5 * np.log(own / (time + own)) + total**2 / (2 * (time + own))
    if sides == 2:
        return np.asarray(log_two_sided)
    return np.asarray(np.log(2) + log_two_sided + special.log_ndtr(total / np.sqrt(time + own)))


@finite("v", "rho")
def normal_mixture_bound(v: ArrayLike, alpha: float, rho: ArrayLike, sides: int = 2) -> Doubles:
    """The sum `s` at which the normal mixture reaches 1/alpha; shapes of `v` and `rho` broadcast."""
    time, own = np.asarray(v, dtype=np.float64), np.asarray(rho, dtype=np.float64)
    if sides == 2:
        return np.asarray(np.sqrt((time + own) * (np.log1p(time / own) - 2 * np.log(check_alpha(alpha)))))

    def bound(at: float, r: float) -> float:
        return mixture_bound(lambda s: float(normal_log_mixture(s, at, r, 1)), at, alpha)

    return np.asarray(np.vectorize(bound)(time, own), dtype=np.float64)


@finite("s", "v", "rho", "c")
def gamma_exponential_log_mixture(s: float, v: float, rho: float, c: float) -> float:
    """The one-sided log mixture for sub-exponential values of scale `c`, such as bounded values less their mean.

    Raises `BadInput` for a `c`, `rho` or `v` that is not positive.
    """
    check_positive(c=c, rho=rho, v=v)
    k, shape, rate = rho / c**2, (v + rho) / c**2, (c * s + v + rho) / c**2
    leading = k * np.log(k) - special.gammaln(k) - np.log(special.gammainc(k, k))
    tail = special.gammaln(shape) + np.log(special.gammainc(shape, rate)) - shape * np.log(rate)
    return float(leading + tail + rate - k)


@finite("s", "v", "rho", "c")
def gamma_poisson_log_mixture(s: float, v: float, rho: float, c: float) -> float:
    """The one-sided log mixture for sub-Poisson values of scale `c`, such as counts less their mean.

    Raises `BadInput` for a `c`, `rho` or `v` that is not positive.
    """
    check_positive(c=c, rho=rho, v=v)
    k, rate = rho / c**2, (v + rho) / c**2
    shape = s / c + rate
    leading = k * np.log(k) - special.gammaln(k) - np.log(special.gammaincc(k, k))
    tail = special.gammaln(shape) + np.log(special.gammaincc(shape, rate)) - shape * np.log(rate)
    return float(leading + tail + v / c**2)


@finite("s", "v", "r", "g", "h")
def beta_binomial_log_mixture(s: ArrayLike, v: ArrayLike, r: ArrayLike, g: float, h: float, sides: int = 2) -> Doubles:
    """The log mixture for values in [-`g`, `h`] of mean 0; `r` from `beta_binomial_r`; shapes broadcast."""
    total, time, own = (np.asarray(value, dtype=np.float64) for value in (s, v, r))
    width, share = g + h, h / (g + h)

    def log_beta(a: Doubles, b: Doubles) -> Doubles:
        tail = 0.0 if sides == 2 else np.log(special.betainc(a, b, share))
        return np.asarray(special.betaln(a, b) + tail)

    down, up = (time - g * total) / (g * width), (time + h * total) / (h * width)
    fixed = time / (g * h) * np.log(width) - up * np.log(g) - down * np.log(h)
    start = (own / (g * width), own / (h * width))
    return np.asarray(fixed + log_beta(start[0] + down, start[1] + up) - log_beta(*start))


@finite("v_best", "g", "h")
def beta_binomial_r(v_best: ArrayLike, alpha: float, g: float, h: float, sides: int = 2) -> Doubles:
    """The parameter that makes the beta-binomial boundary tightest near intrinsic time `v_best`; shape of `v_best`."""
    return np.maximum(best_rho(v_best, alpha, sides) - g * h, 1e-3 * g * h)


@finite("v")
def mixture_bound(log_mixture: Callable[[float], float], v: float, alpha: float, largest: float = np.inf) -> float:
    """The sum `s` at which a mixture at intrinsic time `v` reaches 1/alpha, or `largest` if that is smaller.

    Raises `BadInput` for an alpha outside (0, 1), a `v` that is not finite, and a `largest` that is not above 0.
    """
    if not number("largest", largest) > 0:
        raise BadInput("largest", "above 0", largest)
    goal = -np.log(check_alpha(alpha))
    high = v if np.isinf(largest) else largest
    for _ in range(60):
        if log_mixture(high) > goal or not np.isinf(largest):
            break
        high *= 2
    if log_mixture(high) <= goal:
        return high
    return float(optimize.brentq(lambda s: log_mixture(s) - goal, 0.0, high, xtol=1e-10, rtol=1e-13))


@finite("v", "v_min", "c", "s", "eta")
def poly_stitching_bound(
    v: float, alpha: float, v_min: float, c: float = 0.0, s: float = 1.4, eta: float = 2.0
) -> float:
    """The one-sided polynomial stitched boundary of Howard et al. (2021) at intrinsic time `v`.

    It grows at the rate of the law of the iterated logarithm. `v_min`: the time from which it is tight. `c`: the scale
    of sub-gamma values, 0 for sub-Gaussian ones.
    """
    time = max(v, v_min)
    log_level = (
        s * np.log(np.log(eta * time / v_min)) + np.log(special.zeta(s) / np.log(eta) ** s) - np.log(check_alpha(alpha))
    )
    k1, k2 = (eta**0.25 + eta**-0.25) / np.sqrt(2), (np.sqrt(eta) + 1) / 2
    jump = k2 * c * log_level
    return float(np.sqrt(k1**2 * time * log_level + jump**2) + jump)


@finite("t", "t_min", "a")
def empirical_process_bound(t: int, alpha: float, t_min: int, a: float = 0.85) -> float:
    """The largest distance of an empirical distribution function of `t` values from the true one.

    It holds for all values and at all times from `t_min` on, with probability 1 - alpha; infinite for `t` < `t_min`.
    Source: Howard and Ramdas (2022).
    """
    if t < t_min:
        return np.inf

    def error(c: float) -> float:
        def of_eta(eta: float) -> float:
            power = 2 / eta * (a - np.sqrt(2 * (eta - 1) / c)) ** 2
            if power <= 1:
                return np.inf
            return float(4 * np.exp(-power * c) * (1 + 1 / ((power - 1) * np.log(eta))))

        last = optimize.brentq(lambda eta: np.sqrt(eta / 2) + np.sqrt(2 * (eta - 1) / c) - a, 1.0, 2 * a * a)
        optimum = optimize.minimize_scalar(
            of_eta, bounds=(1.0 + 1e-12, last), method="bounded", options={"xatol": 1e-10}
        )
        return float(optimum.fun)

    c = optimize.brentq(lambda c: np.log(min(error(c), 1e300)) - np.log(check_alpha(alpha)), 3.0, 100.0)
    return float(a * np.sqrt((np.log1p(np.log(t / t_min)) + c) / t))


@finite("quantile", "t", "t_best", "delta", "s", "eta")
def double_stitching_bound(
    quantile: float, t: float, alpha: float, t_best: float, delta: float = 0.5, s: float = 1.4, eta: float = 2.0
) -> float:
    """The largest distance of the count of values below their `quantile`, among `t` values, from its mean.

    It holds for all quantiles and times at once, with probability 1 - alpha. Raises `BadInput` for a quantile outside
    (0, 1). Source: Howard and Ramdas (2022).
    """
    if not 0 < quantile < 1:
        raise BadInput("quantile", "between 0 and 1", quantile)
    time = max(t, t_best)
    logit = special.logit(quantile)
    near = quantile
    if quantile < 0.5:
        near = min(0.5, float(special.expit(logit + 2 * delta * np.sqrt(t_best * eta / time))))
    variance = near * (1 - near)
    cell = np.sqrt(time / t_best) * abs(logit) / (2 * delta) + 1
    zeta = special.zeta(s)
    log_level = s * (np.log(np.log(eta * time / t_best)) + np.log(cell)) + np.log(
        2 * zeta * (2 * zeta + 1) / (check_alpha(alpha) * np.log(eta) ** s)
    )
    k1, k2 = (eta**0.25 + eta**-0.25) / np.sqrt(2), (np.sqrt(eta) + 1) / 2
    jump = k2 * (1 - 2 * quantile) / 3 * log_level
    stitched = np.sqrt(k1**2 * variance * time * log_level + jump**2) + jump
    return float(delta * np.sqrt(eta * time * variance / t_best) + stitched)
