"""Interleaving: compares rankers by the clicks on one list made from theirs.

Source: Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput
from flyball.statistics.bounded import BettingPlan, Wealth, bet, betting_interval, betting_log_e, plan_betting
from flyball.statistics.checks import doubles
from flyball.statistics.inference import Inference


def team_credit(teams: Sequence[int], clicks: Mapping[int, float] | Sequence[int], rankers: int = 2) -> list[float]:
    """What each ranker earned: clicks (or their values, by position from 0) on its own items.

    >>> team_credit([0, 1, 1], [1, 2])
    [0.0, 2.0]
    """
    credit = [0.0] * rankers
    values = clicks if isinstance(clicks, Mapping) else dict.fromkeys(clicks, 1.0)
    for position, value in values.items():
        if not 0 <= position < len(teams):
            raise BadInput("click", f"at a position from 0 to {len(teams) - 1}", position)
        credit[teams[position]] += value
    return credit


def unit_preference(credit_a: ArrayLike, credit_b: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Of each unit (user), from all its lists together: (b - a) / (a + b), in [-1, 1]; 0 without credit.

    Users are independent, their queries are not: the test is over users.
    """
    a, b = doubles("credit of a", credit_a, 0.0), doubles("credit of b", credit_b, 0.0)
    total = a + b
    return np.divide(b - a, total, out=np.zeros_like(total), where=total > 0)


def plan_interleaving(n_best: float, sd: float = 0.7, alpha: float = 0.05) -> BettingPlan:
    """Fix the constants: `n_best` units at which the interval is narrowest, `sd` of a unit's preference as guessed."""
    fine = np.sinh(np.linspace(-4, 4, 401)) / np.sinh(4)
    return plan_betting(-1.0, 1.0, n_best, sd, alpha, np.unique(np.concatenate([fine, [0.0]])))


def interleaving_wealth(plan: BettingPlan, preferences: ArrayLike) -> Wealth:
    """The state after these units, each entered once; merges."""
    return bet(plan, preferences)


def infer_interleaving(plan: BettingPlan, wealth: Wealth) -> Inference:
    """Which ranker users prefer, at this look: the mean of the units' preferences, above 0 for b."""
    low, high = betting_interval(plan, wealth)
    log_e = betting_log_e(plan, wealth)[int(np.abs(np.array(plan.candidates)).argmin())]
    return Inference(
        "interleaving, betting confidence sequence",
        "anytime",
        wealth.mean if wealth.count else 0.0,
        low,
        high,
        min(1.0, float(np.exp(-log_e))),
        plan.alpha,
        wealth.count,
        wealth.count,
        missing="" if wealth.count else "units that clicked",
        constants={"alpha": plan.alpha, "n_best": plan.n_best, "sd": plan.sd},
    )


def harvest_position_bias(
    positions: ArrayLike, others: ArrayLike, clicks: ArrayLike
) -> dict[tuple[int, int], tuple[float, int, int]]:
    """Relative examination of positions, from items that drafts showed at different places by chance.

    For each answer's item: `positions` where it was shown, `others` where the other order would have shown it, and
    whether it was clicked. Returns {(k, k'): (click rate at k over that at k', shown at k, shown at k')} for items that
    could have been at either (intervention harvesting: Agarwal et al., WSDM 2019). Needs no assumption on relevance.
    """
    at, other = np.asarray(positions, dtype=np.int64), np.asarray(others, dtype=np.int64)
    clicked = doubles("clicks", clicks, 0.0, 1.0)
    ratios: dict[tuple[int, int], tuple[float, int, int]] = {}
    for k, k_other in sorted(
        {(min(p, q), max(p, q)) for p, q in zip(at.tolist(), other.tolist(), strict=True) if p != q}
    ):
        at_k, at_other = (at == k) & (other == k_other), (at == k_other) & (other == k)
        if at_k.any() and at_other.any() and clicked[at_other].sum() > 0:
            ratio = float(clicked[at_k].mean() / clicked[at_other].mean())
            ratios[(k, k_other)] = (ratio, int(at_k.sum()), int(at_other.sum()))
    return ratios
