"""Detects that the mean of a stream rose above that of a baseline, with a stated time between false alarms.

An e-detector: for every possible start of a change, the wealth of bets that values exceed the baseline's mean; their
sum, over all starts, is compared with the run length. Without a change the expected number of values until an alarm is
at least that, whatever the distribution, since wealth has an expectation of at most 1 while the mean is at most the
bound that was bet against. The baseline is learned: the bound is the upper end of an interval for its mean.

Source: Shin, Ramdas and Rinaldo, "E-detectors: a nonparametric framework for sequential change detection", New England
Journal of Statistics in Data Science 2024 (arXiv 2203.03532); the sum over starts is that of Shiryaev and Roberts.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput, Doubles
from flyball.statistics.bounded import bet, betting_interval, plan_betting
from flyball.statistics.checks import check_alpha, check_positive, doubles, finite

_RISES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""The rises of the mean, in standard deviations of the baseline, for each of which one bet is best."""
_LARGEST_STAKE = 0.9
_FEWEST = 30
_CANDIDATES = 401


class DetectorPlan(Struct, frozen=True):
    """What is fixed before the stream begins.

    `bound`: the mean that the stream is held against. `low`, `high`: the range that values are cut to. `stakes`: of the
    bets, in 1 over the unit of the values. `run_length`: the expected number of values until a false alarm, at least.
    """

    bound: float
    low: float
    high: float
    stakes: tuple[float, ...]
    run_length: float


class DetectorState(Struct, frozen=True):
    """How far a stream has come: the log of the wealth of each bet, summed over all starts; `count` values so far."""

    log_wealth: tuple[float, ...] = ()
    count: int = 0


@finite("high", "low")
def plan_detector(
    baseline: ArrayLike, *, run_length: float = 100_000, low: float = 0.0, high: float = 1.0, alpha: float = 0.05
) -> DetectorPlan:
    """The plan of a detector, from the values of a time when all was well, shape (n,) with n of 30 or more.

    `low`, `high`: the range of values, such as 0 and 1 of errors; values beyond are cut to it, in the stream, too.
    `alpha`: the probability that the baseline was so lucky that its bound is too low. Raises `BadInput` for too few
    values or a range without width.
    """
    check_positive(run_length=run_length)
    check_alpha(alpha)
    if not low < high:
        raise BadInput("range of values", "from a low to a higher number", (low, high))
    values = np.clip(doubles("baseline", baseline).ravel(), low, high)
    if len(values) < _FEWEST:
        raise BadInput("values of the baseline", f"{_FEWEST} or more", len(values))
    scaled = (values - low) / (high - low)
    bound = _upper_bound(scaled, alpha)
    deviation = max(float(scaled.std()), 1 / len(scaled))
    stakes = tuple(min(rise / deviation, _LARGEST_STAKE / bound) for rise in _RISES)
    width = high - low
    return DetectorPlan(low + bound * width, low, high, tuple(stake / width for stake in stakes), float(run_length))


def _upper_bound(scaled: Doubles, alpha: float) -> float:
    """The upper end of an interval of one side for the mean of values within [0, 1]."""
    if np.isin(scaled, (0.0, 1.0)).all():
        ones = int(scaled.sum())
        return float(stats.beta.ppf(1 - alpha, ones + 1, len(scaled) - ones)) if ones < len(scaled) else 1.0
    some = scaled[: max(_FEWEST // 3, len(scaled) // 10)]  # a guess of the deviation from values before the others
    deviation = max(float(some.std()), 1 / len(scaled))
    reach = 10 * max(float(scaled.std()), 1 / len(scaled)) / np.sqrt(len(scaled))
    candidates = np.clip(scaled.mean() + reach * np.linspace(-1, 1, _CANDIDATES), 0.0, 1.0)
    plan = plan_betting(0.0, 1.0, len(scaled), deviation, 2 * alpha, np.unique(candidates))
    return betting_interval(plan, bet(plan, scaled))[1]


def detect(
    plan: DetectorPlan, values: ArrayLike, state: DetectorState | None = None
) -> tuple[DetectorState, list[int]]:
    """(the state behind `values`, the positions of alarms in the stream); after an alarm the detector starts again.

    `values`: shape (n,), further values of the stream; positions count from its beginning, 0.

    >>> plan = plan_detector([0.0, 1.0] * 50, run_length=1_000)
    >>> state, alarms = detect(plan, [0.0, 1.0] * 100 + [1.0] * 20)
    >>> len(alarms), alarms[0] >= 200, state.count
    (1, True, 220)
    """
    before = state or DetectorState()
    bets = np.array(plan.stakes)
    new = np.clip(doubles("values", values).ravel(), plan.low, plan.high)
    gains = np.log1p(bets[:, None] * (new - plan.bound))
    limit = float(np.log(plan.run_length * len(bets)))
    wealth = np.array(before.log_wealth) if before.log_wealth else np.full(len(bets), -np.inf)
    alarms, start = list[int](), 0
    while start < len(new):
        path = _log_wealth(wealth, gains[:, start:])
        above = np.flatnonzero(np.logaddexp.reduce(path, axis=0) >= limit)
        if not len(above):
            wealth = path[:, -1]
            break
        start += int(above[0]) + 1
        alarms.append(before.count + start - 1)
        wealth = np.full(len(bets), -np.inf)
    return DetectorState(tuple(wealth.tolist()), before.count + len(new)), alarms


def _log_wealth(wealth: Doubles, gains: Doubles) -> Doubles:
    """Log W of each bet after each value, where W becomes (1 + W) times the value's gain; shape (bets, values)."""
    ends = np.cumsum(gains, axis=1)
    starts = np.concatenate([np.logaddexp(0.0, wealth)[:, None], -ends[:, :-1]], axis=1)
    return np.asarray(ends + np.logaddexp.accumulate(starts, axis=1))
