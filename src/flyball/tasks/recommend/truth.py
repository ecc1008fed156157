"""What users liked and rated after the requests of an evaluation set, numbered for metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.models import Interactions
from flyball.tasks.recommend.metrics.propensity import IpsWeights
from flyball.tasks.recommend.state.user_history import UserHistory


class RatedItems(msgspec.Struct, frozen=True):
    """First ratings in the window, each with what its user had done just before. `unit_of`: the user's number.

    `references`: what simple rules predict, by name.
    """

    at_us: NDArray[np.int64]
    contexts: list[UserHistory]
    unit_of: NDArray[np.int64]
    items: list[str]
    values: NDArray[np.float64]
    references: dict[str, NDArray[np.float64]] = {}


class RecommendTruth(msgspec.Struct, frozen=True):
    """Targets: items that became positive after a request, within the label's window, and were new to the user.

    `request_of`, `item_of`: int64 (targets,), ordered by request. `items`: the items of the training data, then the
    further ones of the catalogs (`catalog_size` in all), then those of targets only. `users_of`: how many users of
    the training data had touched each item, of `train_users`. `ips`: weights of the targets, None without.
    `numbers`: {item: its place in `items`}, filled in when first needed and shared with parts.
    """

    request_of: NDArray[np.int64]
    item_of: NDArray[np.int64]
    items: list[str]
    catalog_size: int
    users_of: NDArray[np.int64]
    train_users: int
    global_mean: float = float("nan")
    rated: RatedItems | None = None
    ips: IpsWeights | None = None
    numbers: dict[str, int] = {}

    def number_of(self) -> Mapping[str, int]:
        """{item: its place in `items`}."""
        if not self.numbers:
            self.numbers.update(zip(self.items, range(len(self.items)), strict=True))
        return self.numbers

    def take(self, rows: NDArray[np.int64]) -> "RecommendTruth":
        """The targets of some requests, in ascending order, without ratings."""
        number = np.full(int(max(self.request_of.max(initial=-1), rows.max(initial=-1))) + 1, -1, np.int64)
        number[rows] = np.arange(len(rows))
        kept = number[self.request_of] >= 0
        ips = None if self.ips is None else msgspec.structs.replace(self.ips, weights=self.ips.weights[kept])
        return msgspec.structs.replace(
            self, request_of=number[self.request_of[kept]], item_of=self.item_of[kept], rated=None, ips=ips
        )

    def counts(self, requests: int) -> NDArray[np.int64]:
        """How many targets each request has."""
        return np.bincount(self.request_of, minlength=requests)


def number_items(
    train: Interactions, catalogs: Sequence[Sequence[str]], targets: Sequence[str]
) -> tuple[dict[str, int], int]:
    """({item: number}, how many of them are in the training data or a catalog)."""
    numbers = {item: number for number, item in enumerate(train.items)}
    for catalog in catalogs:
        for item in catalog:
            numbers.setdefault(item, len(numbers))
    catalog_size = len(numbers)
    for item in targets:
        numbers.setdefault(item, len(numbers))
    return numbers, catalog_size


def users_by_item(train: Interactions, numbers: Mapping[str, Any]) -> NDArray[np.int64]:
    """How many users of the training data had touched each item."""
    return np.bincount(train.item_index, minlength=len(numbers)).astype(np.int64)
