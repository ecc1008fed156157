"""confseq's boundaries and sequences, Spotify's bounds of planned looks, simulated error rates."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import stats

from flyball.statistics import (
    best_rho,
    bet,
    beta_binomial_log_mixture,
    beta_binomial_r,
    betting_interval,
    crossing_probabilities,
    double_stitching_bound,
    empirical_process_bound,
    gamma_exponential_log_mixture,
    gamma_poisson_log_mixture,
    mixture_bound,
    normal_log_mixture,
    normal_mixture_bound,
    plan_betting,
    poly_stitching_bound,
    quantile_difference_log_e,
    rate_interval,
    sequence_r2,
    sequence_reach,
    spending_bounds,
)
from published.lines import Line, absent, agrees, many


def confseq(known: dict[str, Any]) -> Iterator[Line]:
    """Boundaries, quantiles of two arms, rates; stakes predicted on the way and finite populations are not offered."""
    for (name, _, expected), our in zip(known["cases"], confseq_boundaries(), strict=True):
        yield Line(name, expected, float(our), known["abs_tol"])
    for quantile, offset, p in known["quantile_ab_p_value"]["cases"]:
        a, b = np.arange(1, 1001), np.arange(offset + 1, offset + 1001)
        our = float(np.exp(-quantile_difference_log_e(a, b, quantile, 100)))
        yield Line(f"{quantile:g} quantile moved by {offset}, p", p, our)
    for successes, trials, alpha, n_best, low, high in known["bernoulli_confidence_interval"]["cases"]:
        ends = [float(end) for end in rate_interval(successes, trials, alpha, n_best)]
        yield from many(f"rate of {successes} in {trials}, interval", [low, high], ends, 2e-6)
    for alpha in (0.05, 0.1):
        first = float(np.sqrt(8 * np.log(1 / alpha) / np.log(2)))
        why = "stakes are fixed before the start, so that looks merge; confseq predicts them from the values before"
        yield absent(f"predicted stakes, first at {alpha:g}", first, why)
    yield absent("without replacement, low after 100", 1.0, "units are taken from no finite population")
    values = np.random.default_rng(0).random(400)
    ends = [betting_interval(plan := plan_betting(0, 1, 400, 0.3, alpha), bet(plan, values)) for alpha in (0.01, 0.1)]
    yield agrees("intervals nested in alpha", ends[0][0] <= ends[1][0] <= ends[1][1] <= ends[0][1])
    yield agrees("the wealth crosses 1 / alpha with alpha at most", wealth_crossings() <= 0.1)


def wealth_crossings() -> float:
    """The share of 500 runs of 1,000 values whose wealth against the true mean reaches 10, ever."""
    plan = plan_betting(0.0, 1.0, 1_000, 0.4, 0.1, [0.0, 0.2, 1.0])
    values = (np.random.default_rng(1).random((500, 1_000)) < 0.2).astype(float)
    stakes, weights = np.array(plan.stakes)[:, None, None], np.array(plan.weights)[:, None, None]
    wealth = (weights * np.exp(np.cumsum(np.log1p(stakes * (values - 0.2)), axis=2))).sum(axis=0)
    return float((wealth.max(axis=1) >= 10).mean())


def confseq_boundaries() -> list[float]:
    """The 19 values of its unit tests, in their order."""
    two, one = (best_rho(100, 0.05, sides) for sides in (2, 1))
    r_two, r_one = (beta_binomial_r(100, 0.05, 0.2, 0.8, sides) for sides in (2, 1))
    single = float(one)

    def binomial(s: float, r: Any, sides: int) -> float:
        return float(beta_binomial_log_mixture(s, 100, r, 0.2, 0.8, sides))

    return [
        float(two),
        float(normal_log_mixture(10, 100, two)),
        float(normal_mixture_bound(100, 0.05, two)),
        float(normal_log_mixture(10, 100, one, 1)),
        float(normal_mixture_bound(100, 0.05, one, 1)),
        gamma_exponential_log_mixture(10, 100, single, 2),
        mixture_bound(lambda s: gamma_exponential_log_mixture(s, 100, single, 2), 100, 0.05),
        gamma_poisson_log_mixture(10, 100, single, 2),
        mixture_bound(lambda s: gamma_poisson_log_mixture(s, 100, single, 2), 100, 0.05),
        binomial(10, r_two, 2),
        mixture_bound(lambda s: binomial(s, r_two, 2), 100, 0.05, 100 / 0.2),
        binomial(10, r_one, 1),
        mixture_bound(lambda s: binomial(s, r_one, 1), 100, 0.05, 100 / 0.2),
        poly_stitching_bound(100, 0.05, 10, 3),
        poly_stitching_bound(100, 0.05, 10, -1),
        empirical_process_bound(1000, 0.05, 100),
        double_stitching_bound(0.5, 1000, 0.05, 100),
        double_stitching_bound(0.9, 1000, 0.05, 100),
        double_stitching_bound(0.1, 1000, 0.05, 100),
    ]


def spotify_bounds(known: dict[str, Any]) -> Iterator[Line]:
    """Bounds of 181 and 196 looks, and of units beyond the plan."""
    why = (
        "their second bound stays at 8 with 5.6e-8 left to spend, and their grid is coarser; ours spends alpha exactly"
    )
    for case in known["cases"]:
        t = np.array(case["information_fractions"])
        found = spending_bounds(t, known["alpha"], "quadratic")
        yield from many(f"{case['name']}, look", case["expected_z_bounds"], found.tolist(), 1e-3, why)
        above, below = crossing_probabilities(t, found)
        spent, planned = float(above.sum() + below.sum()), known["alpha"] * float(t[-1]) ** 2
        yield Line(f"{case['name']}, alpha spent by our bounds", planned, spent, 1e-5, relative=True)
    case = known["adjusted_alpha"]
    units = np.array(case["count_1"]) + np.array(case["count_2"])
    bounds = spending_bounds(units / units[-1], case["alpha"], "quadratic")
    yield from many("beyond the plan, look", case["expected"], (2 * stats.norm.sf(bounds)).tolist(), case["atol"])


def error_rates(known: dict[str, Any]) -> Iterator[Line]:
    """Simulated error rates, beside ours by summing over all paths of a Brownian motion: exact, without simulation."""
    for looks in (1, 5, 10, 20, 100):
        t = np.arange(1, looks + 1) / looks
        above, below = crossing_probabilities(t, np.full(looks, stats.norm.isf(0.025)))
        yield Line(
            f"Welch at {looks} looks, errs", known[f"fixed z FPR, {looks} looks"], float((above + below).sum()), 0.02
        )
    t = np.arange(1, 101) / 100
    for n_best in (1_000, 5_000, 10_000):
        bounds = sequence_reach(1.0, t * 10_000, 0.05, sequence_r2(0.05, n_best))
        above, below = crossing_probabilities(t, bounds)
        theirs = known[f"asymptotic CS FPR, 100 looks, N*={n_best}"]
        yield Line(f"sequence of n_best {n_best}, errs", theirs, float((above + below).sum()), 0.01)
        for effect in (0.03, 0.05):
            theirs = known[f"asymp CS power at n=10000, effect {effect} sd, N*={n_best}"]
            found = float(crossing_probabilities(t, bounds, drift=effect * 100)[0].sum())
            yield Line(f"sequence of n_best {n_best}, finds {effect}", theirs, found, 0.03)
    for alpha in (0.01, 0.001):
        bound = np.full(30, stats.norm.isf(alpha / 2))
        found = float(sum(side.sum() for side in crossing_probabilities(np.arange(1, 31) / 30, bound)))
        theirs = known[f"SRM chi2 checked daily 30 days at {alpha}: P(any false alarm)"]
        yield Line(f"chi-square daily for 30 days at {alpha:g}, errs", theirs, found, 0.01)
