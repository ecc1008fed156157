"""Training weights by inverse propensity: a positive of an item that few encountered counts for more.

What was shown to many has many positives because it was shown to many. The propensity of an item is estimated by how
many users encountered it: were shown it in any list, or took it up without one. Each positive is weighted by the
inverse of the square root of that, from 1 for the item that most encountered, up to a cap. Sources: Schnabel et al.,
"Recommendations as Treatments", ICML 2016 (weights by inverse propensity); Saito, Yaginuma, Nishino, Sakata and Nakata,
"Unbiased Recommender Learning from Missing-Not-At-Random Implicit Feedback", WSDM 2020 (relative exposure to the power
of a half, and a limit of the weights).
"""

from collections.abc import Mapping

import msgspec
import numpy as np

from flyball.core import Doubles, SignedInts
from flyball.models import Interactions

POWER = 0.5


def encounters(data: Interactions, shown: Mapping[str, Mapping[str, int]]) -> SignedInts:
    """How many users were shown each item or have an interaction with it, (items,).

    `shown`: {user: {item: its best position}}; other users and items than those of `data` count as far as items are
    known.
    """
    index = {item: number for number, item in enumerate(data.items)}
    number_of = {user: number for number, user in enumerate(data.users)}
    known = [(number_of.get(user, -1), index[item]) for user, items in shown.items() for item in items if item in index]
    strangers = [item for user, item in known if user < 0]
    pairs = [user * len(index) + item for user, item in known if user >= 0]
    own = data.user_index.astype(np.int64) * len(index) + data.item_index
    met = np.union1d(own, np.array(pairs, np.int64)) % max(len(index), 1)
    counts = np.bincount(met, minlength=len(index)) + np.bincount(np.array(strangers, np.int64), minlength=len(index))
    return np.asarray(counts, np.int64)


def weight_of_positives(encountered: SignedInts, cap: float) -> Doubles:
    """The factor of each item's positives, (items,): 1 for the most encountered item, `cap` at most."""
    most = int(encountered.max(initial=0))
    return np.minimum((most / np.maximum(encountered, 1)) ** POWER, cap) if most else np.ones(len(encountered))


def weighted_by_propensity(data: Interactions, shown: Mapping[str, Mapping[str, int]], cap: float) -> Interactions:
    """`data` whose positives have these weights; weak positives and negatives keep theirs."""
    factor = weight_of_positives(encounters(data, shown), cap)[data.item_index]
    weights = np.where(data.weights >= 1, data.weights * factor, data.weights).astype(np.float32)
    return msgspec.structs.replace(data, weights=weights)
