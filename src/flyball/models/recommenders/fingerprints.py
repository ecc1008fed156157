"""64 bits for each item that tell whether who liked it changed, whatever the order of users and items."""

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from flyball.models.data import Interactions

_ODD = np.uint64(0x9E3779B97F4A7C15)


def marks_of(liked: Interactions) -> NDArray[np.uint64]:
    """uint64 (items,): the sum over an item's likes of a hash of user and weight; 0 for an item without any.

    Two different sets of likes have the same mark with a chance of 2^-64.
    """
    names = b"".join(blake2b(user.encode(), digest_size=8).digest() for user in liked.users)
    users = np.frombuffer(names, dtype="<u8").astype(np.uint64)
    weights = liked.weights.view(np.uint32).astype(np.uint64)
    mixed = (users[liked.user_index] ^ (weights * _ODD)) * _ODD
    mixed ^= mixed >> np.uint64(29)
    marks = np.zeros(len(liked.items), dtype=np.uint64)
    np.add.at(marks, liked.item_index, mixed * _ODD)
    return marks
