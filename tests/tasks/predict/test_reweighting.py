"""Examples weighted to look like the latest requests: a loss that a shift plants is regained without any new label.

Orders of ten days have labels, those of the last five hours have none yet and are of another kind. The outcome given
the order stays as it was, so both the right weights and the loss of a model on the new kind are known.
"""

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from tests.tasks.predict.history import DAY_US, HOUR_US, START_US, past_of
from tests.tasks.predict.orders import Delivered, Order

import flyball as fb
from flyball.core import BadDeclaration
from flyball.learning.past import SnapshotPast
from flyball.tasks import ContinuesCandidates, Examples, Predict, TrainingData

OLD, NEW = 2_000, 400
NOW_US = START_US + 10 * DAY_US
NEAR, FAR = stats.gamma(2.0, scale=1.5), stats.norm(6.0, 0.7)
"""The kilometers of old and of new orders."""
COVARIATES = fb.reweight_covariates("km", recent="5h")
LABELS = fb.reweight_labels(recent="5h")


def number_task(**named: Any) -> Predict:
    target = fb.target_value(Delivered, lambda d: d.score, by="order", within="6h")
    return fb.Predict(on=Order, target=target, ignore=("kitchen", "hour", "weekday"), **named)


def chance_task(**named: Any) -> Predict:
    target = fb.occurs(Delivered, by="order", within="6h")
    return fb.Predict(on=Order, target=target, ignore=("kitchen", "amount", "hour", "weekday"), **named)


def past(
    task: Predict, km: NDArray[np.float64], outcome: NDArray[np.float64], happens: NDArray[np.bool_]
) -> SnapshotPast:
    """Old orders, each with its outcome an hour later where it happens, and new ones without."""
    rng, events = np.random.default_rng(9), list[Any]()
    old_us = START_US + np.sort(rng.integers(0, 10 * DAY_US - 7 * HOUR_US, OLD))
    new_us = NOW_US - np.sort(rng.integers(1, 5 * HOUR_US, len(km) - OLD))[::-1]
    for number, at in enumerate([*old_us.tolist(), *new_us.tolist()]):
        events.append(
            (Order(at=at, order=number + 1, kitchen="a", km=float(km[number]), amount=float(rng.normal())), at)
        )
        if number < OLD and happens[number]:
            there = at + HOUR_US
            events.append((Delivered(at=there, order=number + 1, score=float(outcome[number])), there))
    return past_of(task, events, NOW_US)


def bent(new: Any = FAR) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(kilometers, outcomes): the square of the kilometers, which no straight line follows."""
    rng = np.random.default_rng(3)
    km = np.concatenate([NEAR.rvs(OLD, random_state=rng), new.rvs(NEW, random_state=rng)])
    return km, km**2 + rng.normal(0.0, 0.5, len(km))


def examples_of(task: Predict, known: SnapshotPast) -> Examples:
    examples = task.offline().examples(known, 50, 1, ())
    assert isinstance(examples, Examples)
    return examples


def predictions(task: Predict, data: TrainingData, km: NDArray[np.float64]) -> NDArray[np.float64]:
    """What a straight line, or a logistic one, that learned from `data` says of new orders."""
    kind, door = task.target_kind, task.offline()
    trained = door.train(fb.Linear(), data, None, 0)  # type: ignore[attr-defined]
    predictor = fb.Linear().open(trained.arrays, trained.texts, task.columns, kind)
    numbers = np.stack([km if column.name == "km" else np.zeros(len(km)) for column in task.columns], axis=1)
    return np.asarray(predictor.predict(numbers, np.empty((len(km), 0), np.int32))[:, 0])


def with_weights(data: TrainingData, weight: NDArray[np.float64]) -> TrainingData:
    return msgspec.structs.replace(data, arrays={**data.arrays, "weight": weight})


def sentence(data: TrainingData) -> str:
    return " ".join(data.texts.get("reweighting", []))


def test_the_loss_of_a_shift_of_inputs_is_regained_without_labels() -> None:
    km, outcome = bent()
    everything = np.ones(len(km), bool)
    plain, task = number_task(), number_task(reweight=COVARIATES)
    data = {
        name: examples_of(each, past(each, km, outcome, everything)).full
        for name, each in (("no", plain), ("yes", task))
    }
    column = [column.name for column in plain.columns if column.kind == "number"].index("km")
    learned = data["no"].arrays["numbers"][:, column]
    data["oracle"] = with_weights(data["no"], np.minimum(FAR.pdf(learned) / NEAR.pdf(learned), 20.0))
    losses = {
        name: float(np.mean((predictions(plain, each, km[OLD:]) - outcome[OLD:]) ** 2)) for name, each in data.items()
    }
    planted = losses["no"] - losses["oracle"]
    assert planted > 10
    assert (losses["no"] - losses["yes"]) / planted > 0.95
    assert sentence(data["no"]) == ""
    assert sentence(data["yes"]).startswith(
        "weighted for 400 requests of the last 5h: a classifier tells them apart by km"
    )
    assert "effective sample size" in sentence(data["yes"])
    assert data["yes"].arrays["weight"].mean() == pytest.approx(1.0)


def test_the_loss_of_a_shift_of_labels_is_regained_without_labels() -> None:
    rng = np.random.default_rng(5)
    happens = rng.random(OLD + NEW) < np.where(np.arange(OLD + NEW) < OLD, 0.15, 0.6)
    km = rng.normal(2.0 * happens, 1.0)
    plain, task = chance_task(), chance_task(reweight=LABELS)
    data = {name: examples_of(each, past(each, km, km, happens)).full for name, each in (("no", plain), ("yes", task))}
    target = data["no"].arrays["target"]
    right = np.where(target == 1, 0.6 / target.mean(), 0.4 / (1 - target.mean()))
    data["oracle"] = with_weights(data["no"], right)

    def loss(each: TrainingData) -> float:
        chance = predictions(plain, each, km[OLD:])
        return float(-np.mean(np.where(happens[OLD:], np.log(chance), np.log(1 - chance))))

    losses = {name: loss(each) for name, each in data.items()}
    planted = losses["no"] - losses["oracle"]
    assert planted > 0.1
    assert (losses["no"] - losses["yes"]) / planted > 0.9
    assert "weighted for 400 requests of the last 5h: by RLLS" in sentence(data["yes"])
    assert " of positives now, 1" in sentence(data["yes"])


def test_without_a_shift_nothing_is_weighted() -> None:
    km, outcome = bent(new=NEAR)
    task = number_task(reweight=COVARIATES)
    data = examples_of(task, past(task, km, outcome, np.ones(len(km), bool))).full
    assert data.arrays["weight"].tolist() == [1.0] * len(data.arrays["weight"])
    assert sentence(data).startswith("not weighted: no shift of km is certain")
    rng = np.random.default_rng(5)
    happens = rng.random(OLD + NEW) < 0.3
    labels = chance_task(reweight=LABELS)
    same = examples_of(labels, past(labels, rng.normal(2.0 * happens, 1.0), km, happens)).full
    assert sentence(same).startswith("not weighted: no change of the shares of labels is certain")


def test_where_examples_hardly_overlap_nothing_is_weighted() -> None:
    km, outcome = bent(new=stats.norm(40.0, 0.5))
    task = number_task(reweight=COVARIATES)
    data = examples_of(task, past(task, km, outcome, np.ones(len(km), bool))).full
    assert data.arrays["weight"].tolist() == [1.0] * len(data.arrays["weight"])
    assert "so examples hardly overlap with them" in sentence(data)


def test_few_requests_are_too_few() -> None:
    km, outcome = bent()
    task = number_task(reweight=fb.reweight_covariates("km", recent="1m"))
    data = examples_of(task, past(task, km, outcome, np.ones(len(km), bool))).full
    assert sentence(data).startswith("not weighted: ")
    assert sentence(data).endswith("of the last 1m are too few, 50 are needed")


def test_what_is_evaluated_was_weighted_for_the_requests_before_the_test_window() -> None:
    """A model may not know what was requested in the window that it is tested on."""
    km, outcome = bent()
    task = number_task(reweight=COVARIATES)
    examples = examples_of(task, past(task, km, outcome, np.ones(len(km), bool)))
    assert sentence(examples.full).startswith("weighted for 400 requests")
    assert sentence(examples.train).startswith("not weighted: ")
    assert f"the evaluated models are {sentence(examples.train)}" in examples.evaluation.notes
    assert f"what serves is {sentence(examples.full)}" in examples.evaluation.notes


def test_weights_change_with_time_so_nothing_is_continued() -> None:
    door = chance_task(reweight=LABELS).offline()
    assert isinstance(door, ContinuesCandidates)
    assert door.unable_to_continue(fb.FTRL()) == "the weights of examples change with the latest requests"


@pytest.mark.parametrize(
    ("reweight", "message"),
    [
        (fb.reweight_covariates("price"), "columns of reweight_covariates"),
        (LABELS, "reweight of Predict"),
        (True, "reweight of Predict"),
    ],
)
def test_what_does_not_fit_the_task_is_refused(reweight: Any, message: str) -> None:
    with pytest.raises(BadDeclaration, match=message):
        number_task(reweight=reweight)
