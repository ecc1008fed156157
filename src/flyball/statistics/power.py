"""Power: the smallest detectable effect and the duration, for one look, planned looks, and every look.

`variance` is that of one unit, as seen live before the start. Looks are steps of a Brownian motion: power is the
probability that it crosses the bounds of the method, by the recursion of `spending`.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from scipy import optimize, stats

from flyball.core import BadInput
from flyball.statistics.checks import check_alpha, check_positive
from flyball.statistics.sequences import sequence_r2, sequence_reach
from flyball.statistics.spending import crossing_probabilities, spending_bounds

METHODS = ("fixed", "group_sequential", "anytime")


class Design(msgspec.Struct, frozen=True):
    """What is known before the start.

    `variance`: of one unit in a; `variance_b` where b differs. `share`: of units to b. `looks`: equally spaced ones.
    `spending`: of the group-sequential plan. `n_best`: units that the anytime sequence is tuned to; those asked about
    when not given.
    """

    variance: float
    method: str = "fixed"
    alpha: float = 0.05
    power: float = 0.8
    share: float = 0.5
    looks: int = 20
    spending: str = "obrien_fleming"
    side: str = "two"
    variance_b: float | None = None
    n_best: float | None = None


def _se(design: Design, units: float) -> float:
    """Of the difference once `units` of both arms are in."""
    check_positive(variance=design.variance, units=units)
    if not 0 < design.share < 1:
        raise BadInput("share", "between 0 and 1: the share of units to arm b", design.share)
    other = design.variance if design.variance_b is None else design.variance_b
    return float(np.sqrt((design.variance / (1 - design.share) + other / design.share) / units))


def _chance(design: Design, units: float) -> Callable[[float], float]:
    """{effect / se at the end: probability to find it}."""
    check_alpha(design.alpha)
    tail = design.alpha / (2 if design.side == "two" else 1)
    if design.method == "fixed":
        z = float(stats.norm.isf(tail))
        return lambda drift: float(stats.norm.sf(z - drift))
    fractions = np.arange(1, design.looks + 1) / design.looks
    if design.method == "group_sequential":
        bounds = spending_bounds(fractions, design.alpha, design.spending, design.side)
    elif design.method == "anytime":
        r2 = sequence_r2(design.alpha, units if design.n_best is None else design.n_best, design.side)
        bounds = sequence_reach(1.0, fractions * units, design.alpha, r2, design.side)
    else:
        raise BadInput("method", f"one of {', '.join(METHODS)}", design.method)
    return lambda drift: float(crossing_probabilities(fractions, bounds, drift, design.side)[0].sum())


def power_of(design: Design, effect: float, units: float) -> float:
    """The probability to find `effect` (in its direction) with `units` of both arms."""
    return _chance(design, units)(abs(effect) / _se(design, units))


def minimum_detectable_effect(design: Design, units: float) -> float:
    """The effect found with the design's power with `units` of both arms.

    >>> round(minimum_detectable_effect(Design(variance=1.0), 6280), 4)
    0.0707
    """
    chance = _chance(design, units)
    drift = optimize.brentq(lambda drift: chance(drift) - design.power, 0.0, 30.0, xtol=1e-8)
    return float(drift * _se(design, units))


def units_needed(design: Design, effect: float, margin: float = 0.0) -> int:
    """Units of both arms at which `effect` (plus `margin`, for non-inferiority) is found with the design's power.

    >>> units_needed(Design(variance=100.0, power=0.85), 0.3)
    39904
    """
    goal = abs(effect + margin)
    check_positive(effect=goal)
    if design.method == "anytime" and design.n_best is not None:
        log_units = optimize.brentq(lambda log: power_of(design, goal, float(np.exp(log))) - design.power, 0.0, 40.0)
        return int(np.ceil(np.exp(log_units)))
    # the drift at which the power is reached does not depend on the units: a sequence is then tuned to them
    reached = minimum_detectable_effect(design, 1e6)
    return int(np.ceil(1e6 * (reached / goal) ** 2))


def days_needed(design: Design, effect: float, units_a_day: float, margin: float = 0.0) -> float:
    """Days until `units_needed` have come, at `units_a_day` into both arms together."""
    check_positive(units_a_day=units_a_day)
    return units_needed(design, effect, margin) / units_a_day


def best_shares(arms: int, costs: tuple[float, ...] | None = None, all_pairs: bool = False) -> tuple[float, ...]:
    """The shares of units that make the comparisons with the first arm (or all pairs) narrowest for their cost.

    Equal variances: the control gets sqrt(arms - 1) times the share of a treatment (Dunnett 1955); with costs a unit,
    each share goes with 1 / sqrt(cost).

    >>> [round(share, 4) for share in best_shares(3)]
    [0.4142, 0.2929, 0.2929]
    """
    prices = np.ones(arms) if costs is None else np.asarray(costs, dtype=np.float64)
    if arms < 2 or prices.shape != (arms,) or not (prices > 0).all():
        raise BadInput("costs", f"above 0, one for each of {max(arms, 2)} arms or more", costs)
    ratios = 1 / np.sqrt(prices)
    if not all_pairs:
        ratios[0] *= np.sqrt(arms - 1)
    return tuple((ratios / ratios.sum()).tolist())
