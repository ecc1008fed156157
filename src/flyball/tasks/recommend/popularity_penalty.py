"""Popularity penalty: what many users had already loses against what few have, in the ranking of a model.

Source: Zhu, He, Zhao, Zhang, Wang and Caverlee, "Popularity-Opportunity Bias in Collaborative Filtering", WSDM 2021
(scores compensated for popularity after the fit); the scale follows the scores, which differ from model to model.
"""

import numpy as np
from numpy.typing import NDArray

from flyball.models import Floats

SPREAD_RANK = 100
"""The scale of a penalty is how far the best score is above that of this rank."""


def penalized(scores: Floats, support: NDArray[np.int32], penalty: float) -> Floats:
    """`scores`, (rows, items), less `penalty` times the row's spread times the item's popularity.

    The spread of a row is how far its best finite score is above that of rank 100, or of its last. `support`: the users
    of each item, (items,); popularity is log(1 + users) divided by that of the item with most: from 0 to 1. So with a
    penalty of 1 the most popular item falls behind rank 100 if it was first, and an item that nobody has stays. A row
    depends on nothing else in the batch.
    """
    most = int(support.max(initial=0))
    if penalty <= 0 or most < 1 or not scores.size:
        return scores
    popularity = np.log1p(support) / np.log1p(most)
    return np.stack([_penalized_row(row, popularity, penalty) for row in scores])


def _penalized_row(row: Floats, popularity: NDArray[np.float64], penalty: float) -> Floats:
    finite = row[np.isfinite(row)]
    if len(finite) < 2:
        return row
    last = max(len(finite) - SPREAD_RANK, 0)
    spread = float(finite.max()) - float(np.partition(finite, last)[last])
    lowered: Floats = (row - np.float32(penalty * spread) * popularity.astype(np.float32)).astype(np.float32)
    return lowered
