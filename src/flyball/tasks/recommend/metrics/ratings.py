"""The two baselines of rating models: the global mean, and the bias model.

Source of the bias model: Koren, "Factor in the Neighbors: Scalable and Accurate Collaborative Filtering", ACM TKDD
2010, section 2.1: r = mu + b_item + b_user, with shrunk mean deviations first of items, then of users.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import NOTHING, BadInput
from flyball.models import Histories, Interactions

ITEM_SHRINK, USER_SHRINK = 25.0, 10.0


def global_mean(data: Interactions) -> float:
    """The mean of all ratings known at training. Raises `BadInput` without ratings."""
    rated = data.ratings[~np.isnan(data.ratings)].astype(np.float64)
    if not len(rated):
        raise BadInput("ratings", "present, to evaluate rating models", NOTHING)
    return float(rated.mean())


def bias_predictions(
    data: Interactions, histories: Histories, rows: NDArray[Any], items: NDArray[Any]
) -> NDArray[np.float64]:
    """mu + b_item + b_user for row `rows[i]` of `histories` and item `items[i]` (-1: unknown at training), (n,).

    The biases of items come from `data`; the bias of a user comes from the ratings in the history, as in serving.
    """
    mean = global_mean(data)
    known = ~np.isnan(data.ratings)
    item_bias = _shrunk(data.item_index[known], data.ratings[known] - mean, len(data.items), ITEM_SHRINK)
    owner = np.repeat(np.arange(histories.rows), np.diff(histories.indptr))
    is_rated = ~np.isnan(histories.ratings)
    left = histories.ratings[is_rated] - mean - item_bias[histories.items[is_rated]]
    user_bias = _shrunk(owner[is_rated], left, histories.rows, USER_SHRINK)
    return np.asarray(mean + user_bias[rows] + np.where(items >= 0, item_bias[np.maximum(items, 0)], 0.0))


def _shrunk(index: NDArray[Any], values: NDArray[Any], size: int, shrink: float) -> NDArray[np.float64]:
    sums = np.bincount(index, values.astype(np.float64), minlength=size)
    return np.asarray(sums / (np.bincount(index, minlength=size) + shrink))
