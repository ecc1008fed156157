"""Group-sequential tests: planned looks up to a declared number of units; alpha is spent as information arrives.

Sources: Lan and DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 1983; the recursion over
looks, Armitage, McPherson and Rowe, JRSS A 1969; Jennison and Turnbull, "Group Sequential Methods", 2000, chapter 19.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from math import e

import msgspec
import numpy as np
from scipy import optimize, special, stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, check_side, finite, number_array
from flyball.statistics.contrasts import Contrast, standardized
from flyball.statistics.fixed import _null
from flyball.statistics.inference import Inference

NO_STOP = 8.0
"""The bound of a look with almost no alpha to spend; it is crossed with a probability of 1e-15."""


def obrien_fleming(t: Doubles, alpha: float) -> Doubles:
    """2 - 2 Φ(z(alpha/2) / √t), with the alpha of one side: little at early looks, almost all at the last ones."""
    return np.asarray(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / np.sqrt(np.maximum(t, 1e-12))))


def pocock(t: Doubles, alpha: float) -> Doubles:
    """alpha ln(1 + (e - 1) t): about the same bound at every look."""
    return np.asarray(alpha * np.log1p((e - 1) * t))


def quadratic(t: Doubles, alpha: float) -> Doubles:
    """alpha t², of the power family of Kim and DeMets (1987)."""
    return np.asarray(alpha * t**2)


SPENDING: dict[str, Callable[[Doubles, float], Doubles]] = {
    "obrien_fleming": obrien_fleming,
    "pocock": pocock,
    "quadratic": quadratic,
}
"""{name: function from information fractions t and alpha to the alpha spent by t}; each of two sides spends alpha / 2.

This convention, also that of gsDesign, rpact and ldbounds, matters for O'Brien-Fleming. With the other one,
2 - 2 Φ(z(alpha/2) / √t) for both sides together, the first of five bounds is 4.383 instead of 4.877.
"""


class GroupSequentialPlan(msgspec.Struct, frozen=True):
    """Planned looks and their bounds on |z| (one-sided: on z), fixed before the start.

    `units`: of both arms at the last look. `fractions`: the share of `units` at each look; the last is 1.
    """

    units: float
    fractions: tuple[float, ...]
    bounds: tuple[float, ...]
    alpha: float
    spending: str
    side: str = "two"


@finite("units", "looks")
def plan_looks(
    units: float, looks: int | Sequence[float], alpha: float = 0.05, spending: str = "obrien_fleming", side: str = "two"
) -> GroupSequentialPlan:
    """A plan of `looks` equally spaced looks, or of looks at the given shares of `units`.

    Raises `BadInput` for shares that do not rise to 1, an unknown spending function or side, or alpha outside (0, 1).

    >>> [round(bound, 3) for bound in plan_looks(10_000, 5).bounds]
    [4.877, 3.357, 2.68, 2.29, 2.031]
    """
    fractions = np.arange(1, looks + 1) / looks if isinstance(looks, int) else np.asarray(looks, dtype=np.float64)
    if not len(fractions) or fractions[-1] != 1:
        raise BadInput("looks", "one or more, the last at a share of 1", looks)
    bounds = spending_bounds(fractions, alpha, spending, side)
    return GroupSequentialPlan(
        float(units), tuple(fractions.tolist()), tuple(bounds.tolist()), alpha, spending, check_side(side)
    )


@finite("fractions")
def spending_bounds(
    fractions: Sequence[float] | Doubles, alpha: float = 0.05, spending: str = "obrien_fleming", side: str = "two"
) -> Doubles:
    """The bound on |z| at each information fraction, shape (looks,); two-sided, each side spends alpha / 2.

    Raises `BadInput` for fractions that do not rise within (0, 1], an unknown spending function, or alpha outside
    (0, 1).
    """
    check_alpha(alpha)
    if spending not in SPENDING:
        raise BadInput("spending", f"one of {', '.join(SPENDING)}", spending)
    t = _checked_fractions(fractions)
    goals = 2 * SPENDING[spending](t, alpha / 2) if side == "two" else SPENDING[spending](t, alpha)
    spend = np.diff(goals, prepend=0.0)
    bounds = np.full(len(t), NO_STOP)
    walk = _Walk(symmetric=side == "two")
    for look, time in enumerate(t):
        # a look with less alpha than NO_STOP spends leaves it unspent: it is negligible
        if walk.crossing(time, NO_STOP) < spend[look]:
            bounds[look] = _bound_that_spends(walk, time, float(spend[look]))
        walk.go_on(time, bounds[look], t[look + 1] if look + 1 < len(t) else None)
    return bounds


def _bound_that_spends(walk: "_Walk", time: float, spend: float) -> float:
    return float(optimize.brentq(lambda z: walk.crossing(time, z) - spend, 0.0, NO_STOP, xtol=1e-9))


def _checked_fractions(fractions: Sequence[float] | Doubles) -> Doubles:
    t = np.asarray(fractions, dtype=np.float64)
    if t.ndim != 1 or not ((t > 0) & (t <= 1)).all() or not (np.diff(t) > 0).all():
        raise BadInput("information fractions", "rising within (0, 1]", fractions)
    return t


@lru_cache(maxsize=32)
def _gauss_legendre(count: int) -> tuple[Doubles, Doubles]:
    points, weights = np.polynomial.legendre.leggauss(count)
    return points, weights


def _nodes(fewest: float) -> tuple[Doubles, Doubles]:
    """At least `fewest` nodes on [-1, 1] and their weights; the sizes 40, 48, 57, ... keep the cache small."""
    count = 40
    while count < min(fewest, 3000):
        count = int(count * 1.2)
    return _gauss_legendre(count)


class _Walk:
    """The density, on Gauss-Legendre nodes, of a Brownian motion with `drift` that has not crossed a bound yet."""

    def __init__(self, symmetric: bool, drift: float = 0.0) -> None:
        self.symmetric, self.drift = symmetric, drift
        self.time = 0.0
        self.nodes, self.mass = np.zeros(1), np.ones(1)

    def tails(self, time: float, z: float) -> tuple[float, float]:
        """The probabilities to cross z first at `time`, and -z (0 if one-sided)."""
        step = np.sqrt(time - self.time)
        at = self.nodes + self.drift * (time - self.time)
        edge = z * np.sqrt(time)
        above = float(self.mass @ special.ndtr((at - edge) / step))
        return above, float(self.mass @ special.ndtr((-edge - at) / step)) if self.symmetric else 0.0

    def crossing(self, time: float, z: float) -> float:
        return sum(self.tails(time, z))

    def go_on(self, time: float, z: float, following: float | None) -> None:
        """Remove what crosses the bound z at `time`; `following` is the time of the next look, None for no other."""
        if following is None:
            return
        edge = z * np.sqrt(time)
        low = -edge if self.symmetric else min(0.0, self.drift * time) - NO_STOP * np.sqrt(time)
        # the next step convolves with a normal density: 1.8 nodes per standard deviation are exact to 1e-9
        points, weights = _nodes(1.8 * (edge - low) / np.sqrt(following - time) + 24)
        nodes = low + (points + 1) * (edge - low) / 2
        step = np.sqrt(time - self.time)
        distance = (nodes[:, None] - self.nodes - self.drift * (time - self.time)) / step
        density = (np.exp(-0.5 * distance**2) @ self.mass) / (step * np.sqrt(2 * np.pi))
        self.nodes, self.mass, self.time = nodes, density * weights * (edge - low) / 2, time


@finite("fractions", "drift")
def crossing_probabilities(
    fractions: Sequence[float] | Doubles, bounds: Sequence[float] | Doubles, drift: float = 0.0, side: str = "two"
) -> tuple[Doubles, Doubles]:
    """(above, below): the probability to cross each bound first at each look, shape (looks,) each.

    `fractions`, `bounds`: shape (looks,). `drift`: effect / se at information fraction 1. Raises `BadInput` for
    fractions that do not rise within (0, 1]. Source: Armitage, McPherson and Rowe, JRSS A 1969.
    """
    t, limits = _checked_fractions(fractions), number_array("bounds", bounds)
    if not len(t) or limits.shape != t.shape or np.isnan(limits).any():
        raise BadInput("bounds", f"a number for each of {len(t)} looks, one or more", bounds)
    walk = _Walk(side == "two", drift)
    probabilities = []
    for look, time in enumerate(t):
        probabilities.append(walk.tails(time, float(limits[look])))
        walk.go_on(time, float(limits[look]), t[look + 1] if look + 1 < len(t) else None)
    above, below = np.array(probabilities).T
    return above, below


@finite("margin")
def group_sequential(
    contrast: Contrast,
    plan: GroupSequentialPlan,
    margin: float = 0.0,
    higher_is_better: bool = True,
    looks: Sequence[float] | None = None,
) -> Inference:
    """The comparison at this look.

    `looks`: the units at which earlier looks were taken; by default those of the plan. A look is valid when it is the
    first one at or after a planned share; its bound is computed for the units that have arrived (Lan and DeMets 1983).
    Between looks and after the last one, `missing` says so. The interval is the repeated confidence interval,
    effect ± bound x se; p is not corrected for earlier looks. Raises `BadInput` for looks that do not rise below the
    present units, for a negative margin, or a standard error that is below 0 or not finite; 0 is taken as in `welch`.
    """
    null = _null(margin, higher_is_better)
    shares, share = np.array(plan.fractions), min(contrast.count / plan.units, 1.0)
    reached = int((shares <= share + 1e-9).sum())
    if looks is None:
        earlier = shares[: max(reached - 1, 0)].tolist()
        at_look = reached > 0 and (share - shares[reached - 1] < 1e-9 or reached == len(shares))
    else:
        units = [*looks, contrast.count]
        if any(later <= before for before, later in pairwise(units)) or units[0] <= 0:
            raise BadInput("looks", f"rising and below the present {contrast.count} units", list(looks))
        earlier = [min(look / plan.units, 1.0) for look in looks]
        at_look = reached > (int((shares <= earlier[-1] + 1e-9).sum()) if earlier else 0)
    if at_look:
        bound = float(spending_bounds([*earlier, share], plan.alpha, plan.spending, plan.side)[-1])
    else:
        bound = plan.bounds[min(reached, len(shares) - 1)]
    next_units = int(np.ceil(plan.units * shares[min(reached, len(shares) - 1)]))
    missing = "" if at_look else f"the next planned look is at {next_units} units"
    if looks and looks[-1] >= plan.units:
        missing = f"the last look was taken at {looks[-1]:g} units, and there is no other"
    reach = bound * contrast.se
    z = float(standardized(contrast.effect - null, contrast.se))
    p = {"two": 2 * stats.norm.sf(abs(z)), "greater": stats.norm.sf(z), "less": stats.norm.cdf(z)}[plan.side]
    return Inference(
        f"group-sequential, {plan.spending} spending",
        "planned looks",
        contrast.effect,
        -np.inf if plan.side == "less" else contrast.effect - reach,
        np.inf if plan.side == "greater" else contrast.effect + reach,
        float(p),
        plan.alpha,
        contrast.count_a,
        contrast.count_b,
        plan.side,
        contrast.relative,
        margin,
        higher_is_better,
        missing,
        {"alpha": plan.alpha, "units": plan.units, "looks": len(plan.bounds), "margin": margin, "bound": bound},
    )
