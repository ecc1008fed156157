"""The packed walker says what LightGBM says: on random forests, missing values, categories, all kinds of decisions."""

import re
from typing import Any

import lightgbm
import numpy as np
import pytest

from flyball.core import ArtifactCorrupt, BadInput
from flyball.models import Trees
from flyball.models.combined.trees import text_of_trees

FORESTS: dict[str, dict[str, Any]] = {
    "numbers": {"objective": "regression"},
    "deep": {"objective": "regression", "num_leaves": 200, "min_data_in_leaf": 1},
    "zeros are missing": {"objective": "regression", "zero_as_missing": True},
    "missing is zero": {"objective": "regression", "use_missing": False},
    "binary": {"objective": "binary"},
    "three classes": {"objective": "multiclass", "num_class": 3},
    "quantile": {"objective": "quantile", "alpha": 0.9},
    "one leaf": {"objective": "regression", "min_data_in_leaf": 5_000},
}


def rows(count: int, seed: int, missing: float) -> np.ndarray:
    """Numbers, many zeros, a small and a large category; some of all missing."""
    rng = np.random.default_rng(seed)
    columns = rng.normal(size=(count, 6))
    columns[:, 1] *= rng.random(count) < 0.4
    columns[:, 2] = rng.integers(0, 4, count)
    columns[:, 4], columns[:, 5] = rng.integers(0, 5, count), rng.integers(0, 90, count)
    columns[rng.random(columns.shape) < missing] = np.nan
    return columns


def forest(settings: dict[str, Any], seed: int, categories: bool, missing: float) -> Any:
    columns, rng = rows(2_000, seed, missing), np.random.default_rng(seed + 1)
    part = np.nan_to_num(columns)
    target = (
        part[:, 0] * part[:, 1] + np.sin(part[:, 5]) + (part[:, 4] == 2) + (part[:, 2] == 0) * rng.normal(size=2_000)
    )
    if settings["objective"] in ("binary", "multiclass"):
        target = np.digitize(target, [0.0] if settings["objective"] == "binary" else [-0.5, 0.7])
    every = {"verbosity": -1, "num_threads": 1, "seed": seed, "min_data_per_group": 5, "cat_smooth": 1.0, **settings}
    data = lightgbm.Dataset(columns, target, categorical_feature=[4, 5] if categories else [], params=every)
    return lightgbm.train(every, data, num_boost_round=25)


def odd_rows(seed: int) -> np.ndarray:
    """Unseen rows with values that training never had."""
    columns, rng = rows(403, seed, 0.15), np.random.default_rng(seed)
    odd = np.array([0.0, -0.0, 1e-36, -1e-36, 1e-34, np.inf, -np.inf, np.nan, -1.0, 2.7, -0.5, 95.0, 1e6, 1e12, -1e12])
    places = rng.random(columns.shape) < 0.1
    columns[places] = rng.choice(odd, int(places.sum()))
    return columns


@pytest.mark.parametrize("categories", [False, True], ids=["numbers only", "categories"])
@pytest.mark.parametrize("missing", [0.0, 0.2], ids=["whole", "missing"])
@pytest.mark.parametrize("name", FORESTS)
def test_scores_and_contributions_are_those_of_lightgbm(name: str, missing: float, categories: bool) -> None:
    for seed in (1, 2):
        booster = forest(FORESTS[name], seed, categories, missing)
        trees, unseen = Trees(text_of_trees(booster)), odd_rows(seed + 10)
        scores = trees.scores(unseen)
        assert scores == pytest.approx(booster.predict(unseen, raw_score=True), abs=1e-12)
        contributions = trees.contributions(unseen[:60])
        assert contributions == pytest.approx(booster.predict(unseen[:60], pred_contrib=True), abs=1e-9)
        added = contributions.reshape(60, -1, 7).sum(axis=2)
        assert added == pytest.approx(scores[:60].reshape(60, -1), abs=1e-9)


@pytest.mark.parametrize(("width", "leaves"), [(1, 200), (3, 255), (40, 2), (40, 255)])
def test_contributions_of_deep_trees_are_those_of_lightgbm(width: int, leaves: int) -> None:
    """Columns are asked again and again on a path, or many columns once: quadrature of up to a dozen points."""
    rng = np.random.default_rng(width)
    columns = rng.normal(size=(3_000, width))
    target = np.sin(9 * columns[:, 0]) + rng.normal(size=len(columns))
    columns[rng.random(columns.shape) < 0.1] = np.nan
    settings = {"num_leaves": leaves, "min_data_in_leaf": 2, "verbosity": -1, "num_threads": 1, "seed": 3}
    booster = lightgbm.train(settings, lightgbm.Dataset(columns, target), num_boost_round=8)
    trees, unseen = Trees(text_of_trees(booster)), columns[:40] + 0.1
    contributions = trees.contributions(unseen)
    assert contributions == pytest.approx(booster.predict(unseen, pred_contrib=True), abs=1e-12)
    assert contributions.sum(axis=1) == pytest.approx(trees.scores(unseen), abs=1e-12)


@pytest.mark.parametrize("categories", [False, True], ids=["numbers only", "categories"])
def test_a_row_has_the_same_bits_in_any_batch(categories: bool) -> None:
    trees, unseen = Trees(text_of_trees(forest(FORESTS["three classes"], 1, categories, 0.2))), odd_rows(5)
    for compute in (trees.scores, trees.contributions):
        together = compute(unseen)
        for size in (1, 3, 15, 16, 17, 100):
            parts = [compute(unseen[first : first + size]) for first in range(0, len(unseen), size)]
            assert np.concatenate(parts).tobytes() == together.tobytes()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("end of trees", "end of"),
        ("Tree=3", "Branch=3"),
        ("leaf_value=", "leaf_value=0.5 "),
        ("split_feature=", "split_feature=9"),
        ("left_child=1", "left_child=0"),
        ("left_child=1 ", "left_child=2 "),
        ("right_child=", "right_child=777"),
        ("is_linear=0", "is_linear=1"),
        ("max_feature_idx=5", "max_feature_idx=x"),
        ("threshold=", "threshold=no "),
        ("tree\nversion", "tree\naverage_output\nversion"),
    ],
)
def test_what_are_no_whole_trees_is_refused(old: str, new: str) -> None:
    text = text_of_trees(forest(FORESTS["numbers"], 1, False, 0.0)).tobytes().decode()
    assert old in text
    with pytest.raises(ArtifactCorrupt, match="a LightGBM model"):
        Trees(np.frombuffer(text.replace(old, new).encode(), np.uint8))


def test_a_leaf_without_a_value_is_refused() -> None:
    text = text_of_trees(forest(FORESTS["numbers"], 1, False, 0.0)).tobytes().decode()
    with pytest.raises(ArtifactCorrupt, match="constant leaves"):
        Trees(np.frombuffer(re.sub(r"leaf_value=\S+", "leaf_value=nan", text, count=1).encode(), np.uint8))


def test_columns_of_another_width_are_refused() -> None:
    trees = Trees(text_of_trees(forest(FORESTS["numbers"], 1, False, 0.0)))
    with pytest.raises(BadInput, match="columns of the trees"):
        trees.scores(np.zeros((3, 5)))
