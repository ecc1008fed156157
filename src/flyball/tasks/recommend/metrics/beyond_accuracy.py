"""Metrics of lists beyond accuracy: coverage of the catalog, novelty and popularity.

`lists`: integers (requests, ranks), item numbers, best first, -1 for an empty rank. Metrics have one value for each
request unless they say otherwise.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from flyball.core import Doubles

Lists = NDArray[np.signedinteger[Any]]


def coverage(lists: Lists, items: int) -> float:
    """Share of the `items` of the catalog that are in any list, one value.

    Source: Ge, Delgado-Battenfeld and Jannach, "Beyond Accuracy: Evaluating Recommender Systems by Coverage and
    Serendipity", RecSys 2010 (catalog coverage).
    """
    return len(np.unique(lists[lists >= 0])) / items if items else 0.0


def self_information(item_users: NDArray[Any], users: int) -> NDArray[np.float64]:
    """-log2 of the share of `users` who interacted with each item, in bits; no user counts as one."""
    return np.asarray(-np.log2(np.maximum(item_users, 1) / max(users, 1)))


def novelty(lists: Lists, information: NDArray[np.float64]) -> Doubles:
    """Mean self-information of each list's items, in bits (an empty list: 0).

    Source: Zhou et al., "Solving the Apparent Diversity-Accuracy Dilemma of Recommender Systems", PNAS 2010.
    """
    return _mean_of_list(lists, information)


def mean_popularity(lists: Lists, item_interactions: NDArray[Any]) -> Doubles:
    """Mean share of all interactions that the items of each list have.

    Source: Yin et al., "Challenging the Long Tail Recommendation", VLDB 2012 (average recommendation popularity).
    """
    return _mean_of_list(lists, item_interactions / max(item_interactions.sum(), 1))


def popularity_share(lists: Lists, head: NDArray[np.bool_]) -> Doubles:
    """Share of each list's items that belong to the `head` (bool, one per item): 1 minus the long tail's share.

    Source: Abdollahpouri, Burke and Mobasher, "Managing Popularity Bias in Recommender Systems with Personalized
    Re-ranking", FLAIRS 2019 (average percentage of long tail items).
    """
    return _mean_of_list(lists, head.astype(np.float64))


def short_head(item_interactions: NDArray[Any], share: float = 0.5) -> NDArray[np.bool_]:
    """The fewest most popular items that hold `share` of all interactions (ties by index): bool, one per item."""
    order = np.argsort(-item_interactions, kind="stable")
    before = np.cumsum(item_interactions[order]) - item_interactions[order]
    head = np.zeros(len(item_interactions), bool)
    head[order[before < share * item_interactions.sum()]] = True
    return head


def _mean_of_list(lists: Lists, value_of: NDArray[np.float64]) -> Doubles:
    shown = lists >= 0
    values = np.where(shown, value_of[np.where(shown, lists, 0)], 0.0)
    return np.asarray(values.sum(axis=1) / np.maximum(shown.sum(axis=1), 1))
