"""Items nobody likes yet are reached through their attributes; the planted genre decides."""

import msgspec
import numpy as np
import pytest

from flyball.core import BadInput
from flyball.models import Hybrid, ImplicitALS, Interactions, attributes_of, canonical, histories_of
from flyball.testing.model_checks import sample_interactions

GENRES, OLD, NEW = 4, 20, 5
"""Of each genre so many items with likes, and so many that nobody knows yet."""


def _world(users: int = 80) -> Interactions:
    """User u likes half of the old items of genre u % 4; items of a genre lie together, the new ones last."""
    rng, size = np.random.default_rng(0), GENRES * (OLD + NEW)
    rows = [
        (u, u % GENRES * (OLD + NEW) + i) for u in range(users) for i in np.sort(rng.choice(OLD, 10, replace=False))
    ]
    user_index, item_index = np.array(rows, dtype=np.int32).T
    n = len(rows)
    return Interactions(
        users=[f"u{user}" for user in range(users)],
        items=[f"i{item}" for item in range(size)],
        user_index=user_index,
        item_index=item_index,
        weights=np.ones(n, dtype=np.float32),
        ratings=np.full(n, np.nan, dtype=np.float32),
        at_us=np.arange(n, dtype=np.int64),
        user_group=np.full(users, -1, dtype=np.int32),
        groups=[],
        as_of_us=n,
        attributes=attributes_of(
            size,
            {
                "genre": [[f"g{item // (OLD + NEW)}", "film"] for item in range(size)],
                "title": [f"t{i}" for i in range(size)],
            },
        ),
    )


def _new() -> np.ndarray:
    return np.array([g * (OLD + NEW) + OLD + i for g in range(GENRES) for i in range(NEW)])


def test_new_items_of_ones_genre_come_before_new_items_of_others() -> None:
    data = _world()
    model = Hybrid(ImplicitALS(factors=16))
    scores = model.score(model.fit(data, 1), histories_of(data, np.arange(GENRES)))
    for user in range(GENRES):
        order = _new()[np.argsort(-scores[user, _new()])]
        assert set(order[:NEW].tolist()) == {user * (OLD + NEW) + OLD + i for i in range(NEW)}


def test_without_attributes_it_is_als_and_new_items_are_not_scored() -> None:
    data = msgspec.structs.replace(_world(), attributes=None)
    plain, hybrid = ImplicitALS(factors=16).fit(data, 1), Hybrid(ImplicitALS(factors=16)).fit(data, 1)
    assert {name: array.tobytes() for name, array in plain.items()} == {n: a.tobytes() for n, a in hybrid.items()}
    assert np.isneginf(Hybrid(ImplicitALS(factors=16)).score(hybrid, histories_of(data, [0]))[0, _new()]).all()


def test_the_factors_are_the_ridge_regression_on_the_values_mixed_by_likes() -> None:
    data = sample_interactions()
    als, model = ImplicitALS(factors=8), Hybrid(ImplicitALS(factors=8), reg=0.7, trust=4.0, shrink=3.0)
    y, got = als.fit(data, 2)["item_factors"].astype(np.float64), model.fit(data, 2)["item_factors"]
    size, known = len(data.items), data.attributes
    assert known is not None
    values = np.zeros((size, len(known.names)))
    values[np.repeat(np.arange(size), np.diff(known.indptr)), known.index] = 1.0
    values /= np.sqrt(values.sum(axis=0))
    values /= np.sqrt((values**2).sum(axis=1, keepdims=True))
    rows = canonical(data)
    likes = np.bincount(rows.item_index, weights=rows.weights, minlength=size)
    trust = np.diag(likes / (likes + 4.0))
    mapping = np.linalg.solve(values.T @ trust @ values + 0.7 * np.eye(values.shape[1]), values.T @ trust @ y)
    own = likes / (likes + 3.0)
    assert (likes == 0).any()
    assert got == pytest.approx(own[:, None] * y + (1 - own)[:, None] * (values @ mapping), abs=1e-4)


def test_a_new_item_that_a_user_likes_counts_at_once() -> None:
    data = _world()
    model = Hybrid(ImplicitALS(factors=16))
    learned = model.fit(data, 1)
    liked = msgspec.structs.replace(histories_of(data, [0]), items=np.full(10, 3 * (OLD + NEW) + OLD, dtype=np.int32))
    best = np.argsort(-model.score(learned, liked)[0])[:10]
    assert set((best // (OLD + NEW)).tolist()) == {3}


def test_values_are_what_several_items_share() -> None:
    found = attributes_of(
        4,
        {
            "genre": [["a", "b"], ["a"], None, ["b", "b"]],
            "title": ["w", "x", "y", "z"],
            "year": [1990, 1990, 1.5, None],
        },
    )
    assert found.names == ["genre=a", "genre=b", "year=1990"]
    assert found.indptr.tolist() == [0, 3, 5, 5, 6]
    assert found.index.tolist() == [0, 1, 2, 0, 2, 1]
    with pytest.raises(BadInput, match="attributes"):
        canonical(msgspec.structs.replace(_world(), attributes=found))
