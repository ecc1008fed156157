"""Inverse propensity weighting: some items become positive more often only because users see them more often.

A log contains the items that users *found* and liked. They find popular items, and items that the service shows, far
more often than others: positives are missing not at random (popularity bias, exposure bias). Without weights, a
candidate that shows popular items, or one that is similar to the serving version, looks better than it is.

Each target is therefore weighted by the inverse of its propensity, the probability that its user found it, normalized
by the sum (self-normalized inverse propensity scoring, SNIPS). The unit of propensities is users who had touched the
item:

- Without a list, a user finds an item in proportion to the number of users who had touched it.
- Showing it at some rank adds to that. How much is estimated in the window: the likes of shown items per showing,
  divided by the likes of other items per user who had touched them, is the propensity of shown items in users. The
  part of it above the users who had touched the shown items is the lift of the rank. Ranks are grouped as 1, 2-3, 4-7,
  8-15 and beyond, and each group is shrunk toward the mean of all. If lists have no effect, the lift is 0.

Both are overestimates, because an item is touched, and shown, also because it is liked. Therefore a quarter of the lift
is used, and propensities are raised to the power 3/4. These two constants were chosen in four simulated movie worlds
(seeds 1, 2, 3, 5), so that on average neither the champion nor other candidates are favored; the full values favored
candidates unlike the champion by half. They are not exact: if users find items by popularity alone, they favor the
champion.

Small propensities give large weights, so that few targets decide. Propensities below a floor are set to the floor,
which is raised until the effective number of targets is large enough (Kish's effective sample size,
(sum w)^2 / sum w^2).

Sources: Schnabel, Swaminathan, Singh, Chandak, Joachims: "Recommendations as Treatments", ICML 2016 (inverse
propensities); Swaminathan, Joachims: "The Self-Normalized Estimator for Counterfactual Learning", NIPS 2015; Yang, Cui,
Xuan, Wang, Belongie, Estrin: "Unbiased Offline Recommender Evaluation for Missing-Not-At-Random Implicit Feedback",
RecSys 2018 (popularity as propensity); Joachims, Swaminathan, Schnabel: "Unbiased Learning-to-Rank with Biased
Feedback", WSDM 2017 (propensities by rank).
"""

from collections.abc import Callable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

LIFT_SHARE, POWER = 0.25, 0.75
LEAST_SHARE = 0.25
"""The floor is raised until the effective number of targets is this share of all targets."""

_LAST_RANKS = (1, 3, 7, 15)
_SHRINK = 5.0  # the weight, in likes, of the mean of all ranks in each group of ranks

Positions = Mapping[str, Mapping[str, int]]
"""{user: {item: its best position in a list, from 0}}."""


class IpsWeights(msgspec.Struct, frozen=True):
    """The weight of each target, mean 1 over distinct (user, item) pairs.

    `pairs`: the number of pairs; the service had shown `pairs_shown` of them to their users before, and some item to
    `users_shown` users. `lifts`: the additional propensity of an item shown at ranks 1, 2-3, 4-7, 8-15 and beyond;
    `floor`: the smallest propensity; both in users who had touched an item. `effective`: the effective number of pairs.
    `sufficient`: whether it is large enough; if not, unweighted metrics decide, which favor popular items and the
    serving version.
    """

    weights: NDArray[np.float64]
    pairs: int
    pairs_shown: int
    users_shown: int
    lifts: list[float]
    floor: float
    effective: float
    sufficient: bool

    def summary(self) -> str:
        """How many positives the service had shown, and which metrics decide, in a sentence."""
        words = (
            f"the service had shown {self.pairs_shown:,} of {self.pairs:,} positives to their users beforehand; "
            f"with inverse propensity weighting (IPS) they are worth {self.effective:,.0f}"
        )
        if self.sufficient:
            return f"{words}, and the weighted metrics decide"
        return f"{words}, too few to decide: the unweighted metrics decide, which favor the popular and who served"


def propensity_weights(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    users_of: NDArray[np.int64],
    positions: NDArray[np.int64],
    fresh: "tuple[NDArray[np.int64], NDArray[np.int64]]",
    users_shown: int,
    min_pairs: int,
) -> IpsWeights:
    """The weights of targets; `users` and `items`: their numbers, (targets,). A user may have a target several times.

    `users_of`: the number of users who had touched each item before, (items,). `positions`: the best position at which
    the target was shown to its user, -1 for never, (targets,). `fresh`: (item, or -1 for one without a number;
    position) of all shown items that were new to their user. The weights are sufficient if their effective number of
    pairs is at least `min_pairs`.
    """
    _, first, pair_of = np.unique(
        users * max(len(users_of), 1) + items, return_index=True, return_inverse=True
    )  # one pair may be the target of several requests
    touched = users_of.astype(np.float64)
    pair_positions, pair_items = positions[first], items[first]
    lifts = _lifts(touched, pair_positions, len(np.unique(users)), *fresh)
    aided = np.where(pair_positions >= 0, LIFT_SHARE * lifts[_group(pair_positions)], 0.0)
    weights, floor = _weights((touched[pair_items] + 1.0 + aided) ** POWER, min_pairs)
    effective = float(weights.sum() ** 2 / (weights**2).sum()) if len(weights) else 0.0
    return IpsWeights(
        weights=weights[pair_of],
        pairs=len(first),
        pairs_shown=int((pair_positions >= 0).sum()),
        users_shown=users_shown,
        lifts=[float(lift) for lift in lifts],
        floor=floor,
        effective=effective,
        sufficient=effective >= min_pairs,
    )


GAINS: dict[str, Callable[[NDArray[np.int64]], NDArray[np.float64]]] = {
    "ndcg": lambda ranks: 1 / np.log2(ranks + 1),
    "recall": lambda ranks: np.ones(len(ranks)),
    "precision": lambda ranks: np.ones(len(ranks)),
    "map": lambda ranks: 1 / ranks,
    "hit_rate": lambda ranks: np.ones(len(ranks)),
}
"""{metric: the gain of one target at each rank, from 1}, for metrics that are sums over targets."""


def gains(ranks: NDArray[np.int64], metric: str, k: int) -> NDArray[np.float64]:
    """The gain of each target in a metric of `GAINS` at its rank, from 1, or 0 for no rank; shape of the ranks.

    >>> gains(np.array([1, 2, 0, 9]), "map", k=5).tolist()
    [1.0, 0.5, 0.0, 0.0]
    """
    return np.asarray(((ranks >= 1) & (ranks <= k)) * GAINS[metric](np.maximum(ranks, 1)))


def _lifts(
    touched: NDArray[np.float64],
    positions: NDArray[np.int64],
    users: int,
    fresh_items: NDArray[np.int64],
    fresh_positions: NDArray[np.int64],
) -> NDArray[np.float64]:
    """The lift of each group of ranks, in users who had touched an item."""
    groups = len(_LAST_RANKS) + 1
    if not len(fresh_items):
        return np.zeros(groups)
    group_of = _group(fresh_positions)
    showings = np.bincount(group_of, minlength=groups).astype(np.float64)
    known = (fresh_items >= 0) & (fresh_items < len(touched))
    own = np.bincount(group_of, np.where(known, touched[np.where(known, fresh_items, 0)], 0.0) + 1.0, groups)
    liked = np.bincount(_group(positions[positions >= 0]), minlength=groups)[:groups].astype(np.float64)
    unaided = float((positions < 0).sum()) + 1.0
    per_touch = unaided / (users * (touched.sum() + len(touched)))
    mean = max(liked.sum(), 1.0) / showings.sum()
    rate = (liked + _SHRINK) / (showings + _SHRINK / mean)
    lifts: NDArray[np.float64] = np.maximum(rate / per_touch - own / np.maximum(showings, 1.0), 0.0)
    return lifts


def _group(positions: NDArray[np.int64]) -> NDArray[np.int64]:
    groups: NDArray[np.int64] = np.searchsorted(np.array(_LAST_RANKS), positions, side="right")
    return groups


def _weights(propensities: NDArray[np.float64], min_pairs: int) -> tuple[NDArray[np.float64], float]:
    floor, peak = 1.0, propensities.max(initial=0.0)
    while True:
        weights = 1.0 / np.maximum(propensities, floor)
        effective = weights.sum() ** 2 / max((weights**2).sum(), 1e-300)
        enough = max(min(min_pairs, len(propensities)), LEAST_SHARE * len(propensities))
        if effective >= enough or floor >= peak:
            return weights / max(weights.mean() if len(weights) else 1.0, 1e-300), floor
        floor *= 1.25
