"""Interleaving: rankers are compared by the clicks on one list that is made from their lists.

Source: Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput
from flyball.statistics.bounded import BettingPlan, Wealth, bet, betting_interval, betting_log_e, plan_betting
from flyball.statistics.checks import doubles, whole_number, whole_numbers
from flyball.statistics.inference import Inference


def team_credit(teams: Sequence[int], clicks: Mapping[int, float] | Sequence[int], rankers: int = 2) -> list[float]:
    """The credit of each ranker, shape (rankers,): the clicks on its items.

    `teams`: the ranker of each position. `clicks`: the clicked positions from 0, or {position: value of the click}.
    Raises `BadInput` for a click at a position that the list does not have, a team that is none of the rankers, and a
    value of a click that is not finite.

    >>> team_credit([0, 1, 1], [1, 2])
    [0.0, 2.0]
    """
    credit = [0.0] * whole_number("rankers", rankers, 1)
    if ((credited := whole_numbers("teams", teams)) >= len(credit)).any():
        raise BadInput("teams", f"numbers from 0 to {len(credit) - 1}", int(credited.max()))
    values = clicks if isinstance(clicks, Mapping) else dict.fromkeys(clicks, 1.0)
    for position, value in values.items():
        if not 0 <= position < len(teams):
            raise BadInput("click", f"at a position from 0 to {len(teams) - 1}", position)
        credit[int(credited[position])] += float(doubles("value of a click", value))
    return credit


def unit_preference(credit_a: ArrayLike, credit_b: ArrayLike) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The preference of each unit (user): (b - a) / (a + b) in [-1, 1], 0 without credit, shape (units,).

    `credit_a`, `credit_b`: the credit over all lists of the unit, shape (units,). Units are users because the lists of
    one user are not independent. Raises `BadInput` for a negative credit.
    """
    a, b = doubles("credit of a", credit_a, 0.0), doubles("credit of b", credit_b, 0.0)
    if a.shape != b.shape:
        raise BadInput("credit of b", f"of shape {a.shape}, as of a", b.shape)
    total = a + b
    return np.divide(b - a, total, out=np.zeros_like(total), where=total > 0)


def plan_interleaving(n_best: float, sd: float = 0.7, alpha: float = 0.05) -> BettingPlan:
    """Fix the constants: the interval is narrowest at `n_best` units; `sd`: a guess of the preferences' deviation."""
    fine = np.sinh(np.linspace(-4, 4, 401)) / np.sinh(4)
    return plan_betting(-1.0, 1.0, n_best, sd, alpha, np.unique(np.concatenate([fine, [0.0]])))


def interleaving_wealth(plan: BettingPlan, preferences: ArrayLike) -> Wealth:
    """The state after these units, shape (units,), each in one call only; it merges with that of other units."""
    return bet(plan, preferences)


def infer_interleaving(plan: BettingPlan, wealth: Wealth) -> Inference:
    """The mean preference of the units at this look, above 0 if they prefer ranker b; valid at every look."""
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
    """The relative examination probabilities of positions, from items whose position was random.

    Of each shown item, shape (items,): `positions`, where it was shown; `others`, where the other order of rankers
    would have shown it; `clicks`, whether it was clicked. Returns {(k, k'): (click rate at k divided by that at k',
    items shown at k, items shown at k')} over the items that could have been at k or k'. No assumption on relevance is
    needed. Raises `BadInput` for positions that are no whole numbers from 0. Source: Agarwal et al., "Estimating
    position bias without intrusive interventions", WSDM 2019.
    """
    at, other = whole_numbers("positions", positions), whole_numbers("other positions", others)
    clicked = doubles("clicks", clicks, 0.0, 1.0)
    if not at.ndim == 1 or not at.shape == other.shape == clicked.shape:
        raise BadInput("positions, others and clicks", "of one shape (items,)", [at.shape, other.shape, clicked.shape])
    ratios: dict[tuple[int, int], tuple[float, int, int]] = {}
    for k, k_other in sorted(
        {(min(p, q), max(p, q)) for p, q in zip(at.tolist(), other.tolist(), strict=True) if p != q}
    ):
        at_k, at_other = (at == k) & (other == k_other), (at == k_other) & (other == k)
        if at_k.any() and at_other.any() and clicked[at_other].sum() > 0:
            ratio = float(clicked[at_k].mean() / clicked[at_other].mean())
            ratios[(k, k_other)] = (ratio, int(at_k.sum()), int(at_other.sum()))
    return ratios
