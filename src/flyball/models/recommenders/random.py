"""The random baseline: what any model must beat."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.models.base import Learned, Recommender
from flyball.models.data import Floats, Histories, Interactions


class Random(Recommender, frozen=True):
    """Random scores, in an order that changes with each request.

    `score` is still pure: a score is a hash of the seed, the item, the time and the history.
    """

    kind: ClassVar[str] = "random"
    reads_attributes: ClassVar[bool] = False

    personal: ClassVar[bool] = False

    def artifact_bytes(self, data: Interactions) -> int:
        """8 bytes for each item."""
        return 8 * len(data.items)

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`salts`: uint64 (items,)."""
        with np.errstate(over="ignore"):
            return {"salts": _mix(np.arange(len(data.items), dtype=np.uint64) + _mix(np.uint64(seed % 2**64)))}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """Uniform in [0, 1), distinct in practice."""
        salts = learned["salts"]
        scores = np.empty((histories.rows, len(salts)), dtype=np.float32)
        for row in range(histories.rows):
            items = histories.items[histories.indptr[row] : histories.indptr[row + 1]].astype(np.uint64)
            with np.errstate(over="ignore"):
                question = _mix(np.uint64(int(histories.now_us[row]) % 2**64) + np.sum(_mix(items), dtype=np.uint64))
                scores[row] = (_mix(salts ^ question) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
        return scores


def _mix(x: Any) -> Any:
    """SplitMix64's finalizer. Source: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators", 2014."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
