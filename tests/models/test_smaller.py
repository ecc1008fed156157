"""Smaller forms of models: what they keep is what they should, and what they lose is bounded."""

import msgspec
import numpy as np
import pytest

from flyball.core import BadDeclaration
from flyball.models import (
    BPR,
    EASE,
    SLIM,
    Blend,
    Distilled,
    ImplicitALS,
    Interactions,
    ItemKNN,
    Pruned,
    Recommender,
    SparseEASE,
    histories_of,
    positives,
    take,
    top_k,
)
from flyball.models.recommenders.ease import DENSE_ITEMS
from flyball.testing.model_checks import sample_interactions


def _matrix(learned: dict[str, np.ndarray], size: int) -> np.ndarray:
    dense = np.zeros((size, size), dtype=np.float32)
    if "weights" in learned:
        dense[np.ix_(learned["kept"], learned["kept"])] = learned["weights"]
        return dense
    for j in range(size):
        part = slice(learned["near_ptr"][j], learned["near_ptr"][j + 1])
        dense[j, learned["near"][part]] = learned["similarities"][part]
    return dense


INNER: list[Recommender] = [EASE(l2=5.0), SparseEASE(candidates=20), SLIM(l1=0.1, l2=5.0), ItemKNN(k=30)]


@pytest.mark.parametrize("model", INNER, ids=lambda model: model.kind)
def test_of_each_column_the_largest_weights_stay(model: Recommender) -> None:
    data = sample_interactions()
    size = len(data.items)
    whole = _matrix(model.fit(data, 3), size)
    pruned = _matrix(Pruned(model, keep=4).fit(data, 3), size)
    for item in range(size):
        column = whole[:, item]
        best = [j for j in sorted(range(size), key=lambda j: (-abs(column[j]), j)) if column[j] != 0][:4]
        expected = np.zeros(size, dtype=np.float32)
        expected[best] = column[best]
        assert (pruned[:, item] == expected).all()


def test_nothing_pruned_scores_as_the_whole() -> None:
    data = sample_interactions()
    histories = histories_of(data, np.arange(len(data.users)))
    whole, pruned = EASE(l2=5.0), Pruned(EASE(l2=5.0), keep=1_000)
    scores, others = (model.score(model.fit(data, 0), histories) for model in (whole, pruned))
    known = np.isfinite(others)
    assert known.sum() > 0.5 * known.size
    assert others[known] == pytest.approx(scores[known], abs=1e-5)


def test_what_cannot_be_pruned_is_refused() -> None:
    for model in (None, BPR(), EASE, Pruned()):
        with pytest.raises(BadDeclaration, match="Pruned's model must be one of EASE, SparseEASE, SLIM"):
            Pruned(model)  # type: ignore[arg-type]  # as an application may write it


TEACHER = Blend((EASE(l2=5.0), ItemKNN()), folds=2)


def test_the_student_learns_from_the_likes_and_the_teachers_best() -> None:
    data = sample_interactions()
    model, liked = Distilled(teacher=TEACHER, depth=3, weight=0.2), positives(data)
    blend = TEACHER
    learned = blend.fit(data, 1)
    taught = model.taught(liked, learned)
    before, now = (
        {(int(user), int(item)): float(weight) for user, item, weight in zip(*rows, strict=True)}
        for rows in ((each.user_index, each.item_index, each.weights) for each in (liked, taught))
    )
    assert before.items() <= now.items()
    known = set(liked.item_index.tolist())
    for user in range(len(data.users)):
        own = {item for one, item in before if one == user}
        histories = histories_of(liked, [user])
        scores = blend.score(learned, histories)[0]
        able = [item for item in known - own if np.isfinite(scores[item])]
        best = sorted(able, key=lambda item: (-scores[item], item))[:3]
        added = {item: weight for (one, item), weight in now.items() if one == user and item not in own}
        assert added == {item: pytest.approx(0.2) for item in best}


def test_a_student_lists_what_its_teacher_lists_more_than_one_without() -> None:
    data = sample_interactions(users=200, items=60, pairs=3_000)
    histories = histories_of(positives(data), np.arange(len(data.users)))
    seen = [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(histories.rows)]
    blend = TEACHER
    wanted, _ = top_k(blend.score(blend.fit(data, 1), histories), seen, 5)

    def shared(model: Recommender) -> float:
        found, _ = top_k(model.score(model.fit(data, 1), histories), seen, 5)
        return float(np.mean([len(set(a) & set(b)) for a, b in zip(found.tolist(), wanted.tolist(), strict=True)]))

    student = ImplicitALS(factors=16)
    assert shared(Distilled(TEACHER, student, weight=0.3)) > shared(ImplicitALS(factors=16)) + 0.3


def test_the_artifact_of_a_student_holds_no_teacher() -> None:
    data: Interactions = sample_interactions()
    plain = ImplicitALS(factors=16).fit(data, 0)
    taught = Distilled(TEACHER, ImplicitALS(factors=16)).fit(data, 0)
    assert {name: array.shape for name, array in taught.items()} == {name: a.shape for name, a in plain.items()}


def test_a_large_catalog_leaves_nobody_without_a_list_by_default() -> None:
    users, items = 600, DENSE_ITEMS + 1
    rng = np.random.default_rng(2)
    liked = np.concatenate([rng.permutation(items), rng.integers(0, items, users * 30 - items)]).astype(np.int32)
    pairs = np.unique(np.stack([np.arange(len(liked)) % users, liked]), axis=1)
    data = msgspec.structs.replace(
        sample_interactions(users=users, items=items, pairs=pairs.shape[1]),
        user_index=pairs[0].astype(np.int32),
        item_index=pairs[1].astype(np.int32),
        weights=np.ones(pairs.shape[1], np.float32),
        ratings=np.full(pairs.shape[1], np.nan, np.float32),
        at_us=np.arange(pairs.shape[1], dtype=np.int64),
        attributes=None,
    )
    model, narrow = EASE(), EASE(items=50)
    learned = model.fit(data, 1)
    in_blocks = SparseEASE(l2=model.l2).fit(data, 1)
    assert {name: array.tobytes() for name, array in learned.items()} == {n: a.tobytes() for n, a in in_blocks.items()}
    histories = histories_of(data, np.arange(users))
    assert np.isfinite(model.score(learned, histories)).any(axis=1).all()
    assert not np.isfinite(narrow.score(narrow.fit(data, 1), histories)).any(axis=1).all()
    assert "10,001 items" in model.note(data)
    assert narrow.note(data) == "recommends the 50 most popular of 10,001 items only"
    assert model.explain(learned, take(histories, [0]), int(learned["near"][0])) is not None
    assert EASE().note(sample_interactions()) == ""
