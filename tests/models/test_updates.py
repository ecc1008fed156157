"""How near an update is to a fit on everything, model by model; the bounds are those the documentation states."""

from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flyball.models import BPR, BiasedMF, ImplicitALS, Interactions, ItemKNN, UserKNN, histories_of, rated, select_rows
from flyball.models.recommenders.item_knn import _MOST_STALE, fingerprints_of
from flyball.testing.model_checks import sample_interactions

COLUMNS = ("user_index", "item_index", "weights", "ratings", "at_us")


def _same(must: dict[str, np.ndarray], got: dict[str, np.ndarray]) -> None:
    assert must.keys() == got.keys()
    for name in must:
        assert must[name].tobytes() == got[name].tobytes(), name


def _clusters(seed: int = 0, groups: int = 12) -> Interactions:
    """Users who only like items of their group, so that a change reaches few lists."""
    rng = np.random.default_rng(seed)
    user_index, item_index = [], []
    for group in range(groups):
        for user in range(8):
            liked = rng.choice(10, 5, replace=False)
            user_index += [group * 8 + user] * 5
            item_index += (group * 10 + np.sort(liked)).tolist()
    data = sample_interactions(users=groups * 8, items=groups * 10, pairs=len(user_index))
    n = len(user_index)
    return msgspec.structs.replace(
        data,
        users=[f"u{user:04}" for user in range(groups * 8)],
        items=[f"i{item:04}" for item in range(groups * 10)],
        user_index=np.array(user_index, dtype=np.int32),
        item_index=np.array(item_index, dtype=np.int32),
        weights=rng.choice(np.array([0.25, 1.0], dtype=np.float32), n),
        ratings=np.full(n, np.nan, dtype=np.float32),
        at_us=np.zeros(n, dtype=np.int64),
        attributes=None,
    )


@given(
    seed=st.integers(0, 50),
    gone=st.sets(st.integers(0, 479), max_size=3),
    turned=st.sets(st.integers(0, 479), max_size=3),
)
@settings(max_examples=40, deadline=None)
def test_an_update_of_item_neighbors_has_the_bits_of_a_fit(seed: int, gone: set[int], turned: set[int]) -> None:
    """Likes come, go and change their weight; users and items come."""
    whole = _clusters(seed)
    model = ItemKNN(k=4, shrink=2.0)
    late_users, late_items = np.arange(96) >= 94, np.arange(120) % 40 == 7
    early = ~late_users[whole.user_index] & ~late_items[whole.item_index]
    kept_items = np.flatnonzero(~late_items)
    before = select_rows(whole, early)
    before = msgspec.structs.replace(
        before,
        items=[whole.items[item] for item in kept_items],
        item_index=np.searchsorted(kept_items, before.item_index).astype(np.int32),
    )
    weights = whole.weights.copy()
    for row in turned:
        weights[row] = 1.25 - weights[row]
    for row in gone:
        weights[row] = 0.0
    now = msgspec.structs.replace(whole, weights=weights)
    _same(model.fit(now, 0), model.update(model.fit(before, 0), before.items, now, 0))


def test_an_update_of_item_neighbors_makes_few_lists_again(monkeypatch: pytest.MonkeyPatch) -> None:
    data, model, made = _clusters(), ItemKNN(k=4), []
    learned = model.fit(data, 0)
    weights = data.weights.copy()
    weights[3] = 1.25 - weights[3]
    lists = ItemKNN._lists

    def counted(self: ItemKNN, liked: Interactions, wanted: np.ndarray) -> Any:
        made.append(int(wanted.sum()))
        return lists(self, liked, wanted)

    monkeypatch.setattr(ItemKNN, "_lists", counted)
    now = msgspec.structs.replace(data, weights=weights)
    _same(model.fit(now, 0), model.update(learned, data.items, now, 0))
    assert made == [120, made[1]]
    assert 0 < made[1] <= 10 < _MOST_STALE * 120


def test_marks_do_not_depend_on_the_order_of_users_or_items() -> None:
    data = _clusters()
    users, items = np.random.default_rng(1).permutation(96), np.random.default_rng(2).permutation(120)
    turned = msgspec.structs.replace(
        data,
        users=[data.users[user] for user in np.argsort(users)],
        items=[data.items[item] for item in np.argsort(items)],
        user_index=users[data.user_index].astype(np.int32),
        item_index=items[data.item_index].astype(np.int32),
    )
    assert (fingerprints_of(data) == fingerprints_of(turned)[items]).all()
    assert len(set(fingerprints_of(data).tolist())) == 120


def test_an_update_of_user_neighbors_is_a_fit() -> None:
    data = sample_interactions()
    early = select_rows(data, data.user_index < 40)
    _same(UserKNN().fit(data, 0), UserKNN().update(UserKNN().fit(early, 0), early.items, data, 0))


def _parts() -> tuple[Interactions, Interactions]:
    """Everything, and what was known when a tenth was missing."""
    data = sample_interactions(users=200, items=60, pairs=4_000)
    return data, select_rows(data, np.random.default_rng(5).random(len(data.user_index)) < 0.9)


def test_an_update_of_als_leaves_the_loss_of_a_fit_within_a_hundredth() -> None:
    from tests.models.losses import als_loss

    data, early = _parts()
    model = ImplicitALS(factors=16)
    updated = model.update(model.fit(early, 1), early.items, data, 1)

    class Updated(ImplicitALS, frozen=True):
        def fit(self, data: Interactions, seed: int) -> dict[str, np.ndarray]:
            return updated

    assert als_loss(Updated(factors=16), data) == pytest.approx(als_loss(model, data), rel=0.01)


def test_an_update_of_biased_svd_leaves_at_most_a_hundredth_more_error_than_a_fit() -> None:
    data, early = _parts()
    model, ratings = BiasedMF(factors=8), rated(data)
    histories = histories_of(data, np.arange(len(data.users)))

    def error(learned: dict[str, np.ndarray]) -> float:
        rows = ratings.user_index.astype(np.int64)
        predicted = model.predict_pairs(learned, histories, rows, ratings.item_index)
        return float(np.sqrt(np.mean((predicted - ratings.ratings) ** 2)))

    updated = model.update(model.fit(early, 1), early.items, data, 1)
    assert error(updated) < 1.01 * error(model.fit(data, 1))


def test_an_update_of_bpr_orders_as_many_pairs_rightly_within_a_fiftieth() -> None:
    data, early = _parts()
    model = BPR(factors=8, epochs=40)
    histories = histories_of(data, np.arange(len(data.users)))
    wanted = np.zeros((len(data.users), len(data.items)), dtype=bool)
    liked = data.weights > 0
    wanted[data.user_index[liked], data.item_index[liked]] = True

    def right(learned: dict[str, np.ndarray]) -> float:
        scores = np.nan_to_num(model.score(learned, histories), neginf=-1e9)
        shares = [
            (own[mine][:, None] > own[~mine][None, :]).mean()
            for own, mine in zip(scores, wanted, strict=True)
            if mine.any()
        ]
        return float(np.mean(shares))

    updated = model.update(model.fit(early, 1), early.items, data, 1)
    assert right(updated) > right(model.fit(data, 1)) - 0.02
