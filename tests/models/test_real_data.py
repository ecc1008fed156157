"""ml-100k, when it is present: the published tables are reached through fold-in alone."""

import msgspec
import numpy as np
import pytest
from tests.data import real

from flyball.models import EASE, BiasedMF, BiasModel, ImplicitALS, Interactions, ItemKNN, Popular, histories_of, top_k

pytestmark = pytest.mark.data


@pytest.fixture(scope="module")
def data() -> Interactions:
    rows = np.loadtxt(real("ml-100k", "u.data"), dtype=np.int64)
    return Interactions(
        users=[str(user) for user in range(943)],
        items=[str(item) for item in range(1682)],
        user_index=(rows[:, 0] - 1).astype(np.int32),
        item_index=(rows[:, 1] - 1).astype(np.int32),
        weights=np.ones(len(rows), dtype=np.float32),
        ratings=rows[:, 2].astype(np.float32),
        at_us=rows[:, 3] * 1_000_000,
        user_group=np.full(943, -1, dtype=np.int32),
        groups=[],
        as_of_us=int(rows[:, 3].max()) * 1_000_000 + 1,
    )


def _split(data: Interactions, held: np.ndarray) -> tuple[Interactions, Interactions]:
    columns = ("user_index", "item_index", "weights", "ratings", "at_us")
    parts = [{name: getattr(data, name)[rows] for name in columns} for rows in (~held, held)]
    return msgspec.structs.replace(data, **parts[0]), msgspec.structs.replace(data, **parts[1])


def test_rating_error_is_below_the_published_tables(data: Interactions) -> None:
    """Surprise's table, 5 folds: baseline .944, SVD .934, SVD++ .919. One fold here, all in the benchmark."""
    train, test = _split(data, np.random.default_rng(0).integers(0, 5, len(data.user_index)) == 0)
    histories = histories_of(train, test.user_index)

    def error(model: BiasModel | BiasedMF) -> float:
        predicted = model.predict_rating(model.fit(train, 1), histories, test.item_index)
        return float(np.sqrt(np.mean((predicted - test.ratings) ** 2)))

    bias, factors = error(BiasModel()), error(BiasedMF())
    assert bias < 0.955
    assert factors < 0.919
    assert factors < bias - 0.02


def test_lists_are_far_better_than_popular(data: Interactions) -> None:
    """75/25 for each user, all items ranked, ndcg@10; published: SAR .382, LightGCN .420, BPR .442, BiVAE .475."""
    rng, held = np.random.default_rng(42), np.zeros(len(data.user_index), dtype=bool)
    for user in range(943):
        rows = rng.permutation(np.flatnonzero(data.user_index == user))
        held[rows[round(0.75 * len(rows)) :]] = True
    train, test = _split(data, held)
    users = np.arange(943, dtype=np.int32)
    histories = histories_of(train, users)
    seen = [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(943)]
    wanted = np.zeros((943, 1682), dtype=bool)
    wanted[test.user_index, test.item_index] = True
    discounts = 1 / np.log2(np.arange(2, 12))

    def ndcg(model: Popular | ItemKNN | ImplicitALS | EASE) -> float:
        items, _ = top_k(model.score(model.fit(train, 1), histories), seen, 10)
        gained = (wanted[users[:, None], items] * discounts).sum(axis=1)
        ideal = np.array([discounts[:count].sum() for count in wanted.sum(axis=1)])
        return float(np.mean(gained / ideal))

    popular = ndcg(Popular())
    assert ndcg(ItemKNN()) > max(0.37, 1.3 * popular)
    assert ndcg(ImplicitALS()) > max(0.45, 1.5 * popular)
    assert ndcg(EASE()) > max(0.475, 1.5 * popular)
