"""Fallback lists for users without a history, by group and by popularity; every artifact contains them.

Popularity is the decayed number of positive interactions, each halved every `half_life_us`. The list of a group ranks
by the shares of the group, smoothed toward those of all users with `prior` pseudo-interactions (Dirichlet smoothing:
Zhai and Lafferty, "A Study of Smoothing Methods for Language Models", SIGIR 2001), so that the list of a small group is
close to the popular list.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import Arrays, BadInput
from flyball.models import Interactions

_PREFIX = "fallback_"
_NAMES = ("popular", "share", "support", "groups", "group_items", "group_share")
_HALF_LIFE_US = 30 * 86_400_000_000


def fallback_arrays(
    data: Interactions, half_life_us: int = _HALF_LIFE_US, prior: float = 200.0, group_length: int = 500
) -> dict[str, NDArray[Any]]:
    """The arrays that `Pipeline` uses if the model cannot answer; merge them into the learned arrays.

    `fallback_popular`: every item's index, most popular first, ties by index (shape (items,), int32);
    `fallback_share`: the share of each item in the decayed interactions (items,); `fallback_support`: the number of
    users with an interaction (items,); `fallback_groups`: names of groups; `fallback_group_items`,
    `fallback_group_share`: the items of each group and their shares (groups, up to `group_length`).
    """
    count = len(data.items)
    weight = _decayed(data, half_life_us)
    totals = np.bincount(data.item_index, weight, minlength=count)
    share = totals / max(totals.sum(), 1e-300)
    popular = np.argsort(-share, kind="stable").astype(np.int32)
    support = np.bincount(data.item_index, minlength=count).astype(np.int32)
    length = min(group_length, count)
    items, shares = np.zeros((len(data.groups), length), np.int32), np.zeros((len(data.groups), length), np.float32)
    group = data.user_group[data.user_index] if len(data.user_index) else np.zeros(0, np.int32)
    for index in range(len(data.groups)):
        in_group = group == index
        own = np.bincount(data.item_index[in_group], weight[in_group], minlength=count)
        smoothed = (own + prior * share) / (own.sum() + prior)
        order = np.argsort(-smoothed, kind="stable")[:length]
        items[index], shares[index] = order, smoothed[order]
    arrays = (popular, share.astype(np.float32), support, np.array(data.groups, dtype=np.str_), items, shares)
    return {_PREFIX + name: array for name, array in zip(_NAMES, arrays, strict=True)}


def fallback_of(arrays: Arrays) -> dict[str, NDArray[Any]]:
    """The fallback arrays of an artifact by short name, with `popular_share` along `popular`.

    Raises `BadInput` for a missing array.
    """
    missing = [_PREFIX + name for name in _NAMES if _PREFIX + name not in arrays]
    if missing:
        raise BadInput("artifact", f"one with the arrays of fallback_arrays ({', '.join(missing)})", sorted(arrays))
    fallback = {name: arrays[_PREFIX + name] for name in _NAMES}
    return {**fallback, "popular_share": fallback["share"][fallback["popular"]]}


def _decayed(data: Interactions, half_life_us: int) -> NDArray[np.float64]:
    """The weight of each row, halved with age: the weight of positives, or 1 in a task with ratings only."""
    base = data.weights.astype(np.float64)
    if not (base > 0).any():
        base = np.ones(len(base))
    age = np.maximum(data.as_of_us - data.at_us, 0) / half_life_us
    return base * np.exp2(-age)
