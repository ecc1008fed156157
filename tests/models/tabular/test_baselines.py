"""What is usual, against the slow way: every group looked up by a dict, backing off by hand."""

from statistics import median_low

import numpy as np
import pytest
from tests.models.tabular.tables import table_of

import flyball as fb
from flyball.core import BadDeclaration
from flyball.models import TargetKind, summary_of

NUMBER = TargetKind("number")


def test_a_constant_is_the_weighted_summary_of_the_target() -> None:
    weight = np.array([1.0, 3.0, 1.0])
    table = table_of(3, target=np.array([1.0, 2.0, 4.0]), weight=weight)
    assert summary_of(table, NUMBER).tolist() == [pytest.approx(11 / 5)]
    assert summary_of(table, TargetKind("quantiles", quantiles=(0.1, 0.5, 0.9))).tolist() == [1.0, 2.0, 4.0]
    classes = table_of(3, target=np.array([0.0, 1.0, 0.0]), weight=weight)
    assert summary_of(classes, TargetKind("binary")).tolist() == [0.6]
    three = summary_of(classes, TargetKind("multiclass", classes=("a", "b", "c")))
    assert three.tolist() == pytest.approx([0.4, 0.6, 0.0])
    fitted = fb.Constant().fit(table, NUMBER, 1)
    predictor = fb.Constant().open(fitted.arrays, fitted.texts, table.columns, NUMBER)
    assert predictor.predict(table.numbers, table.categories)[:, 0].tolist() == pytest.approx([2.2] * 3)


def test_a_group_has_its_median_or_that_of_fewer_columns() -> None:
    table = table_of(2_000, target=np.round(np.random.default_rng(5).normal(size=2_000), 1))
    model = fb.GroupMedian("shop", "floor", "hour", least=30)
    fitted = model.fit(table, NUMBER, 1)
    predictor = model.open(fitted.arrays, fitted.texts, table.columns, NUMBER)
    other = table_of(400, seed=9)
    predicted = predictor.predict(other.numbers, other.categories)[:, 0]

    def keys(numbers: np.ndarray, categories: np.ndarray) -> list[tuple[float, ...]]:
        rows = zip(categories[:, 0].tolist(), numbers[:, 1].tolist(), categories[:, 1].tolist(), strict=True)
        return [tuple(-1.0 if np.isnan(value) else value for value in row) for row in rows]

    known = keys(table.numbers, table.categories)
    levels = set()
    for key, got in zip(keys(other.numbers, other.categories), predicted.tolist(), strict=True):
        for depth in (3, 2, 1, 0):
            alike = [
                value for one, value in zip(known, table.target.tolist(), strict=True) if one[:depth] == key[:depth]
            ]
            if len(alike) >= 30:
                levels.add(depth)
                assert got == median_low(alike)
                break
    assert levels == {1, 2, 3}
    added = predictor.contributions(other.numbers, other.categories)
    assert added.sum(axis=2)[:, 0] == pytest.approx(predicted)
    assert (added[:, 0, 0] == 0).all()  # km is none of its columns


def test_a_group_of_a_binary_target_has_its_share() -> None:
    table = table_of(500, target=(np.random.default_rng(5).random(500) < 0.3).astype(float))
    target = TargetKind("binary")
    model = fb.GroupMedian("hour", least=1)
    fitted = model.fit(table, target, 1)
    predictor = model.open(fitted.arrays, fitted.texts, table.columns, target)
    predicted = predictor.predict(table.numbers, table.categories)[:, 0]
    for hour in range(3):
        mine = table.categories[:, 1] == hour
        assert predicted[mine] == pytest.approx(table.target[mine].mean())


def test_what_is_no_column_is_refused() -> None:
    with pytest.raises(BadDeclaration, match="columns"):
        fb.GroupMedian()
    with pytest.raises(BadDeclaration, match="least"):
        fb.GroupMedian("shop", least=0)
    with pytest.raises(BadDeclaration, match="columns of the table"):
        fb.GroupMedian("color").fit(table_of(5), NUMBER, 1)
