"""The items that users liked and rated after the requests of an evaluation set, numbered for metrics."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.models import Interactions
from flyball.tasks.recommend.metrics.propensity import IpsWeights
from flyball.tasks.recommend.state.user_history import UserHistory


class RatedItems(msgspec.Struct, frozen=True):
    """First ratings in the window, each with the history of its user just before. `unit_of`: numbers of users.

    `references`: {name: predictions of a simple rule}.
    """

    at_us: NDArray[np.int64]
    contexts: list[UserHistory]
    unit_of: NDArray[np.int64]
    items: list[str]
    values: NDArray[np.float64]
    references: dict[str, NDArray[np.float64]] = {}


class RecommendTruth(msgspec.Struct, frozen=True):
    """Targets: items that became positive after a request, within the window of the label, and were new to the user.

    `request_of`, `item_of`: int64 (targets,), ordered by request. `items`: the items of the training data, then the
    further ones of the catalogs (`catalog_size` in all), then those of targets only. `users_of`: the number of users in
    the training data, of `train_users`, who had touched each item. `ips`: weights of the targets, None for equal ones.
    `numbers`: {item: its index in `items`}, computed when first needed and shared with parts.
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
        """{item: its index in `items`}."""
        if not self.numbers:
            self.numbers.update(zip(self.items, range(len(self.items)), strict=True))
        return self.numbers

    def take(self, rows: NDArray[np.int64]) -> "RecommendTruth":
        """The truth of some requests, with ascending indexes, without ratings."""
        number = np.full(int(max(self.request_of.max(initial=-1), rows.max(initial=-1))) + 1, -1, np.int64)
        number[rows] = np.arange(len(rows))
        kept = number[self.request_of] >= 0
        ips = None if self.ips is None else msgspec.structs.replace(self.ips, weights=self.ips.weights[kept])
        return msgspec.structs.replace(
            self, request_of=number[self.request_of[kept]], item_of=self.item_of[kept], rated=None, ips=ips
        )

    def counts(self, requests: int) -> NDArray[np.int64]:
        """The number of targets of each request, int64 (requests,)."""
        return np.bincount(self.request_of, minlength=requests)


def number_items(
    train: Interactions, catalogs: Sequence[Sequence[str]], targets: Sequence[str]
) -> tuple[dict[str, int], int]:
    """({item: number}, the number of items in the training data or a catalog)."""
    numbers = {item: number for number, item in enumerate(train.items)}
    for catalog in catalogs:
        for item in catalog:
            numbers.setdefault(item, len(numbers))
    catalog_size = len(numbers)
    for item in targets:
        numbers.setdefault(item, len(numbers))
    return numbers, catalog_size


def users_by_item(train: Interactions, numbers: Mapping[str, Any]) -> NDArray[np.int64]:
    """The number of users in the training data who had touched each item, int64 (items,)."""
    return np.bincount(train.item_index, minlength=len(numbers)).astype(np.int64)
