"""Interleaving: one list made of several rankers', and who earned its clicks.

Source: Radlinski, Kurup and Joachims, "How does clickthrough data reflect retrieval quality?", CIKM 2008 (team draft);
several rankers: Schuth et al., "Multileaved comparisons", CIKM 2014.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Generic, TypeVar

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from flyball.core import BadInput
from flyball.statistics.bounded import BettingPlan, Wealth, bet, betting_interval, betting_log_e, plan_betting
from flyball.statistics.checks import doubles
from flyball.statistics.inference import Inference

Item = TypeVar("Item", bound=Hashable)


class Draft(msgspec.Struct, Generic[Item], frozen=True):
    """The shown list and the ranker (its index) that each item is of; to be logged with the answer."""

    items: tuple[Item, ...]
    teams: tuple[int, ...]


def team_draft(rankings: Sequence[Sequence[Item]], size: int, rng: np.random.Generator) -> Draft[Item]:
    """Rounds in which each ranker, in random order, adds its best item not yet there, until `size` or nothing is left.

    Raises `BadInput` for fewer than two rankings or a ranking that names an item twice.

    >>> draft = team_draft([["a", "b"], ["b", "c"]], 2, np.random.default_rng(0))
    >>> sorted(draft.items), sorted(draft.teams)
    (['a', 'b'], [0, 1])
    """
    if len(rankings) < 2 or any(len(set(ranking)) < len(ranking) for ranking in rankings):
        raise BadInput("rankings", "two or more, each naming an item once", [list(ranking)[:5] for ranking in rankings])
    if size < 1:
        raise BadInput("size", "1 or more", size)
    items: list[Item] = []
    teams: list[int] = []
    shown: set[Item] = set()
    heads = [0] * len(rankings)
    while len(items) < size:
        before = len(items)
        for ranker in rng.permutation(len(rankings)).tolist():
            ranking = rankings[ranker]
            while heads[ranker] < len(ranking) and ranking[heads[ranker]] in shown:
                heads[ranker] += 1
            if heads[ranker] < len(ranking) and len(items) < size:
                item = ranking[heads[ranker]]
                items.append(item)
                teams.append(ranker)
                shown.add(item)
        if len(items) == before:
            break
    return Draft(tuple(items), tuple(teams))


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
        here, there = (at == k) & (other == k_other), (at == k_other) & (other == k)
        if here.any() and there.any() and clicked[there].sum() > 0:
            ratio = float(clicked[here].mean() / clicked[there].mean())
            ratios[(k, k_other)] = (ratio, int(here.sum()), int(there.sum()))
    return ratios
