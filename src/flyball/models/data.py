"""The inputs of models: interactions to learn from, as known at some time, and batches of histories to answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.core import BadInput

Floats = NDArray[np.float32]
Indexes = NDArray[np.int32]
Timestamps = NDArray[np.int64]


class Attributes(msgspec.Struct, frozen=True):
    """Attributes of items: the values of item i are `names[v]` for v in `index[indptr[i]:indptr[i + 1]]`.

    `indptr`: int64 (items + 1,). `names`: values as text, such as "genres=Drama".
    """

    names: list[str]
    indptr: NDArray[np.int64]
    index: Indexes


class Interactions(msgspec.Struct, frozen=True):
    """Training data as known at `as_of_us`: one row per (user, item) pair.

    `users`, `items`: index → id; `items` holds every known item, including those without interactions.
    `user_index`, `item_index`: int32 (n,). `weights`: float32 (n,), > 0 for positives (1.0) and weak positives (0.25),
    0 for a pair that was only seen. `ratings`: float32 (n,), nan for none. `at_us`: int64 (n,).
    `user_group`: int32 (users,), an index into `groups`, -1 for none. `attributes`: of the items, as of `as_of_us`.
    """

    users: list[str]
    items: list[str]
    user_index: Indexes
    item_index: Indexes
    weights: Floats
    ratings: Floats
    at_us: Timestamps
    user_group: Indexes
    groups: list[str]
    as_of_us: int
    attributes: Attributes | None = None


class Histories(msgspec.Struct, frozen=True):
    """A batch of users to answer, as ragged rows: row b is `[indptr[b], indptr[b + 1])` of the flat arrays.

    `indptr`: int64 (rows + 1,). `items`: int32 (n,), indexes into the model's items (an item the model does not know is
    left out). `weights`, `ratings`, `at_us` as in `Interactions`. `group`: int32 (rows,), -1 for none.
    `now_us`: int64 (rows,), the time of each request.
    """

    indptr: NDArray[np.int64]
    items: Indexes
    weights: Floats
    ratings: Floats
    at_us: Timestamps
    group: Indexes
    now_us: Timestamps

    @property
    def rows(self) -> int:
        """The number of users."""
        return len(self.indptr) - 1


def canonical(data: Interactions) -> Interactions:
    """The same data with rows sorted by (user, item), keeping only the latest row of each pair.

    Every `fit` starts with this, so the order of its input rows does not matter.
    Raises `BadInput` for arrays of different lengths and for indexes outside `users` or `items`.
    """
    _check(data)
    users, items = data.user_index, data.item_index
    if _rising(users, items):
        return select_rows(data, slice(None))
    by_item = order_by(items, len(data.items))
    order = by_item[order_by(users[by_item], len(data.users))]
    if _rising(users[order], items[order]):
        return select_rows(data, order)
    order = np.lexsort((data.ratings, data.weights, data.at_us, items, users))
    users, items = users[order], items[order]
    last = np.ones(len(order), dtype=bool)
    last[:-1] = (users[1:] != users[:-1]) | (items[1:] != items[:-1])
    return select_rows(data, order[last])


def order_by(keys: NDArray[Any], size: int) -> NDArray[np.int64]:
    """The stable sorting permutation of integers in `[0, size)`."""
    from flyball.models.kernels.sorting import counting_order

    order: NDArray[np.int64] = counting_order(np.ascontiguousarray(keys), row_pointers(keys, size))
    return order


def positives(data: Interactions) -> Interactions:
    """Canonical rows with a positive weight: what implicit models learn from."""
    ordered = canonical(data)
    return select_rows(ordered, np.flatnonzero(ordered.weights > 0))


def rated(data: Interactions) -> Interactions:
    """Canonical rows with a rating: what rating models learn from."""
    ordered = canonical(data)
    return select_rows(ordered, np.flatnonzero(~np.isnan(ordered.ratings)))


def row_pointers(row_index: NDArray[Any], rows: int) -> NDArray[np.int64]:
    """`indptr` (rows + 1,) of a sorted row index."""
    indptr = np.zeros(rows + 1, dtype=np.int64)
    np.cumsum(np.bincount(row_index, minlength=rows), out=indptr[1:])
    return indptr


def select_rows(data: Interactions, rows: NDArray[Any] | slice) -> Interactions:
    """The same users and items with some of the rows. `rows`: row indexes, a slice, or a bool for each row."""
    return msgspec.structs.replace(
        data,
        user_index=np.ascontiguousarray(data.user_index[rows], dtype=np.int32),
        item_index=np.ascontiguousarray(data.item_index[rows], dtype=np.int32),
        weights=np.ascontiguousarray(data.weights[rows], dtype=np.float32),
        ratings=np.ascontiguousarray(data.ratings[rows], dtype=np.float32),
        at_us=np.ascontiguousarray(data.at_us[rows], dtype=np.int64),
    )


def histories_of(
    data: Interactions, user_indexes: Sequence[int] | NDArray[Any], now_us: int | None = None
) -> Histories:
    """The rows of `user_indexes` in `data` as histories, each in order of time. `now_us`: by default `as_of_us`."""
    order = np.lexsort((data.item_index, data.at_us, data.user_index))
    indptr = row_pointers(data.user_index[order], len(data.users))
    users = np.asarray(user_indexes, dtype=np.int64)
    rows, pointers = _pieces(indptr, users)
    flat = order[rows]
    return Histories(
        indptr=pointers,
        items=data.item_index[flat],
        weights=data.weights[flat],
        ratings=data.ratings[flat],
        at_us=data.at_us[flat],
        group=data.user_group[users].astype(np.int32),
        now_us=np.full(len(users), data.as_of_us if now_us is None else now_us, dtype=np.int64),
    )


def take(histories: Histories, rows: Sequence[int] | NDArray[Any]) -> Histories:
    """The given rows, in the given order (repeats allowed), as a new batch."""
    chosen = np.asarray(rows, dtype=np.int64)
    flat, indptr = _pieces(histories.indptr, chosen)
    return Histories(
        indptr=indptr,
        items=histories.items[flat],
        weights=histories.weights[flat],
        ratings=histories.ratings[flat],
        at_us=histories.at_us[flat],
        group=histories.group[chosen],
        now_us=histories.now_us[chosen],
    )


def _pieces(indptr: NDArray[np.int64], rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(positions in the flat arrays of the values of `rows`, row after row; the `indptr` of the result)."""
    lengths = indptr[rows + 1] - indptr[rows]
    pointers = np.zeros(len(rows) + 1, dtype=np.int64)
    np.cumsum(lengths, out=pointers[1:])
    return np.repeat(indptr[rows] - pointers[:-1], lengths) + np.arange(pointers[-1]), pointers


def rows_with(histories: Histories, evidence: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether each row has at least one position where `evidence`, bool (n,), is true: bool (rows,)."""
    counts = np.zeros(len(evidence) + 1, dtype=np.int64)
    np.cumsum(evidence, out=counts[1:])
    return np.asarray(counts[histories.indptr[1:]] > counts[histories.indptr[:-1]])


def _rising(users: Indexes, items: Indexes) -> bool:
    """Whether the rows are sorted by (user, item) and no pair occurs twice."""
    return bool(((users[1:] > users[:-1]) | ((users[1:] == users[:-1]) & (items[1:] > items[:-1]))).all())


def _check(data: Interactions) -> None:
    n = len(data.user_index)
    for name in ("item_index", "weights", "ratings", "at_us"):
        if len(getattr(data, name)) != n:
            raise BadInput(f"interactions' {name}", f"{n} long, as user_index", len(getattr(data, name)))
    for name, known in (("user_index", len(data.users)), ("item_index", len(data.items))):
        column = getattr(data, name)
        if n and (column.min() < 0 or column.max() >= known):
            raise BadInput(f"interactions' {name}", f"in [0, {known})", (int(column.min()), int(column.max())))
    if data.attributes is not None and len(data.attributes.indptr) != len(data.items) + 1:
        must = f"{len(data.items) + 1} long, one more than items"
        raise BadInput("attributes' indptr", must, len(data.attributes.indptr))
    if len(data.user_group) != len(data.users):
        raise BadInput("interactions' user_group", f"{len(data.users)} long, as users", len(data.user_group))
    if n and not (np.isfinite(data.weights).all() and data.weights.min() >= 0):
        raise BadInput("interactions' weights", "finite and at least 0", float(data.weights.min()))
    if np.isinf(data.ratings).any():
        raise BadInput("interactions' ratings", "finite or nan for none", "an infinite rating")


def attributes_of(items: int, columns: Mapping[str, Sequence[Any]], least: int = 2) -> Attributes:
    """Encode `columns`, {name: a value for each item}: strings, integers, booleans, and lists of these.

    A value that fewer than `least` items share is left out, because it relates no items to each other (a title, for
    example). Floats are left out too.
    """
    pairs: dict[str, list[int]] = {}
    for name, column in columns.items():
        for item, value in enumerate(column):
            for element in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(element, (str, int)) and element != "":
                    pairs.setdefault(f"{name}={element}", []).append(item)
    names = sorted(name for name, having in pairs.items() if len(set(having)) >= least)
    holders = np.array([holder for name in names for holder in sorted(set(pairs[name]))], dtype=np.int64)
    name_index = np.array([index for index, name in enumerate(names) for _ in set(pairs[name])], dtype=np.int32)
    order = np.argsort(holders, kind="stable")
    return Attributes(names, row_pointers(holders, items), name_index[order])


def share_of_users(data: Interactions, share: float, seed: int) -> Interactions:
    """The rows of a random share of the users: what a round of successive halving learns from."""
    if share >= 1.0:
        return data
    kept = np.random.default_rng(seed).random(len(data.users)) < share
    return select_rows(data, kept[data.user_index])
