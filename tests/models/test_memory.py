"""What an artifact holds grows as each model states, in bytes; measured at two sizes, so a hidden square shows."""

from collections.abc import Callable

import numpy as np
import pytest

from flyball.models import MODELS, Interactions, positives, rated
from flyball.models.factors import padded
from flyball.testing.model_checks import sample_interactions

SLACK = 4_096  # pointers' ends, settings, padding of small arrays


def _factors(items: int, factors: int) -> int:
    """Rows and columns of `factors` float32 each, offsets; see `factors.item_side`."""
    side = padded(factors)
    return 4 * side * items + 4 * (side + 1) * padded(items)


def _als(items: int) -> int:
    return _factors(items, 64) + 8 * 64 * 64


def _values(data: Interactions) -> int:
    return 0 if data.attributes is None else sum(8 * (64 + 1) + len(name) + 3 for name in data.attributes.names)


STATED: dict[str, Callable[[Interactions, int, int], int]] = {
    "random": lambda data, users, items: 8 * items,
    "popular": lambda data, users, items: 4 * items * (1 + len(data.groups)),
    "global_mean": lambda data, users, items: 16 * items,
    "bias": lambda data, users, items: 32 * items,
    "item_knn": lambda data, users, items: 8 * items * min(100, items) + 16 * items,
    "user_knn": lambda data, users, items: 16 * len(positives(data).user_index) + 16 * users + 8 * items,
    "rating_knn": lambda data, users, items: 8 * items * min(1_000, items) + 40 * items,
    "next_item": lambda data, users, items: 8 * items * min(200, items) + 8 * items,
    "slim": lambda data, users, items: 8 * items * min(300, items) + 8 * items,
    "sparse_ease": lambda data, users, items: 8 * items * min(101, items) + 8 * items,
    "pruned": lambda data, users, items: 8 * items * min(200, items) + 8 * items,
    "ease": lambda data, users, items: 4 * min(items, 5_000) ** 2 + 8 * items,
    "biased_mf": lambda data, users, items: _factors(items, 64 + 1) + 8 * items,
    "svdpp": lambda data, users, items: _factors(items, 32 + 1) + 4 * padded(33) * items + 8 * items,
    "bpr": lambda data, users, items: _factors(items, 128) + 4 * 128 * 128,
    "implicit_als": lambda data, users, items: _als(items),
    "hybrid": lambda data, users, items: _als(items) + _values(data),
    "distilled": lambda data, users, items: _als(items),
    "compact": lambda data, users, items: 2 * 64 * padded(items) + 8 * padded(items) + 8 * 64 * 64,
    "blend": lambda data, users, items: sum(STATED[name](data, users, items) for name in MODELS["blend"]().models),  # type: ignore[attr-defined]
    "rating_blend": lambda data, users, items: sum(
        STATED[name](data, users, items)
        for name in MODELS["rating_blend"]().models  # type: ignore[attr-defined]
    ),
}
EXEMPT = {"ranker": "its trees' text depends on what they learn; its retrievers are models of this table"}


def test_every_model_states_its_memory() -> None:
    assert STATED.keys() | EXEMPT.keys() == MODELS.keys()


@pytest.mark.parametrize("name", STATED)
def test_an_artifact_is_no_larger_than_stated(name: str) -> None:
    for users, items, pairs in ((60, 47, 900), (90, 700, 4_000)):
        data = sample_interactions(users=users, items=items, pairs=pairs)
        held = sum(np.asarray(array).nbytes for array in MODELS[name]().fit(data, 1).values())
        assert held <= STATED[name](data, users, items) + SLACK, f"{name} at {items} items"
    assert len(rated(data).ratings) > 1_000
