"""Power: the smallest detectable effect and the duration of an experiment, for one look, planned looks, or any look.

`variance` is that of one unit, measured before the start. The statistic at successive looks is a Brownian motion with
drift; power is the probability that it crosses the bounds of the method, by the recursion of `spending`.
"""

from collections.abc import Callable

import msgspec
import numpy as np
from scipy import optimize, stats

from flyball.core import BadInput
from flyball.statistics.checks import check_alpha, check_positive, finite
from flyball.statistics.sequences import sequence_r2, sequence_reach
from flyball.statistics.spending import crossing_probabilities, spending_bounds

METHODS = ("fixed", "group_sequential", "anytime")


class Design(msgspec.Struct, frozen=True):
    """The design of an experiment, before its start.

    `variance`: of one unit in a, and in b unless `variance_b` is given. `method`: one of `METHODS`. `power`: the
    probability to detect the effect. `share`: the share of units that go to b. `looks`: how many, equally spaced.
    `spending`: a key of `SPENDING`, for `group_sequential`. `n_best`: for `anytime`, the units of both arms at which
    the interval is narrowest; by default the units of the calculation.
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
    """The standard error of the difference with `units` in both arms together."""
    check_positive(variance=design.variance, units=units)
    if not 0 < design.share < 1:
        raise BadInput("share", "between 0 and 1: the share of units to arm b", design.share)
    other = design.variance if design.variance_b is None else design.variance_b
    return float(np.sqrt((design.variance / (1 - design.share) + other / design.share) / units))


def _power_curve(design: Design, units: float) -> Callable[[float], float]:
    """The function from effect / se at the last look to the probability to detect the effect."""
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


@finite("effect", "units")
def power_of(design: Design, effect: float, units: float) -> float:
    """The probability to detect `effect`, in its direction, with `units` in both arms together.

    Raises `BadInput` for an unknown method, a variance or units that are not positive, or a share outside (0, 1).
    """
    return _power_curve(design, units)(abs(effect) / _se(design, units))


@finite("units")
def minimum_detectable_effect(design: Design, units: float) -> float:
    """The smallest effect that `units` in both arms together detect with the power of the design.

    Raises `BadInput` as `power_of` does.

    >>> round(minimum_detectable_effect(Design(variance=1.0), 6280), 4)
    0.0707
    """
    power = _power_curve(design, units)
    drift = optimize.brentq(lambda drift: power(drift) - design.power, 0.0, 30.0, xtol=1e-8)
    return float(drift * _se(design, units))


@finite("effect", "margin")
def units_needed(design: Design, effect: float, margin: float = 0.0) -> int:
    """The units in both arms together that detect `effect` with the power of the design.

    `margin`: for non-inferiority, the acceptable loss, added to the effect. Raises `BadInput` as `power_of` does, and
    for an effect of 0.

    >>> units_needed(Design(variance=100.0, power=0.85), 0.3)
    39904
    """
    goal = abs(effect + margin)
    check_positive(effect=goal)
    if design.method == "anytime" and design.n_best is not None:
        log_units = optimize.brentq(lambda log: power_of(design, goal, float(np.exp(log))) - design.power, 0.0, 40.0)
        return int(np.ceil(np.exp(log_units)))
    # without an n_best of its own, the drift that reaches the power does not depend on the units
    reached = minimum_detectable_effect(design, 1e6)
    return int(np.ceil(1e6 * (reached / goal) ** 2))


@finite("effect", "margin")
def days_needed(design: Design, effect: float, units_a_day: float, margin: float = 0.0) -> float:
    """The days until `units_needed` units have arrived, at `units_a_day` in both arms together.

    Raises `BadInput` as `units_needed` does, and for `units_a_day` that is not positive.
    """
    check_positive(units_a_day=units_a_day)
    return units_needed(design, effect, margin) / units_a_day


@finite("arms", "costs")
def best_shares(arms: int, costs: tuple[float, ...] | None = None, all_pairs: bool = False) -> tuple[float, ...]:
    """The shares of units, shape (arms,), that make comparisons with the first arm narrowest for a given cost.

    With equal variances the control gets sqrt(arms - 1) times the share of a treatment (Dunnett, JASA 1955), and all
    arms get the same if `all_pairs` are compared. `costs`: the cost of a unit in each arm; a share is proportional to
    1 / sqrt(cost). Raises `BadInput` for fewer than two arms or a cost that is not positive.

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
