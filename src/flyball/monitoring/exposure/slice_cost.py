"""What the randomized slice costs: how much less often something is taken from its lists."""

import numpy as np
from msgspec import Struct

from flyball.core import Doubles
from flyball.evaluation import Estimate, interval_of, resample_weights
from flyball.monitoring.exposure.lists import ShownLists

_RESAMPLES = 1_000


class SliceCost(Struct, frozen=True):
    """Lists whose label is final, in the randomized slice and not, and the share of which something was taken.

    `difference`: the rate of the slice less that of the rest. `cost`: the share of all that is taken which the slice
    costs; None without anything taken.
    """

    lists: int
    others: int
    rate: Estimate
    others_rate: Estimate
    difference: Estimate
    cost: Estimate | None


def slice_cost(shown: ShownLists, seed: int = 0) -> SliceCost | None:
    """The cost of the slice in these lists; None if none of them is of it, or all are.

    Intervals resample users. If n of N lists are in the slice, whose rate is a and that of the rest b, it costs
    n (b - a) / (N b).
    """
    in_slice = shown.randomized
    if not in_slice.any() or in_slice.all():
        return None
    hit = np.bincount(shown.row, shown.taken, len(shown)) > 0
    users, unit = np.unique(shown.user, return_inverse=True)
    columns = (in_slice, ~in_slice, in_slice & hit, ~in_slice & hit)
    table = np.stack([np.bincount(unit, column, len(users)) for column in columns], axis=1)
    values = _metrics(np.ones((1, len(users))) @ table)
    drawn = [_metrics(weights @ table) for weights in resample_weights(len(users), _RESAMPLES, seed)]
    metrics = {
        name: interval_of(float(value[0]), np.concatenate([part[name] for part in drawn]), len(users))
        for name, value in values.items()
    }
    cost = metrics.pop("cost")
    return SliceCost(
        int(in_slice.sum()), int((~in_slice).sum()), **metrics, cost=None if np.isnan(cost.value) else cost
    )


def _metrics(totals: Doubles) -> dict[str, Doubles]:
    """`totals`: lists in the slice, in the rest, and those of either with something taken, (resamples, 4)."""
    lists, others, taken, others_taken = totals.T
    with np.errstate(invalid="ignore", divide="ignore"):
        rate, others_rate = taken / lists, others_taken / others
        cost = lists / (lists + others) * (others_rate - rate) / others_rate
    metrics = {"rate": rate, "others_rate": others_rate, "difference": rate - others_rate, "cost": cost}
    return {name: np.where(np.isfinite(values), values, np.nan) for name, values in metrics.items()}
