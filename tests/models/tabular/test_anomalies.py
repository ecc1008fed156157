"""Anomaly scores: the published definitions computed naively, and planted outliers found and named."""

import math
from typing import Any

import numpy as np
import pytest

import flyball as fb
from flyball.core import BadDeclaration
from flyball.models import TableColumn, TargetKind, TrainingTable
from flyball.models.tabular.anomalies import expected_depth

COLUMNS = (TableColumn("shop", "category"), TableColumn("x", "number"), TableColumn("y", "number"))
BINARY = TargetKind("binary")
NAMES = ["forest", "neighbors"]


def model(name: str) -> Any:
    return fb.IsolationForest() if name == "forest" else fb.NearestNeighborAnomaly()


def table(rows: int = 600, seed: int = 1) -> TrainingTable:
    rng = np.random.default_rng(seed)
    return TrainingTable(
        columns=COLUMNS,
        numbers=rng.normal(size=(rows, 2)),
        categories=rng.choice(3, (rows, 1), p=[0.6, 0.39, 0.01]).astype(np.int32),
        vocabularies={"shop": ["a", "b", "rare"]},
        target=np.zeros(rows),
        weight=np.ones(rows),
        at_us=np.arange(rows, dtype=np.int64),
    )


def opened(one: Any, learned: TrainingTable) -> tuple[Any, Any]:
    fitted = one.fit(learned, BINARY, 1)
    return one.open(fitted.arrays, fitted.texts, COLUMNS, BINARY), fitted.arrays


@pytest.mark.parametrize("name", NAMES)
def test_planted_outliers_come_first_and_their_column_is_named(name: str) -> None:
    predictor, _ = opened(model(name), table())
    usual = table(300, seed=2)
    common = usual.categories[:, 0] != 2  # rows of the rare shop are odd themselves
    scores = predictor.predict(usual.numbers[common], usual.categories[common])[:, 0]
    odd = predictor.predict(np.array([[8.0, -8.0], [-8.0, 8.0]]), np.zeros((2, 1), np.int32))[:, 0]
    assert odd.min() >= scores.max(), "odd in both numbers: further out than any usual row"
    numbers = np.array([[8.0, 0.0], [0.0, -8.0], [0.0, 0.0]])
    categories = np.array([[0], [0], [2]], np.int32)  # odd in one column each, the last by a rare shop
    assert predictor.predict(numbers, categories).min() > np.quantile(scores, 0.85)
    added = predictor.contributions(numbers, categories)[:, 0, :-1]
    assert added.argmax(axis=1).tolist() == [1, 2, 0]


def test_the_forest_scores_by_mean_depth() -> None:
    learned = table(300)
    predictor, arrays = opened(fb.IsolationForest(trees=20, sample=64), learned)
    often = np.log1p(np.bincount(learned.categories[:, 0], minlength=4))
    for row in range(40):
        values = [*learned.numbers[row], often[learned.categories[row, 0]]]
        depths = []
        for root in arrays["roots"]:
            node, depth = int(root), 0
            while arrays["children"][node, 0] != node:
                right = int(values[arrays["feature"][node]] > arrays["threshold"][node])
                node, depth = int(arrays["children"][node, right]), depth + 1
            size = int(arrays["counts"][node])
            unsplit = 2 * sum(1 / n for n in range(1, size)) - 2 * (size - 1) / size if size > 1 else 0.0
            assert depth <= 6
            depths.append(depth + unsplit)
        must = 2 ** -(sum(depths) / 20 / expected_depth(64))
        found = predictor.predict(learned.numbers[[row]], learned.categories[[row]])
        assert found[0, 0] == pytest.approx(must, abs=1e-12)
    for node, (left, right) in enumerate(arrays["children"].tolist()):
        assert left == node or arrays["counts"][node] == arrays["counts"][left] + arrays["counts"][right]


def test_the_expected_depth_is_that_of_random_trees() -> None:
    """The mean depth of a leaf when n values are split at random places, by its recursion."""
    mean = {1: 0.0}
    for n in range(2, 40):
        mean[n] = 1 + sum(2 * k * mean[k] for k in range(1, n)) / (n * (n - 1))
        assert expected_depth(n) == pytest.approx(mean[n])


def test_neighbors_are_those_found_by_comparing_all() -> None:
    learned = table(80)
    predictor, _ = opened(fb.NearestNeighborAnomaly(k=3), learned)
    often = np.log1p(np.bincount(learned.categories[:, 0], minlength=4))
    whole = np.column_stack([learned.numbers, often[learned.categories[:, 0]]])
    whole = whole / whole.std(axis=0)
    own = [sorted(math.dist(one, other) for n, other in enumerate(whole) if n != m)[2] for m, one in enumerate(whole)]
    unseen = table(30, seed=5)
    rows = np.column_stack([unseen.numbers, often[unseen.categories[:, 0]]])
    rows = rows / np.column_stack([learned.numbers, often[learned.categories[:, 0]]]).std(axis=0)
    found = predictor.predict(unseen.numbers, unseen.categories)[:, 0]
    for row, score in zip(rows, found, strict=True):
        distance = sorted(math.dist(row, other) for other in whole)[2]
        assert score == pytest.approx((sum(near < distance for near in own) + 0.5) / 81)


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [({"trees": 0}, fb.IsolationForest), ({"sample": 1}, fb.IsolationForest), ({"k": 0}, fb.NearestNeighborAnomaly)],
)
def test_parameters_out_of_range_are_refused(wrong: dict[str, int], kind: Any) -> None:
    with pytest.raises(BadDeclaration, match=next(iter(wrong))):
        kind(**wrong)
