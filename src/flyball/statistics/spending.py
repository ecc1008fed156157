"""Group-sequential tests: a declared horizon, planned looks, alpha spent as information comes in.

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
from flyball.statistics.checks import check_alpha, check_side
from flyball.statistics.contrasts import Contrast
from flyball.statistics.fixed import _null
from flyball.statistics.inference import Inference

NO_STOP = 8.0
"""The bound of a look that has almost nothing to spend: crossed once in 10^15."""


def obrien_fleming(t: Doubles, alpha: float) -> Doubles:
    """Little early, almost all at the end: 2 - 2 Φ(z(alpha/2) / √t), with the alpha of one side."""
    return np.asarray(2 * stats.norm.sf(stats.norm.isf(alpha / 2) / np.sqrt(np.maximum(t, 1e-12))))


def pocock(t: Doubles, alpha: float) -> Doubles:
    """About the same bound at every look: alpha ln(1 + (e - 1) t)."""
    return np.asarray(alpha * np.log1p((e - 1) * t))


def quadratic(t: Doubles, alpha: float) -> Doubles:
    """alpha t², of the power family of Kim and DeMets (1987)."""
    return np.asarray(alpha * t**2)


SPENDING: dict[str, Callable[[Doubles, float], Doubles]] = {
    "obrien_fleming": obrien_fleming,
    "pocock": pocock,
    "quadratic": quadratic,
}
"""{name: how much of alpha is spent once a share t of the information is in}; two-sided, each side spends alpha / 2.

For O'Brien-Fleming it matters: the other convention, 2 - 2 Φ(z(alpha/2) / √t) for both sides together, has 4.383
instead of 4.877 as the first of five bounds. Ours is that of gsDesign, rpact and ldbounds.
"""


class GroupSequentialPlan(msgspec.Struct, frozen=True):
    """Planned looks with their bounds on |z| (or on z, one-sided), fixed before the start.

    `units`: of both arms at the last look. `fractions`: shares of them at each look, the last 1.
    """

    units: float
    fractions: tuple[float, ...]
    bounds: tuple[float, ...]
    alpha: float
    spending: str
    side: str = "two"


def plan_looks(
    units: float, looks: int | Sequence[float], alpha: float = 0.05, spending: str = "obrien_fleming", side: str = "two"
) -> GroupSequentialPlan:
    """Bounds for `looks` equal steps, or at the given shares of `units`.

    Raises `BadInput` for shares that do not rise to 1 and for an unknown spending function.

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


def spending_bounds(
    fractions: Sequence[float] | Doubles, alpha: float = 0.05, spending: str = "obrien_fleming", side: str = "two"
) -> Doubles:
    """The bound on |z| at each information fraction: alpha is spent as the spending function says, alpha / 2 a side."""
    check_alpha(alpha)
    if spending not in SPENDING:
        raise BadInput("spending", f"one of {', '.join(SPENDING)}", spending)
    t = _checked_fractions(fractions)
    goals = 2 * SPENDING[spending](t, alpha / 2) if side == "two" else SPENDING[spending](t, alpha)
    spend = np.diff(goals, prepend=0.0)
    bounds = np.full(len(t), NO_STOP)
    walk = _Walk(symmetric=side == "two")
    for look, time in enumerate(t):
        # what a look could not spend below the cap is too little to matter and is not carried on
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
    """Nodes and weights on [-1, 1], of sizes 40, 48, 57, ... so that few are computed."""
    count = 40
    while count < min(fewest, 3000):
        count = int(count * 1.2)
    return _gauss_legendre(count)


class _Walk:
    """The density of a Brownian motion with `drift` that has not crossed yet, on Gauss-Legendre nodes."""

    def __init__(self, symmetric: bool, drift: float = 0.0) -> None:
        self.symmetric, self.drift = symmetric, drift
        self.time = 0.0
        self.nodes, self.mass = np.zeros(1), np.ones(1)

    def tails(self, time: float, z: float) -> tuple[float, float]:
        """The probability to be above z and below -z (0 one-sided) at `time`, not having crossed before."""
        step = np.sqrt(time - self.time)
        at = self.nodes + self.drift * (time - self.time)
        edge = z * np.sqrt(time)
        above = float(self.mass @ special.ndtr((at - edge) / step))
        return above, float(self.mass @ special.ndtr((-edge - at) / step)) if self.symmetric else 0.0

    def crossing(self, time: float, z: float) -> float:
        return sum(self.tails(time, z))

    def go_on(self, time: float, z: float, following: float | None) -> None:
        """Past a look at `time` with bound z; `following` is the time of the next one."""
        if following is None:
            return
        edge = z * np.sqrt(time)
        low = -edge if self.symmetric else min(0.0, self.drift * time) - NO_STOP * np.sqrt(time)
        # the kernel of the next step is a normal density: 1.8 nodes for each of its widths integrate it to 1e-9
        points, weights = _nodes(1.8 * (edge - low) / np.sqrt(following - time) + 24)
        nodes = low + (points + 1) * (edge - low) / 2
        step = np.sqrt(time - self.time)
        distance = (nodes[:, None] - self.nodes - self.drift * (time - self.time)) / step
        density = (np.exp(-0.5 * distance**2) @ self.mass) / (step * np.sqrt(2 * np.pi))
        self.nodes, self.mass, self.time = nodes, density * weights * (edge - low) / 2, time


def crossing_probabilities(
    fractions: Sequence[float] | Doubles, bounds: Sequence[float] | Doubles, drift: float = 0.0, side: str = "two"
) -> tuple[Doubles, Doubles]:
    """(above, below): the probability to cross first at each look, at `drift` = effect / se at information 1."""
    t = _checked_fractions(fractions)
    walk = _Walk(side == "two", drift)
    chances = []
    for look, time in enumerate(t):
        chances.append(walk.tails(time, float(bounds[look])))
        walk.go_on(time, float(bounds[look]), t[look + 1] if look + 1 < len(t) else None)
    above, below = np.array(chances).T
    return above, below


def group_sequential(
    contrast: Contrast,
    plan: GroupSequentialPlan,
    margin: float = 0.0,
    higher_is_better: bool = True,
    looks: Sequence[float] | None = None,
) -> Inference:
    """The comparison at this look.

    `looks`: the units at which the looks before this one were taken. Units rarely come in the planned portions: this
    look counts as soon as another planned share is reached, and its bound is that of the share which really is in (Lan
    and DeMets 1983). When not given, looks were taken exactly as planned. Otherwise `missing` says what to wait for, or
    that the last look was taken. The interval is the repeated confidence interval: effect ± bound x se. p is that of
    this look alone. Raises `BadInput` for looks that do not rise below the present units.
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
    z = (contrast.effect - null) / contrast.se
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
