"""Stages: learns an order that retrieval cannot know, from the past alone, and comes back from its artifact."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from flyball.core import ArtifactCorrupt, BadDeclaration, Refused
from flyball.models import (
    TREES,
    ImplicitALS,
    Interactions,
    InteractionsPast,
    ItemKNN,
    LambdaMART,
    Popular,
    Stages,
    TrainingCut,
    histories_of,
    kind_of,
    load_artifact,
    model_of,
    params_of,
    save_artifact,
    trees_of,
)
from flyball.testing.model_checks import sample_interactions

SMALL, MOST = LambdaMART(n_estimators=30, num_leaves=4, min_data_in_leaf=5), 20


class Planted:
    """A past in which users like items of even numbers only, which one feature tells and no retriever can see."""

    def __init__(self) -> None:
        data = sample_interactions(users=80, items=40, pairs=700)
        self.now = msgspec.structs.replace(data, weights=np.ones(len(data.weights), np.float32))
        self.asked: list[int] = []

    def cuts(self, wanted: int, users: int, seed: int) -> Iterator[TrainingCut]:
        for place in range(wanted):
            rows = list(range(len(self.now.users)))
            seen = [self.now.item_index[self.now.user_index == row] for row in rows]
            even = np.arange(0, len(self.now.items), 2, dtype=np.int32)
            truth = [np.setdiff1d(even, each) for each in seen]
            histories = histories_of(self.now, rows)
            yield TrainingCut(place, self.now, self.now.users, histories, seen, truth)

    def features(self, users: Sequence[str], items: Sequence[str], at_us: int) -> NDArray[np.float64]:
        self.asked.append(at_us)
        return np.array([[float(int(item[1:]) % 2)] for item in items])


def planted_stages() -> Stages:
    return Stages((Popular(),), features=("film",), hashes={"film.odd": "0123"}, cuts=2, rank=SMALL, most=MOST)


def test_trees_learn_what_retrieval_cannot_know() -> None:
    past, model = Planted(), planted_stages()
    learned = model.fit_past(past, 1)
    assert set(past.asked) == {0, 1}
    batch = histories_of(past.now, range(5))
    pool = model.retrieved(learned, batch, [np.empty(0, np.int32)] * 5, 20)
    odd = np.where(pool.items >= 0, pool.items % 2, np.nan).astype(np.float64)[:, :, None]
    scores = model.ranked(trees_of(learned), pool, odd)
    for row in range(5):
        best = pool.items[row][np.argsort(-scores[row], kind="stable")]
        evens = int((pool.items[row] % 2 == 0).sum())
        assert (best[:evens] % 2 == 0).all()
        assert (best[evens:] % 2 == 1).all()


def test_a_row_has_the_same_bits_in_any_batch_and_a_fit_in_any_run() -> None:
    past, model = Planted(), planted_stages()
    learned, again = model.fit_past(past, 1), model.fit_past(Planted(), 1)
    assert learned.keys() == again.keys()
    assert all(
        np.array_equal(learned[name], again[name], equal_nan=True)
        for name in learned
        if learned[name].dtype.kind != "U"
    )
    nothing = [np.empty(0, np.int32)]
    together = model.retrieved(learned, histories_of(past.now, range(9)), nothing * 9, 20)
    features = np.random.default_rng(1).random((9, 20, 1))
    scores = model.ranked(trees_of(learned), together, features)
    for row in range(9):
        alone = model.retrieved(learned, histories_of(past.now, [row]), nothing, 20)
        assert alone.columns.tobytes() == together.columns[row : row + 1].tobytes()
        assert model.ranked(trees_of(learned), alone, features[row : row + 1]).tobytes() == scores[row].tobytes()


def test_cuts_hold_nothing_of_their_future() -> None:
    data = sample_interactions(users=200, pairs=3_000)
    cuts = list(InteractionsPast(data).cuts(3, 1_000, 0))
    assert len(cuts) == 3
    for cut, later in zip(cuts, [*cuts[1:], None], strict=True):
        assert (cut.data.at_us < cut.at_us).all()
        assert cut.histories.at_us.max() < cut.at_us
        for user, truth, seen in zip(cut.users, cut.truth, cut.seen, strict=True):
            mine = data.user_index == data.users.index(user)
            for item in truth.tolist():
                at = int(data.at_us[mine & (data.item_index == item)][0])
                assert cut.at_us <= at
                assert later is None or at < later.at_us
            assert not set(truth.tolist()) & set(seen.tolist())


def test_the_artifact_holds_the_trees_as_text_and_the_retrievers_as_models(tmp_path: Path) -> None:
    past = Planted()
    model = msgspec.structs.replace(planted_stages(), retrieve=(ImplicitALS(4, iterations=2), ItemKNN(5)))
    learned = model.fit_past(past, 1)
    hashes = save_artifact(
        tmp_path / "v1", {"kind": kind_of(model), "params": params_of(model)}, learned, past.now.items
    )
    assert (tmp_path / "v1" / "trees.txt").read_text().startswith("tree\n")
    loaded = load_artifact(tmp_path / "v1", hashes)
    assert model_of(loaded) == model
    assert np.array_equal(loaded.arrays[TREES], learned[TREES])
    place = tmp_path / "v1" / "trees.txt"
    place.chmod(0o644)
    place.write_bytes(place.read_bytes().replace(b"num_leaves=4", b"num_leaves=3", 1))
    with pytest.raises(ArtifactCorrupt, match="trees.txt"):
        load_artifact(tmp_path / "v1")


def test_too_little_past_keeps_the_order_of_retrieval() -> None:
    one = np.zeros(1, np.int32)
    data = Interactions(
        ["u"],
        ["a", "b"],
        one,
        one,
        np.ones(1, np.float32),
        np.full(1, np.nan, np.float32),
        np.ones(1, np.int64),
        np.full(1, -1, np.int32),
        [],
        5,
    )
    model = Stages((Popular(),))
    learned = model.fit(data, 0)
    assert trees_of(learned) is None
    assert model.score(learned, histories_of(data, [0]))[0].argmax() == 0


def test_what_is_refused() -> None:
    with pytest.raises(BadDeclaration, match="retrieve"):
        Stages(())
    with pytest.raises(BadDeclaration, match="got 'Stages'"):
        Stages((Stages(),))
    with pytest.raises(BadDeclaration, match="num_leaves"):
        Stages(rank=LambdaMART(num_leaves=1))
    with pytest.raises(Refused, match="features"):
        Stages(features=("film",)).fit(sample_interactions(), 0)


def test_columns_are_named_by_what_retrieved() -> None:
    one = Stages((ImplicitALS(4), ItemKNN()), features=())
    assert one.column_names == (
        "ImplicitALS.score",
        "ImplicitALS.place",
        "ItemKNN.score",
        "ItemKNN.place",
        "history.items",
        "history.liked",
        "item.likes",
    )
    two = Stages((ItemKNN(5), Popular(), ItemKNN(9)), features=())
    assert [name for name in two.column_names if name.endswith("score")] == [
        "ItemKNN1.score",
        "Popular.score",
        "ItemKNN2.score",
    ]
