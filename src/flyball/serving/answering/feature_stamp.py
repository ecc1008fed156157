"""The features an answer was made from, as its record keeps them."""

from zlib import crc32

import msgspec

from flyball.features import Reading
from flyball.outcomes import Prediction

ONE_IN = 16
"""Of how many users one has the values themselves on record; of all others their digest."""


def with_features(prediction: Prediction, reading: Reading) -> Prediction:
    """The prediction, stamped with the features that were read for it."""
    vectors = {}
    if sampled(prediction.user):
        vectors = {name: (one.bits.tobytes(), one.tags.tobytes()) for name, one in reading.groups.items()}
    return msgspec.structs.replace(
        prediction, feature_set=reading.hash, feature_offsets=reading.offsets, feature_digest=reading.digest,
        vectors=vectors,
    )  # fmt: skip


def sampled(user: str) -> bool:
    """Whether this user's values are kept: always the same users, one in `ONE_IN`."""
    return crc32(user.encode()) % ONE_IN == 0
