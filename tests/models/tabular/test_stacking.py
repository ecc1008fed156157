"""Stacking learns its line from predictions of later rows by models of earlier ones, and is better than its parts."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.models.tabular.tables import table_of

import flyball as fb
from flyball.core import BadDeclaration, BadInput
from flyball.models import (
    TableColumn,
    TabularFit,
    TabularModel,
    TargetKind,
    TrainingTable,
    kind_of,
    model_of,
    params_of,
)
from flyball.models.artifact import Artifact
from flyball.models.tabular.stacking import time_folds

NUMBER, BINARY = TargetKind("number"), TargetKind("binary")
SEEN: list[tuple[list[int], list[int]]] = []
"""(times of the rows fitted on, times of the rows predicted) of every `Spy`, in order."""


class Spy(TabularModel, frozen=True):
    """Predicts the mean of what it was fitted on, and writes down what it saw: `floor` has the time of a row."""

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        SEEN.append((table.at_us.tolist(), []))
        return TabularFit({"fit": np.array([len(SEEN) - 1]), "mean": np.array([table.target.mean()])})

    def open(self, arrays: Any, texts: Any, columns: Any, target: TargetKind) -> "Opened":
        return Opened(int(arrays["fit"][0]), float(arrays["mean"][0]), len(columns))


class Opened:
    def __init__(self, fit: int, mean: float, columns: int) -> None:
        self.fit, self.mean, self.columns = fit, mean, columns

    def predict(self, numbers: Any, categories: Any) -> Any:
        SEEN[self.fit][1].extend(numbers[:, 1].astype(int).tolist())
        return np.full((len(numbers), 1), self.mean)

    def contributions(self, numbers: Any, categories: Any) -> Any:
        parts = np.zeros((len(numbers), 1, self.columns + 1))
        parts[:, :, -1] = self.mean
        return parts


def test_no_row_is_predicted_by_a_model_that_saw_it_or_a_later_one() -> None:
    SEEN.clear()
    rng = np.random.default_rng(1)
    table = table_of(103)
    at_us = np.sort(rng.integers(0, 40, 103))  # many rows of one time
    numbers = np.column_stack([table.numbers[:, 0], at_us])
    table = msgspec.structs.replace(table, at_us=at_us, numbers=numbers)
    fb.Stacking((Spy(), Spy()), folds=4).fit(table, NUMBER, 1)
    folds = [(fitted, predicted) for fitted, predicted in SEEN if predicted]
    assert len(folds) == 8  # two models, four folds; both are then fitted on all rows
    for fitted, predicted in folds:
        assert max(fitted) < min(predicted)
    for model in range(2):
        times = [time for _, predicted in folds[model::2] for time in predicted]
        assert times == sorted(times)
        assert times == at_us[len(at_us) - len(times) :].tolist()
    assert [len(fitted) for fitted, predicted in SEEN if not predicted] == [103, 103]


@pytest.mark.parametrize("rows", [2, 3, 7, 50])
@pytest.mark.parametrize("folds", [1, 3, 10])
def test_folds_cover_the_rows_in_order(rows: int, folds: int) -> None:
    pieces = time_folds(np.arange(rows), folds)
    assert 1 <= len(pieces) <= folds
    later = np.concatenate([one for _, one in pieces])
    assert later.tolist() == list(range(int(later[0]), rows))
    for earlier, one in pieces:
        assert earlier.tolist() == list(range(int(one[0])))
        assert len(earlier) > 0


def test_rows_of_one_time_are_refused() -> None:
    with pytest.raises(BadInput, match="two different times"):
        time_folds(np.zeros(9, np.int64), 3)


def half_line_half_step(rows: int, seed: int) -> TrainingTable:
    """A target that one model sees half of and the other the other half: a slope of km, and a mean of each shop."""
    table = table_of(rows, seed=seed)
    km = np.nan_to_num(table.numbers[:, 0], nan=2.0)
    shop = table.categories[:, 0]
    rng = np.random.default_rng(seed + 100)
    target = 2 * km + np.array([0.0, 9, -6, 3, 12, 4])[shop] + rng.normal(0, 1, rows)
    return msgspec.structs.replace(table, target=target)


class OnlyKm(TabularModel, frozen=True):
    """A line over the first number."""

    def fit(self, table: TrainingTable, target: TargetKind, seed: int) -> TabularFit:
        km = np.nan_to_num(table.numbers[:, 0], nan=2.0)
        slope, base = np.polyfit(km, table.target, 1)
        return TabularFit({"line": np.array([slope, base])})

    def open(self, arrays: Any, texts: Any, columns: Any, target: TargetKind) -> "KmLine":
        return KmLine(*arrays["line"].tolist(), len(columns))


class KmLine:
    def __init__(self, slope: float, base: float, columns: int) -> None:
        self.slope, self.base, self.columns = slope, base, columns

    def predict(self, numbers: Any, categories: Any) -> Any:
        return self.contributions(numbers, categories).sum(axis=2)

    def contributions(self, numbers: Any, categories: Any) -> Any:
        parts = np.zeros((len(numbers), 1, self.columns + 1))
        parts[:, 0, 0] = self.slope * np.nan_to_num(numbers[:, 0], nan=2.0)
        parts[:, :, -1] = self.base
        return parts


def error(model: TabularModel, train: TrainingTable, test: TrainingTable) -> float:
    fitted = model.fit(train, NUMBER, 1)
    predicted = model.open(fitted.arrays, fitted.texts, train.columns, NUMBER).predict(test.numbers, test.categories)
    return float(np.abs(predicted[:, 0] - test.target).mean())


def test_what_each_model_sees_half_of_is_put_together() -> None:
    train, test = half_line_half_step(2_000, 1), half_line_half_step(1_000, 2)
    parts = (OnlyKm(), fb.GroupMedian("shop"))
    alone = [error(model, train, test) for model in parts]
    together = error(fb.Stacking(parts), train, test)
    assert together < 0.5 * min(alone)
    assert together == pytest.approx(np.sqrt(2 / np.pi), abs=0.15)  # the mean absolute value of the noise


def test_a_model_that_knows_nothing_gets_no_say() -> None:
    train, test = half_line_half_step(2_000, 1), half_line_half_step(1_000, 2)
    good = fb.Linear()
    assert error(fb.Stacking((good, fb.Constant())), train, test) == pytest.approx(error(good, train, test), rel=0.02)


def test_probabilities_are_combined_over_their_log_odds() -> None:
    table = half_line_half_step(3_000, 1)
    happened = (np.random.default_rng(5).random(3_000) < 1 / (1 + np.exp(-(table.target - 8) / 3))).astype(float)
    table = msgspec.structs.replace(table, target=happened)
    model = fb.Stacking((fb.Linear(), fb.LightGBM(n_estimators=20)), folds=3)
    fitted = model.fit(table, BINARY, 1)
    opened = model.open(fitted.arrays, fitted.texts, table.columns, BINARY)
    probability = opened.predict(table.numbers, table.categories)[:, 0]
    assert probability.mean() == pytest.approx(happened.mean(), abs=0.02)
    odds = np.log(probability / (1 - probability))
    assert opened.contributions(table.numbers, table.categories).sum(axis=2)[:, 0] == pytest.approx(odds)


def test_its_parameters_and_those_of_its_models_come_back() -> None:
    model = fb.Stacking((fb.calibrated(fb.Linear(), "platt"), fb.LightGBM(num_leaves=7)), folds=2)
    assert model_of(Artifact({"kind": kind_of(model), "params": params_of(model)}, {})) == model
    own = fb.Stacking((Spy(), fb.Linear()))
    params = params_of(own)
    assert params["models"][0]["kind"] == f"{Path(__file__).name}:Spy"
    assert model_of(Artifact({"kind": kind_of(own), "params": params}, {}), [Spy]) == own
    assert own.parts == (Spy(), fb.Linear())


@pytest.mark.parametrize(
    ("named", "says"),
    [
        ({"models": (fb.Linear(),)}, "two models"),
        ({"models": [fb.Linear(), fb.Constant()]}, "a tuple"),
        ({"models": (fb.Linear(), "trees")}, "a model of tables"),
        ({"folds": 0}, "1 or more"),
        ({"l2": 0.0}, "above 0"),
    ],
)
def test_what_cannot_be_stacked_is_refused(named: Any, says: str) -> None:
    with pytest.raises(BadDeclaration, match=says):
        fb.Stacking(**named)


def bursts(delay: int) -> TrainingTable:
    """The target is one of two levels, by the place alone; each place is there for a hundred rows, then never again.

    Whoever knows a label of the place knows them all; labels are final after `delay` rows.
    """
    rows, rng = 2_000, np.random.default_rng(6)
    place = np.arange(rows) // 100
    table = table_of(rows, target=rng.choice([-1.0, 1.0], 20)[place] + rng.normal(0.0, 0.1, rows))
    columns = (TableColumn("x", "number"), TableColumn("place", "category"))
    return msgspec.structs.replace(
        table,
        columns=columns,
        numbers=rng.normal(size=(rows, 1)),
        categories=place[:, None].astype(np.int32),
        vocabularies={"place": [f"p{number}" for number in range(20)]},
        label_delays_us=(delay,),
    )


@pytest.mark.parametrize(("delay", "trusts"), [(0, True), (100, False)])
def test_no_fold_learns_from_labels_that_were_not_final_when_it_is_asked(delay: int, trusts: bool) -> None:
    """A model that knows the places seems perfect where labels are known at once, and helps nobody where they come
    after the place is gone: the line must see which it is."""
    model = fb.Stacking((fb.GroupMedian("place", least=1), fb.Linear(l2=1e9)), folds=79)
    learned = model.fit(bursts(delay), NUMBER, 1).arrays
    slope = (learned["line_0_coefficients"] / learned["line_0_scale"])[0, 0]
    assert bool(abs(slope) > 0.5) is trusts


@pytest.mark.parametrize("delay", [0, 1, 37, 150])
def test_between_what_a_fold_learns_and_what_it_is_asked_lies_the_delay(delay: int) -> None:
    SEEN.clear()
    table = table_of(400)
    numbers = np.column_stack([table.numbers[:, 0], table.at_us])
    table = msgspec.structs.replace(table, numbers=numbers, label_delays_us=(delay,))
    fb.Stacking((Spy(), Spy()), folds=5).fit(table, NUMBER, 1)
    folds = [(fitted, predicted) for fitted, predicted in SEEN if predicted]
    assert len(folds) == 2 * {0: 5, 1: 5, 37: 4, 150: 3}[delay]
    assert all(max(fitted) + delay < min(predicted) for fitted, predicted in folds)


def test_the_line_is_learned_from_labels_that_are_final() -> None:
    """The newest rows are there only where their label came early; they are a hundred times as large."""
    table = table_of(400)
    final = np.arange(400) < 300
    target = np.where(final, np.nan_to_num(table.numbers[:, 0]), 1e3)
    table = msgspec.structs.replace(table, target=target, final_weight=final.astype(float))
    learned = fb.Stacking((fb.Constant(), fb.Constant()), folds=3).fit(table, NUMBER, 1).arrays
    assert learned["line_0_base"][0] == pytest.approx(target[75:300].mean())


def test_a_past_shorter_than_labels_take_is_refused() -> None:
    table = msgspec.structs.replace(table_of(60), label_delays_us=(86_400_000_000,))
    with pytest.raises(
        BadInput, match="from much more than the 1d after which a label is final, got .*60 within 0.0 days"
    ):
        fb.Stacking(folds=3).fit(table, NUMBER, 1)
