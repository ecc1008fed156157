"""Checks that every recommender must pass. Run them over `MODELS`, and over your own class:

    @pytest.mark.parametrize("check", MODEL_CHECKS, ids=lambda check: check.__name__)
    def test_my_model(check, tmp_path):
        check(MyModel(), tmp_path)

Each check raises `AssertionError` and says what is wrong. A check of an optional capability (ratings, explanations,
similar items, new items) passes for a model without it; `capabilities` lists those of a model, so that a test can
count which models a check covers.

A model must accept 60 users and 47 items with 900 interactions, 40 users and 20 items and the reverse, and the matrices
of `degenerate_interactions`: one user, one item, no rows, no positives, equal rows. If a library needs more users,
items or distinct values than there are, its wrapper limits its parameters, such as `min(64, items)` components. From
data that it cannot use, it learns arrays that score -inf; the pipeline then answers from the fallback lists.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
from numpy.typing import NDArray

from flyball.models import (
    Attributes,
    Histories,
    Interactions,
    Recommender,
    attributes_of,
    explains,
    histories_of,
    kind_of,
    knows_similar,
    load_artifact,
    model_of,
    params_of,
    places_new,
    predicts_ratings,
    save_artifact,
    take,
    top_k,
    updates,
)

Check = Callable[[Recommender, Path], None]

_DAY_US = 86_400_000_000


def capabilities(model: Recommender) -> set[str]:
    """The names of the optional capabilities of the model; "personal": lists differ by user."""
    claims = {
        "explain": explains(model),
        "similar": knows_similar(model),
        "ratings": predicts_ratings(model),
        "personal": _personal(model),
        "update": updates(model),
        "new items": places_new(model),
    }
    return {name for name, claimed in claims.items() if claimed}


def sample_interactions(users: int = 60, items: int = 47, pairs: int = 900, seed: int = 3) -> Interactions:
    """Random interactions with popular items, weak positives, seen-only pairs, ratings, groups and unused items."""
    rng = np.random.default_rng(seed)
    popularity = 1.0 / np.arange(1, items - 1)  # the last two items are known but without interactions
    cells = rng.choice(
        users * (items - 2), size=min(pairs, users * (items - 2)), replace=False, p=_tile(popularity, users)
    )
    rated = rng.random(len(cells)) < 0.6
    return Interactions(
        users=[f"u{user}" for user in range(users)],
        items=[f"i{item}" for item in range(items)],
        user_index=(cells // (items - 2)).astype(np.int32),
        item_index=(cells % (items - 2)).astype(np.int32),
        weights=rng.choice(np.array([0.0, 0.25, 1.0], dtype=np.float32), len(cells), p=[0.15, 0.15, 0.7]),
        ratings=np.where(rated, rng.integers(1, 6, len(cells)), np.nan).astype(np.float32),
        at_us=rng.integers(0, 30 * _DAY_US, len(cells)),
        user_group=rng.integers(-1, 2, users).astype(np.int32),
        groups=["east", "west"],
        as_of_us=30 * _DAY_US,
        attributes=attributes_of(
            items,
            {"kind": [f"k{item % 5}" for item in range(items)], "tags": [["t", item % 3] for item in range(items)]},
        ),
    )


def checkerboard(users: int = 40, items: int = 20) -> tuple[Interactions, Histories, int]:
    """Users and items of two colors; every user likes all items of the same color. One positive is withheld.

    Returns the interactions without it, the history of its user, and the withheld item. It is the only item that this
    user has not seen and that all users of the same color like, so it must be recommended first.
    """
    cells = [(user, item) for user in range(users) for item in range(items) if (user + item) % 2 == 0]
    withheld = (users // 2 * 2 - 2, items // 2 * 2 - 2)
    cells.remove(withheld)
    user_index, item_index = np.array(cells, dtype=np.int32).T
    data = _interactions(users, items, user_index, item_index, ratings=5.0)
    return data, histories_of(data, [withheld[0]]), withheld[1]


def rated_board(users: int = 40, items: int = 20) -> tuple[Interactions, Histories, int]:
    """The checkerboard for models of ratings: a user rates items of the same color 5 and the others 1.

    One item of each color is withheld from one user. Returns the interactions without them, the history of that user,
    and the withheld item of the user's color; the other one is the item before it.
    """
    user, withheld = users // 2 * 2 - 2, items // 2 * 2 - 2
    cells = np.array([(u, i) for u in range(users) for i in range(items)], dtype=np.int32)
    cells = cells[~((cells[:, 0] == user) & np.isin(cells[:, 1], (withheld, withheld - 1)))]
    own = cells.sum(axis=1) % 2 == 0
    data = _interactions(users, items, cells[:, 0], cells[:, 1])
    weights, ratings = own.astype(np.float32), np.where(own, 5.0, 1.0).astype(np.float32)
    data = msgspec.structs.replace(data, weights=weights, ratings=ratings)
    return data, histories_of(data, [user]), withheld


def check_purity(model: Recommender, folder: Path) -> None:
    """Scoring changes neither the learned arrays nor the histories, and gives the same scores twice."""
    data, learned, histories = _fitted(model)
    frozen = {name: array.copy() for name, array in learned.items()}
    question = msgspec.structs.replace(histories, items=histories.items.copy(), weights=histories.weights.copy())
    first, second = model.score(learned, histories), model.score(learned, histories)
    _same_bits(first, second, "a second score of the same question")
    _same_arrays(frozen, learned, "learned arrays after scoring")
    _same_bits(question.items, histories.items, "history after scoring")
    _same_bits(question.weights, histories.weights, "weights after scoring")
    assert first.dtype == np.float32, f"scores must be float32, got {first.dtype}"
    assert first.shape == (histories.rows, len(data.items)), f"scores must be (rows, items), got {first.shape}"
    assert np.all(first < np.inf), "scores must be finite or -inf"


def check_batches(model: Recommender, folder: Path) -> None:
    """The scores of a row have the same bits alone, in any batch and at any position of it; also predicted ratings."""
    data, learned, histories = _fitted(model)
    together = model.score(learned, histories)
    rng = np.random.default_rng(5)
    for size in (1, 2, 3, 4, 5, 7, 16, 33):
        rows = rng.integers(0, histories.rows, size)
        _same_bits(model.score(learned, take(histories, list(rows))), together[rows], f"rows in a batch of {size}")
    if predicts_ratings(model):
        items = rng.integers(0, len(data.items), histories.rows).astype(np.int32)
        ratings = model.predict_rating(learned, histories, items)
        assert ratings.dtype == np.float32, f"ratings must be float32, got {ratings.dtype}"
        assert np.isfinite(ratings).all(), "predicted ratings must be finite"
        for row in range(0, histories.rows, 7):
            alone = model.predict_rating(learned, take(histories, [row]), items[row : row + 1])
            _same_bits(alone, ratings[row : row + 1], "a rating predicted alone")


def check_seeded(model: Recommender, folder: Path) -> None:
    """The same seed gives the same bits, at one thread and at many."""
    data = sample_interactions()
    once = model.fit(data, 11)
    _same_arrays(once, model.fit(data, 11), "a second fit with the same seed")
    for threads in (1, 3):
        with patch("os.sched_getaffinity", lambda process, n=threads: set(range(n))):
            _same_arrays(once, model.fit(data, 11), f"a fit on {threads} threads")


def check_permutation(model: Recommender, folder: Path) -> None:
    """The order of the training rows does not matter."""
    data = sample_interactions()
    order = np.random.default_rng(1).permutation(len(data.user_index))
    columns = ("user_index", "item_index", "weights", "ratings", "at_us")
    mixed = msgspec.structs.replace(data, **{name: getattr(data, name)[order] for name in columns})
    _same_arrays(model.fit(data, 4), model.fit(mixed, 4), "a fit on permuted rows")


def check_artifact(model: Recommender, folder: Path) -> None:
    """A saved and loaded model has equal parameters, arrays and scores; its arrays are read-only maps of the files."""
    data, learned, histories = _fitted(model)
    artifact_folder = folder / "artifact"
    hashes = save_artifact(artifact_folder, {"kind": kind_of(model), "params": params_of(model)}, learned, data.items)
    loaded = load_artifact(artifact_folder, hashes)
    assert model_of(loaded, [type(model)]) == model, "parameters must come back equal"
    _same_arrays(learned, loaded.arrays, "arrays from the artifact")
    for name, array in loaded.arrays.items():
        assert not array.flags.writeable, f"array {name} must be read-only"
        assert not array.flags.owndata, f"array {name} must be a map of its file"
    _same_bits(model.score(loaded.arrays, histories), model.score(learned, histories), "scores from the artifact")


def check_unseen(model: Recommender, folder: Path) -> None:
    """An unknown user, and one who likes only an item without interactions, are answered without an error."""
    data, learned, _ = _fitted(model)
    untouched = len(data.items) - 1
    for items in ([], [untouched]):
        histories = _history(items, rating=4.0)
        scores = model.score(learned, histories)
        assert not np.isnan(scores).any(), "scores of an unseen user must not be nan"
        finite = np.isfinite(scores).any()
        assert finite or np.isneginf(scores).all(), "an unseen user gets a list, or -inf throughout"
        if explains(model):
            model.explain(learned, histories, untouched)
        if predicts_ratings(model):
            rating = model.predict_rating(learned, histories, np.array([untouched], dtype=np.int32))
            assert np.isfinite(rating).all(), "an unseen user's rating of an unseen item must be finite"
    if knows_similar(model):
        assert not np.isnan(model.similar(learned, untouched)).any(), (
            "similar items of an untouched item must not be nan"
        )


def check_degenerate(model: Recommender, folder: Path) -> None:
    """A model learns from each matrix of `degenerate_interactions` and answers, without nan.

    So does an update of a model to each of them; explanations and similar items are valid too.
    """
    start = sample_interactions()
    before = model.fit(start, 2)
    for name, data in degenerate_interactions().items():
        learned = model.fit(data, 2)
        histories = histories_of(data, list(range(min(3, len(data.users)))))
        scores = model.score(learned, histories)
        if explains(model) and len(data.items):
            parts = model.explain(learned, take(histories, [0]), len(data.items) - 1)
            assert np.isfinite([part for _, part in parts]).all(), f"{name}: contributions must be finite"
        if knows_similar(model) and len(data.items):
            near = model.similar(learned, 0)
            assert near.shape == (len(data.items),), f"{name}: similar must be (items,)"
            assert not np.isnan(near).any(), f"{name}: similar must not be nan"
        if updates(model):
            moved = model.score(model.update(before, start.items, data, 2), histories)
            assert moved.shape == scores.shape, f"{name}: scores after an update must be (rows, items)"
            assert not np.isnan(moved).any(), f"{name}: scores after an update must not be nan"
        assert scores.shape == (histories.rows, len(data.items)), f"{name}: scores must be (rows, items)"
        assert not np.isnan(scores).any(), f"{name}: scores must not be nan"
        top_k(scores, [histories.items[:0]] * histories.rows, 5)
        if predicts_ratings(model) and len(data.items):
            nothing = np.zeros(histories.rows, dtype=np.int32)
            assert np.isfinite(model.predict_rating(learned, histories, nothing)).all(), (
                f"{name}: ratings must be finite"
            )


def check_checkerboard(model: Recommender, folder: Path) -> None:
    """For every personal model, the withheld item of the checkerboard, and of its transpose, comes first."""
    if not _personal(model):
        return
    for users, items in ((40, 20), (20, 40)):
        data, history, withheld = _board(model, users, items)
        learned = model.fit(data, 1)
        best, _ = top_k(model.score(learned, history), [history.items], 3)
        assert best[0, 0] == withheld, f"item {withheld} must come first, got {best[0].tolist()}"
        if predicts_ratings(model):
            own, other = (
                model.predict_rating(learned, history, np.array([item], dtype=np.int32))[0]
                for item in (withheld, withheld - 1)
            )
            assert own > other + 0.5, f"the withheld item must be rated above the other color's, got {own}, {other}"


def check_explanations(model: Recommender, folder: Path) -> None:
    """Contributions are of positions in the history and add up to the score."""
    _, learned, histories = _fitted(model)
    if not explains(model):
        return
    for row in range(0, histories.rows, 9):
        history = take(histories, [row])
        scores = model.score(learned, history)[0]
        for item in np.flatnonzero(np.isfinite(scores))[::5].tolist():
            parts = model.explain(learned, history, item)
            assert all(0 <= position < len(history.items) for position, _ in parts), "positions must lie in the history"
            total = sum(part for _, part in parts)
            close = abs(total - scores[item]) <= 1e-4 * max(1.0, abs(float(scores[item])))
            assert close, f"contributions must add up to {scores[item]}, got {total}"


def check_similar(model: Recommender, folder: Path) -> None:
    """Similarities are float32 and exclude the item itself; on the checkerboard, the same color comes first."""
    data, learned, _ = _fitted(model)
    if not knows_similar(model):
        return
    near = model.similar(learned, 0)
    assert near.dtype == np.float32, f"similar must be float32, got {near.dtype}"
    assert near.shape == (len(data.items),), f"similar must be (items,), got {near.shape}"
    assert np.isneginf(near[0]), "an item must not be similar to itself"
    board, _, withheld = _board(model)
    best = int(np.argmax(model.similar(model.fit(board, 1), withheld)))
    assert best % 2 == withheld % 2, f"items of the same color must be nearest to {withheld}, got {best}"


def check_update(model: Recommender, folder: Path) -> None:
    """An update adds the last quarter of the users and half of the items, and recommends as a new fit does.

    The same update gives the same bits, the items may have been in another order, and the earlier arrays do not change.
    """
    data, history, withheld = _board(model)
    if not updates(model):
        return
    early = (data.user_index < len(data.users) * 3 // 4) & (data.item_index % 4 < 2)
    columns = ("user_index", "item_index", "weights", "ratings", "at_us")
    turned = len(data.items) - 1 - data.item_index
    before = msgspec.structs.replace(
        data,
        **{name: (turned if name == "item_index" else getattr(data, name))[early] for name in columns},
        items=data.items[::-1],
    )
    learned = model.fit(before, 1)
    frozen = {name: array.copy() for name, array in learned.items()}
    updated = model.update(learned, before.items, data, 1)
    _same_arrays(frozen, learned, "what was learned before an update")
    _same_arrays(updated, model.update(learned, before.items, data, 1), "a second update")
    assert updated.keys() == model.fit(data, 1).keys(), "an update must give the arrays of a fit"
    items, _ = top_k(model.score(updated, history), [history.items], 3)
    assert items[0, 0] == withheld, f"after an update item {withheld} must come first, got {items[0].tolist()}"


def check_new_items(model: Recommender, folder: Path) -> None:
    """New items do not change the scores of known ones, do not depend on each other, and leave the arrays unchanged."""
    data, learned, histories = _fitted(model)
    new = data.attributes
    assert new is not None, "the sample must have attributes"
    if not places_new(model):
        return
    count = len(data.items)
    before, frozen = model.score(learned, histories), {name: array.copy() for name, array in learned.items()}
    both = model.place_new(learned, new)
    scores = model.score(both, histories)
    _same_arrays(frozen, learned, "what was learned before items were placed")
    assert scores.shape == (histories.rows, 2 * count), f"scores must be for {2 * count} items, got {scores.shape}"
    assert not np.isnan(scores).any(), "scores of new items must not be nan"
    assert np.isfinite(scores[:, count:]).any(), "an item with known values must be scored"
    assert scores[:, :count].tobytes() == before.tobytes(), "the other items' scores must keep their bits"
    for item in range(0, count, 5):
        values = new.index[new.indptr[item] : new.indptr[item + 1]]
        alone = model.place_new(learned, Attributes(new.names, np.array([0, len(values)]), values))
        own = model.score(alone, histories)[:, count]
        assert own.tobytes() == scores[:, count + item].tobytes(), (
            "a new item's score must not depend on other new ones"
        )


MODEL_CHECKS: list[Check] = [
    check_purity,
    check_batches,
    check_seeded,
    check_permutation,
    check_artifact,
    check_unseen,
    check_degenerate,
    check_checkerboard,
    check_explanations,
    check_similar,
    check_update,
    check_new_items,
]


def degenerate_interactions() -> dict[str, Interactions]:
    """{name: matrix}, of extreme cases."""
    everyone, everything = np.divmod(np.arange(12 * 9, dtype=np.int32), 9)
    enormous = np.concatenate([np.zeros(500, dtype=np.int32), np.array([1, 2], dtype=np.int32)])
    of_enormous = np.concatenate([np.arange(500, dtype=np.int32), np.array([3, 4], dtype=np.int32)])
    none = np.empty(0, dtype=np.int32)
    zero = np.zeros(1, dtype=np.int32)
    return {
        "one user, one item": _interactions(1, 1, zero, zero, ratings=4.0),
        "one user": _interactions(1, 9, np.zeros(5, dtype=np.int32), np.arange(5, dtype=np.int32), ratings=3.0),
        "one item": _interactions(9, 1, np.arange(5, dtype=np.int32), np.zeros(5, dtype=np.int32), ratings=3.0),
        "no rows": _interactions(3, 4, none, none),
        "no positives": _interactions(12, 9, everyone, everything, weight=0.0),
        "all positives": _interactions(12, 9, everyone, everything, ratings=5.0),
        "single enormous user": _interactions(3, 500, enormous, of_enormous, ratings=2.0),
        "single enormous item": _interactions(500, 3, of_enormous[:500], enormous[:500], ratings=2.0),
        "two positives of no one else": _interactions(
            2, 2, np.arange(2, dtype=np.int32), np.arange(2, dtype=np.int32), ratings=5.0
        ),
        "transposed": _transposed(sample_interactions(users=23, items=90, pairs=700)),
        "many users, two items": _interactions(
            300, 2, np.arange(300, dtype=np.int32), (np.arange(300) % 2).astype(np.int32), ratings=1.0
        ),
    }


def _transposed(data: Interactions) -> Interactions:
    """Users as items and items as users."""
    return msgspec.structs.replace(
        data,
        users=data.items,
        items=data.users,
        user_index=data.item_index,
        item_index=data.user_index,
        user_group=np.full(len(data.items), -1, dtype=np.int32),
        attributes=None,
    )


def _interactions(
    users: int,
    items: int,
    user_index: NDArray[np.int32],
    item_index: NDArray[np.int32],
    ratings: float = np.nan,
    weight: float = 1.0,
) -> Interactions:
    n = len(user_index)
    return Interactions(
        users=[f"u{user}" for user in range(users)],
        items=[f"i{item}" for item in range(items)],
        user_index=user_index.astype(np.int32),
        item_index=item_index.astype(np.int32),
        weights=np.full(n, weight, dtype=np.float32),
        ratings=np.full(n, ratings, dtype=np.float32),
        at_us=np.arange(n, dtype=np.int64),
        user_group=np.full(users, -1, dtype=np.int32),
        groups=[],
        as_of_us=_DAY_US,
    )


def _history(items: list[int], rating: float) -> Histories:
    n = len(items)
    return Histories(
        indptr=np.array([0, n], dtype=np.int64),
        items=np.array(items, dtype=np.int32),
        weights=np.ones(n, dtype=np.float32),
        ratings=np.full(n, rating, dtype=np.float32),
        at_us=np.zeros(n, dtype=np.int64),
        group=np.array([-1], dtype=np.int32),
        now_us=np.array([_DAY_US], dtype=np.int64),
    )


def _fitted(model: Recommender) -> tuple[Interactions, dict[str, NDArray[Any]], Histories]:
    data = sample_interactions()
    return data, model.fit(data, 7), histories_of(data, list(range(len(data.users))))


def _board(model: Recommender, users: int = 40, items: int = 20) -> tuple[Interactions, Histories, int]:
    return rated_board(users, items) if predicts_ratings(model) else checkerboard(users, items)


def _personal(model: Recommender) -> bool:
    """Whether users of the two colors get lists in a different order, and an unknown user gets none."""
    data, history, _ = _board(model)
    learned = model.fit(data, 1)
    other = msgspec.structs.replace(histories_of(data, [1]), now_us=history.now_us)
    first, second = (
        np.argsort(-model.score(learned, user_history)[0], kind="stable") for user_history in (history, other)
    )
    nobody = model.score(learned, _history([], rating=np.nan))
    return not np.array_equal(first, second) and bool(np.isneginf(nobody).all())


def _tile(popularity: NDArray[np.float64], users: int) -> NDArray[np.float64]:
    tiled = np.tile(popularity, users)
    return np.asarray(tiled / tiled.sum())


def _same_arrays(must: Mapping[str, NDArray[Any]], got: Mapping[str, NDArray[Any]], what: str) -> None:
    assert must.keys() == got.keys(), f"{what}: arrays must be {sorted(must)}, got {sorted(got)}"
    for name in must:
        _same_bits(must[name], got[name], f"{what}: {name}")


def _same_bits(must: NDArray[Any], got: NDArray[Any], what: str) -> None:
    same = must.dtype == got.dtype and must.shape == got.shape and must.tobytes() == got.tobytes()
    assert same, f"{what} must be the same bits"
