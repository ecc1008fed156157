"""Ranking metrics of lists against relevant items; binary relevance, one value for each request.

Every function takes `hits`, bool (requests, ranks): whether the item at each rank, best first, is relevant; `relevant`,
integers (requests,), 1 or more: the number of relevant items of the request, listed or not; and the cutoff `k`. Empty
ranks are misses. Sources: precision, recall and average precision: Manning, Raghavan and Schütze,
"Introduction to Information Retrieval", 2008, chapter 8; ndcg: Järvelin and Kekäläinen, "Cumulated Gain-Based
Evaluation of IR Techniques", ACM TOIS 2002, with gain 1 and discount log2(rank + 1); hit rate: Deshpande and Karypis,
"Item-Based Top-N Recommendation Algorithms", ACM TOIS 2004.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput, Doubles

Hits = NDArray[np.bool_]
Counts = NDArray[Any]


def precision(hits: Hits, relevant: Counts, k: int) -> Doubles:
    """Precision: the share of the first k ranks with a relevant item; an empty rank counts as a miss."""
    return np.asarray(_top(hits, relevant, k).sum(axis=1) / k)


def recall(hits: Hits, relevant: Counts, k: int) -> Doubles:
    """Recall: the share of the relevant items that are at the first k ranks."""
    return np.asarray(_top(hits, relevant, k).sum(axis=1) / relevant)


def hit_rate(hits: Hits, relevant: Counts, k: int) -> Doubles:
    """Hit rate: 1 if any of the first k ranks has a relevant item, otherwise 0."""
    return np.asarray(_top(hits, relevant, k).any(axis=1).astype(np.float64))


def average_precision(hits: Hits, relevant: Counts, k: int) -> Doubles:
    """Average precision: the mean over relevant items of the precision at their rank, among the first k ranks.

    The sum is divided by min(k, relevant), so that an ideal list of k gets 1; `map_cut` of trec_eval divides by
    `relevant`, which is the same for requests with at most k relevant items.
    """
    top = _top(hits, relevant, k)
    precisions = np.cumsum(top, axis=1) / np.arange(1, top.shape[1] + 1)
    return np.asarray((precisions * top).sum(axis=1) / np.minimum(k, relevant))


def ndcg(hits: Hits, relevant: Counts, k: int) -> Doubles:
    """Normalized discounted cumulative gain: the gain of the first k ranks divided by that of an ideal list.

    >>> ndcg(np.array([[False, True]]), np.array([1]), k=2).round(6).tolist()
    [0.63093]
    """
    top = _top(hits, relevant, k)
    discounts = 1 / np.log2(np.arange(2, k + 2))
    ideal = np.cumsum(discounts)[np.minimum(k, relevant) - 1]
    # summed rank by rank, as the ideal is, so that an ideal list gets exactly 1
    gains = np.cumsum(top * discounts[: top.shape[1]], axis=1)[:, -1:]
    return np.asarray(gains.sum(axis=1) / ideal)


ACCURACY: dict[str, Callable[[Hits, Counts, int], Doubles]] = {
    "ndcg": ndcg,
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "hit_rate": hit_rate,
}
"""The metrics of lists by name; in a report as "ndcg@20"."""


def _top(hits: Hits, relevant: Counts, k: int) -> Hits:
    if k < 1:
        raise BadInput("k", "1 or more", k)
    if len(relevant) != len(hits):
        raise BadInput("relevant", f"{len(hits)} long, as hits", len(relevant))
    if len(relevant) and relevant.min() < 1:
        raise BadInput("relevant", "1 or more for every request (leave out those without any)", int(relevant.min()))
    return hits[:, :k]
