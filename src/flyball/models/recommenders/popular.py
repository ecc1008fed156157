"""Popularity: the items that most users liked, over all time, recently, or within the user's group."""

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from flyball.core import BadDeclaration, parse_duration
from flyball.models.base import Learned, Recommender, SearchSpace
from flyball.models.data import Floats, Histories, Interactions, positives


class Popular(Recommender, frozen=True):
    """Each item's share of all positive weight: the same list for all users, or for all users of a group.

    `half_life` ("30d"): the weight of a positive halves in this time. `window` ("7d"): only positives in
    `[as_of - window, as_of]` count. `by_group`: users of a group get the group's shares, and users without a group the
    global ones. A group's shares are smoothed toward the global shares, which count as `smoothing` positives (additive
    smoothing), because the shares of a small group are noisy.
    """

    kind: ClassVar[str] = "popular"
    reads_attributes: ClassVar[bool] = False

    personal: ClassVar[bool] = False

    search_space: ClassVar[SearchSpace] = {
        "half_life": (None, "7d", "30d", "90d"),
        "by_group": (False, True),
    }

    half_life: str | None = None
    window: str | None = None
    by_group: bool = False
    smoothing: float = 100.0

    def __post_init__(self) -> None:
        for name in ("half_life", "window"):
            if (value := getattr(self, name)) is not None and parse_duration(value) <= 0:
                raise BadDeclaration(f"Popular's {name}", "longer than nothing", value)
        if not self.smoothing > 0:
            raise BadDeclaration("Popular's smoothing", "above 0", self.smoothing)

    def artifact_bytes(self, data: Interactions) -> int:
        """4 bytes for each item, globally and in each group."""
        return 4 * len(data.items) * (1 + len(data.groups))

    def fit(self, data: Interactions, seed: int) -> dict[str, NDArray[Any]]:
        """`shares`: float32 (1 + groups, items); row 0 is global, row 1 + g is of group g."""
        liked, n = positives(data), len(data.items)
        weights = liked.weights.astype(np.float64)
        age_us = (liked.as_of_us - liked.at_us).astype(np.float64)
        if self.half_life is not None:
            weights *= np.exp2(-np.maximum(age_us, 0.0) / parse_duration(self.half_life))
        if self.window is not None:
            weights *= age_us <= parse_duration(self.window)
        totals = np.bincount(liked.item_index, weights=weights, minlength=n)
        shares = [totals / max(totals.sum(), 1e-300)]
        group = liked.user_group[liked.user_index]
        for index in range(len(data.groups) if self.by_group else 0):
            of_group = group == index
            counts = np.bincount(liked.item_index[of_group], weights=weights[of_group], minlength=n)
            shares.append((counts + self.smoothing * shares[0]) / (counts.sum() + self.smoothing))
        return {"shares": np.stack(shares).astype(np.float32)}

    def score(self, learned: Learned, histories: Histories) -> Floats:
        """The shares of each row's group; finite for every item, for every user."""
        shares = learned["shares"]
        known = (histories.group >= 0) & (histories.group < len(shares) - 1)
        return np.asarray(shares[np.where(known, histories.group + 1, 0)], dtype=np.float32)
