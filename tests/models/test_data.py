"""The structs, and what a declaration must be."""

import subprocess
import sys

import msgspec
import numpy as np
import pytest

from flyball.core import BadDeclaration, BadInput
from flyball.models import (
    EASE,
    BiasedMF,
    ImplicitALS,
    ItemKNN,
    Popular,
    best_items,
    canonical,
    histories_of,
    rows_with,
    take,
    top_k,
)
from flyball.testing.model_checks import sample_interactions


def test_canonical_sorts_and_keeps_the_latest_of_a_pair():
    data = sample_interactions(users=3, items=6, pairs=4)
    twice = msgspec.structs.replace(
        data,
        **{
            name: np.concatenate([getattr(data, name), getattr(data, name)])
            for name in ("user_index", "item_index", "ratings")
        },
        weights=np.concatenate([data.weights, np.full(4, 0.5, dtype=np.float32)]),
        at_us=np.concatenate([data.at_us, data.at_us + 1]),
    )
    ordered = canonical(twice)
    assert len(ordered.user_index) == 4
    assert (ordered.weights == 0.5).all()
    pairs = list(zip(ordered.user_index.tolist(), ordered.item_index.tolist(), strict=True))
    assert pairs == sorted(set(pairs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"user_index": np.array([99], dtype=np.int32)}, "weights|long"),
        ({"weights": np.array([-1.0] * 4, dtype=np.float32)}, "weights"),
        ({"ratings": np.array([np.inf] * 4, dtype=np.float32)}, "ratings"),
        ({"item_index": np.array([6] * 4, dtype=np.int32)}, "item_index"),
        ({"user_group": np.zeros(1, dtype=np.int32)}, "user_group"),
    ],
)
def test_bad_interactions_are_named(change, message):
    data = msgspec.structs.replace(sample_interactions(users=3, items=6, pairs=4), **change)
    with pytest.raises(BadInput, match=message):
        canonical(data)


def test_histories_come_in_order_of_time_and_can_be_taken_apart():
    data = sample_interactions()
    histories = histories_of(data, [5, 0, 5], now_us=77)
    assert histories.rows == 3
    for row, user in enumerate([5, 0, 5]):
        one = take(histories, [row])
        assert sorted(one.items.tolist()) == sorted(data.item_index[data.user_index == user].tolist())
        assert (np.diff(one.at_us) >= 0).all()
        assert one.now_us.tolist() == [77]
        assert one.group[0] == data.user_group[user]
    assert take(histories, []).rows == 0
    assert rows_with(histories, histories.items < 0).tolist() == [False] * 3


@pytest.mark.parametrize(
    "declare",
    [
        lambda: ItemKNN(k=0),
        lambda: ItemKNN(shrink=-1),
        lambda: EASE(l2=0),
        lambda: EASE(items=0),
        lambda: ImplicitALS(factors=0),
        lambda: ImplicitALS(reg=0.0),
        lambda: ImplicitALS(solver="lu"),
        lambda: BiasedMF(epochs=0),
        lambda: BiasedMF(fold_in_reg=0),
        lambda: Popular(half_life="0s"),
        lambda: Popular(smoothing=0),
    ],
)
def test_impossible_parameters_are_refused_when_declared(declare):
    with pytest.raises(BadDeclaration):
        declare()


def test_top_k_names_what_is_wrong():
    scores = np.zeros((1, 3), dtype=np.float32)
    with pytest.raises(BadInput, match="at least 1"):
        top_k(scores, [np.empty(0, dtype=np.int32)], 0)
    with pytest.raises(BadInput, match="excluded item"):
        top_k(scores, [np.array([3], dtype=np.int32)], 1)
    with pytest.raises(BadInput, match="one array"):
        top_k(scores, [], 1)


def test_best_items_of_many_rows_are_those_of_all_scores_at_once():
    data = sample_interactions(users=70, items=150, pairs=900)
    histories = histories_of(data, list(range(70)))
    seen = [histories.items[histories.indptr[b] : histories.indptr[b + 1]] for b in range(70)]
    model = ImplicitALS(factors=8, iterations=1)
    learned = model.fit(data, 0)
    whole = top_k(model.score(learned, histories), seen, 10)
    for found, wanted in zip(best_items(model, learned, histories, seen, 10), whole, strict=True):
        assert found.shape == (70, 10)
        assert found.tobytes() == wanted.tobytes()
    with pytest.raises(BadInput, match="one array"):
        best_items(model, learned, histories, seen[:1], 10)


def test_declaring_and_loading_compile_nothing():
    code = (
        "import sys, flyball.models as m; m.ImplicitALS(64); m.EASE(); m.BiasedMF(); sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
