"""Bounded values: confidence sequences by betting, valid at every look, from the first unit on.

For a candidate mean m, a bettor starts with a wealth of 1 and bets a share lambda of it on "values are above m". Each
value x multiplies the wealth by 1 + lambda (x - m); if m is the true mean, the wealth is a martingale. The initial
wealth is split among several bettors, whose shares are fixed before the start (a Gaussian mixture over shares, by
Gauss-Hermite nodes). When the total wealth reaches 1/alpha, m is excluded (Ville's inequality). The state is the log
wealth of each bettor at each candidate mean: a sum over values, which merges in any order.
Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", JRSS B 2024 (arXiv
2010.09686). Here shares are fixed in advance instead of predicted, so that states can merge.
"""

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, check_positive, doubles, finite
from flyball.statistics.fixed import _null
from flyball.statistics.inference import Inference
from flyball.statistics.mixtures import best_rho

_BETTORS = 24
_LARGEST_STAKE = 0.95  # as a share of the stake at which the largest possible loss would take all wealth
_CHUNK_CELLS = 2_000_000


class BettingPlan(msgspec.Struct, frozen=True):
    """The constants of a betting sequence, fixed before the start.

    `low`, `high`: the range of values. `candidates`: the means at which the wealth is stored, rising. `stakes`: the
    share lambda of each bettor, per unit of the values. `weights`: the initial wealth of each bettor, summing to 1.
    """

    low: float
    high: float
    candidates: tuple[float, ...]
    stakes: tuple[float, ...]
    weights: tuple[float, ...]
    alpha: float
    n_best: float
    sd: float


@finite("low", "high", "candidates")
def plan_betting(
    low: float, high: float, n_best: float, sd: float, alpha: float = 0.05, candidates: int | ArrayLike = 401
) -> BettingPlan:
    """Choose stakes that make the interval narrowest near `n_best` values of standard deviation `sd`.

    `sd` is a guess made before the start; a wrong one makes the interval wider but not invalid. `candidates`: the
    candidate means, or how many are spread over [low, high]. Raises `BadInput` for a `low` that is not below `high`, an
    `n_best` or `sd` that is not positive, an alpha outside (0, 1), or a candidate outside the range.
    """
    if not low < high:
        raise BadInput("low", f"below high {high:g}", low)
    check_positive(n_best=n_best, sd=sd)
    if isinstance(candidates, int):
        means = np.linspace(low, high, candidates)
    else:
        means = np.sort(doubles("candidates", candidates, low, high))
    spread = 1 / np.sqrt(float(best_rho(n_best * sd**2, check_alpha(alpha))))
    nodes, weights = special.roots_hermitenorm(_BETTORS)
    largest = _LARGEST_STAKE / (high - low)
    stakes = np.clip(nodes * spread, -largest, largest)
    return BettingPlan(
        float(low),
        float(high),
        tuple(means.tolist()),
        tuple(stakes.tolist()),
        tuple((weights / weights.sum()).tolist()),
        alpha,
        float(n_best),
        float(sd),
    )


class Wealth(msgspec.Struct, frozen=True):
    """The state after `count` values with sum `total`.

    `logs`: the log wealth of each bettor at each candidate mean, shape (bettors, means).
    """

    count: int
    total: float
    logs: Doubles

    def merge(self, other: "Wealth") -> "Wealth":
        """The wealth after the values of both states."""
        return Wealth(self.count + other.count, self.total + other.total, self.logs + other.logs)

    @property
    def mean(self) -> float:
        """The mean of the values; nan without any."""
        return self.total / self.count if self.count else float("nan")


def bet(plan: BettingPlan, values: ArrayLike) -> Wealth:
    """The wealth after `values`, shape (n,). Raises `BadInput` for a value outside the range of the plan."""
    array = doubles("values", values, plan.low, plan.high).ravel()
    means, stakes = np.array(plan.candidates), np.array(plan.stakes)
    logs = np.zeros((len(stakes), len(means)))
    rows = max(1, _CHUNK_CELLS // len(means))
    for first in range(0, len(array), rows):
        distance = array[first : first + rows, None] - means
        for bettor, stake in enumerate(stakes):
            logs[bettor] += np.log1p(stake * distance).sum(axis=0)
    return Wealth(len(array), float(array.sum()), logs)


def betting_log_e(plan: BettingPlan, wealth: Wealth) -> Doubles:
    """Log e-value against each candidate mean, shape (means,)."""
    return np.asarray(special.logsumexp(wealth.logs, axis=0, b=np.array(plan.weights)[:, None]))


def betting_interval(plan: BettingPlan, wealth: Wealth) -> tuple[float, float]:
    """The candidate means that are not excluded, extended on each side to the nearest excluded candidate.

    >>> plan = plan_betting(0.0, 1.0, n_best=100, sd=0.5, candidates=101)
    >>> low, high = betting_interval(plan, bet(plan, [0.0, 1.0] * 50))
    >>> low < 0.5 < high
    True
    """
    kept = np.flatnonzero(betting_log_e(plan, wealth) < -np.log(plan.alpha))
    if not len(kept):  # the mean is between two candidates, and both are excluded
        below = int(np.searchsorted(plan.candidates, wealth.mean)) - 1
        kept = np.array([max(below, 0), min(below + 1, len(plan.candidates) - 1)])
    first, last = max(int(kept[0]) - 1, 0), min(int(kept[-1]) + 1, len(plan.candidates) - 1)
    low = plan.low if first == 0 else plan.candidates[first]
    return low, plan.high if last == len(plan.candidates) - 1 else plan.candidates[last]


class BoundedDifference(msgspec.Struct, frozen=True):
    """The difference of two arms of bounded values, as the mean of one sequence.

    A value y of b becomes (y - center) / share, and a value y of a becomes -(y - center) / (1 - share); `share` is the
    share of units that go to b. The mean of these is the mean of b minus that of a for every `center`. The interval is
    narrow if `center` is near the mean of the values; take it from data before the start. `low`, `high`: range of y.
    """

    low: float
    high: float
    share: float
    center: float
    plan: BettingPlan

    def values(self, arm_b: ArrayLike, values: ArrayLike) -> Doubles:
        """The transformed `values` of units, shape (n,); `arm_b`: whether each unit is in b, shape (n,).

        Raises `BadInput` for a value outside [low, high].
        """
        array = doubles("values", values, self.low, self.high) - self.center
        return np.where(np.asarray(arm_b, dtype=bool), array / self.share, -array / (1 - self.share))

    def bet(self, arm_b: ArrayLike, values: ArrayLike) -> Wealth:
        """The wealth after these units, shape (n,) each; it merges with the wealth of other units."""
        return bet(self.plan, self.values(arm_b, values))

    def infer(
        self, wealth: Wealth, counts: tuple[int, int], margin: float = 0.0, higher_is_better: bool = True
    ) -> Inference:
        """The comparison at this look; `counts`: units of a and of b.

        Raises `BadInput` for a margin other than that of the plan.
        """
        null = _null(margin, higher_is_better)
        low, high = betting_interval(self.plan, wealth)
        log_e = betting_log_e(self.plan, wealth)
        index = int(np.abs(np.array(self.plan.candidates) - null).argmin())
        if abs(self.plan.candidates[index] - null) > 1e-12:
            raise BadInput("margin", "the one that the plan was made with", margin)
        beyond = wealth.mean > null if higher_is_better else wealth.mean < null
        p = min(1.0, float(np.exp(-log_e[index]))) if margin == 0 or beyond else 1.0
        constants = {"alpha": self.plan.alpha, "n_best": self.plan.n_best, "sd": self.plan.sd, "margin": margin}
        constants |= {"low": self.low, "high": self.high, "share": self.share, "center": self.center}
        return Inference(
            "betting confidence sequence",
            "anytime",
            wealth.mean,
            low,
            high,
            p,
            self.plan.alpha,
            counts[0],
            counts[1],
            margin=margin,
            higher_is_better=higher_is_better,
            missing="" if min(counts) > 0 else "units in both arms",
            constants=constants,
        )


@finite("candidates", "center", "high", "low", "margin", "sd", "share")
def plan_bounded_difference(
    low: float,
    high: float,
    n_best: float,
    sd: float,
    center: float,
    share: float = 0.5,
    alpha: float = 0.05,
    margin: float = 0.0,
    candidates: int = 401,
    widest: float | None = None,
) -> BoundedDifference:
    """Fix the constants of a `BoundedDifference`.

    `low`, `high`: the range of the values. `sd`, `center`: their standard deviation and mean, known from before the
    start. `n_best`: units of both arms at which the interval is narrowest. `share`: the share of units that go to b.
    `widest`: the `candidates` lie within ±widest (default: the whole range), among them 0 and the margin. Raises
    `BadInput` for a share outside (0, 1) or a `center` outside the range.
    """
    if not 0 < share < 1:
        raise BadInput("share", "between 0 and 1: the share of units to arm b", share)
    if not low < high or not low <= center <= high:
        raise BadInput("center", f"within [{low:g}, {high:g}]", center)
    share_a = 1 - share
    first = min((low - center) / share, -(high - center) / share_a)
    last = max((high - center) / share, -(low - center) / share_a)
    reach = min(high - low if widest is None else widest, -first, last)
    # sinh-spaced: fine near no effect, coarse far away
    inner = reach * np.sinh(np.linspace(-5, 5, candidates)) / np.sinh(5)
    means = np.unique(
        np.concatenate([[first], inner, [0.0], [x for x in (-margin, margin) if first < x < last], [last]])
    )
    spread = sd * np.sqrt(1 / share + 1 / share_a)
    return BoundedDifference(low, high, share, center, plan_betting(first, last, n_best, float(spread), alpha, means))
