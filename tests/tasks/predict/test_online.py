"""A pipeline answers each kind of target, a row alike in any batch; below it lie the previous version and the usual."""

from typing import Annotated, Any

import numpy as np
import pytest
from tests.tasks.predict.history import DAY_US, MINUTE_US, START_US, past_of

import flyball as fb
from flyball.core import BadInput
from flyball.events import Event
from flyball.models import Artifact
from flyball.stores import open_state
from flyball.tasks import EMPTY_LEVEL, PRECOMPUTED_LEVEL, Predict, Stores, answers_of, request_of


class Order(fb.Event):
    order: Annotated[int, fb.Ref("order"), fb.integer(1)]
    shop: str
    km: float


class Delivered(fb.Event):
    order: Annotated[int, fb.Ref("order"), fb.integer(1)]
    mood: str = "good"


WAIT = fb.elapsed(Delivered, by="order", within="6h", unit="m")
TARGETS: dict[str, dict[str, Any]] = {
    "number": {"target": WAIT},
    "quantiles": {"target": WAIT, "kind": "quantiles", "quantiles": (0.1, 0.5, 0.9)},
    "binary": {"target": fb.occurs(Delivered, by="order", within="6h", where=lambda d: d.mood == "good")},
    "multiclass": {
        "target": fb.target_value(
            Delivered, lambda d: d.mood, by="order", within="6h", classes=("good", "bad", "never")
        )
    },
}
MODELS = {"constant": fb.Constant(), "median": fb.GroupMedian("shop"), "linear": fb.Linear()}


def some_events(count: int = 900) -> list[tuple[Event, int]]:
    """Ten minutes, four for each kilometer, thirty more in shop b; moods are worse there."""
    rng = np.random.default_rng(6)
    events: list[tuple[Event, int]] = []
    for number in range(count):
        at, km, shop = START_US + number * MINUTE_US, float(rng.gamma(2.0)), "ab"[int(rng.integers(2))]
        minutes = 10 + 4 * km + 30 * (shop == "b") + rng.normal(0, 2)
        there = at + int(max(minutes, 1.0) * MINUTE_US)
        mood = "bad" if rng.random() < (0.7 if shop == "b" else 0.1) else "good"
        events.append((Order(at=at, order=number + 1, shop=shop, km=km), at))
        events.append((Delivered(at=there, order=number + 1, mood=mood), there))
    return sorted(events, key=lambda event: event[0].at)


def version_of(kind: str, model: Any) -> tuple[Predict, Artifact, Any]:
    task = Predict(on=Order, **TARGETS[kind])
    past = past_of(task, some_events(), START_US + 3 * DAY_US)
    offline = task.offline()
    examples = offline.examples(past, 50, 1, ())
    assert not isinstance(examples, str), examples
    trained = offline.train(model, examples.train, past, 1)  # type: ignore[attr-defined]
    return task, Artifact({}, dict(trained.arrays), texts=dict(trained.texts)), examples


def online_of(task: Predict) -> Any:
    return task.online(Stores(open_state("memory://"), None, {}))


def requests_of(fields: list[dict[str, Any]]) -> list[Any]:
    return [request_of(Order, str(row), START_US + row * MINUTE_US, each) for row, each in enumerate(fields)]


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("name", MODELS)
def test_a_request_gets_the_same_bits_in_any_batch_and_a_proper_answer(kind: str, name: str) -> None:
    model = MODELS[name]
    task, artifact, examples = version_of(kind, model)
    pipeline = online_of(task).open(model, artifact, {})
    requests = requests_of([*examples.evaluation.fields[:40], {"order": 9, "shop": "new", "km": 1.0}])
    together = pipeline.answer(requests, [None] * len(requests))
    alone = [pipeline.answer([request], [None])[0] for request in requests]
    assert [one.values for one in together] == [one.values for one in alone]
    values = np.array([one.values for one in together])
    assert values.shape == (41, len(task.about.values))
    assert np.isfinite(values).all()
    if kind == "quantiles":
        assert (np.diff(values, axis=1) >= 0).all()
    if kind in ("binary", "multiclass"):
        assert ((values >= 0) & (values <= 1)).all()
    if kind == "multiclass":
        assert values.sum(axis=1) == pytest.approx(1.0)
    pipeline.warm(0)


@pytest.mark.parametrize("kind", TARGETS)
def test_metrics_of_the_plan_tell_the_better_model(kind: str) -> None:
    measured = {}
    for name, model in MODELS.items():
        task, artifact, examples = version_of(kind, model)
        plan, evaluation = task.offline().plan(), examples.evaluation
        pipeline = online_of(task).open(model, artifact, {})
        answers = answers_of(pipeline.answer(requests_of(evaluation.fields), evaluation.contexts))
        for metric in plan.reported:
            prepared = plan.metric(metric).prepare(answers, evaluation)
            value = prepared(np.ones((1, len(evaluation.units))))[0]  # type: ignore[operator, misc]
            assert np.isfinite(value), metric
            if metric == plan.default:
                measured[name] = value
    assert measured["linear"] < measured["constant"]
    assert measured["median"] < measured["constant"]


@pytest.mark.parametrize("kind", ["number", "quantiles"])
@pytest.mark.parametrize("name", MODELS)
def test_contributions_add_up_to_each_value(kind: str, name: str) -> None:
    model = MODELS[name]
    task, artifact, examples = version_of(kind, model)
    pipeline = online_of(task).open(model, artifact, {})
    (request,) = requests_of(examples.evaluation.fields[:1])
    (response,) = pipeline.answer([request], [None])
    parts = pipeline.explain(request, None, response)
    assert [sum(part for _, part in value) for value in parts] == pytest.approx(list(response.values))


def test_contributions_to_a_probability_add_up_to_its_log_odds() -> None:
    task, artifact, examples = version_of("binary", MODELS["linear"])
    pipeline = online_of(task).open(MODELS["linear"], artifact, {})
    (request,) = requests_of(examples.evaluation.fields[:1])
    (response,) = pipeline.answer([request], [None])
    (probability,) = response.values
    added = sum(part for _, part in pipeline.explain(request, None, response)[0])
    assert added == pytest.approx(np.log(probability / (1 - probability)))


def test_a_reason_names_what_is_missing_and_what_is_unknown() -> None:
    task, artifact, _ = version_of("binary", MODELS["linear"])
    pipeline = online_of(task).open(MODELS["linear"], artifact, {})
    numbers = np.full(len(pipeline._encoder.number_names), np.nan)
    categories = np.full(len(pipeline._encoder.category_names), -1, np.int32)
    shown = pipeline._shown(numbers, categories)
    assert {"km missing", "shop = unknown"} <= set(shown)
    assert "km = 2.5" in pipeline._shown(np.full_like(numbers, 2.5), categories)


class Beyond:
    """Predicts what is no probability for the rows of shop b."""

    def __init__(self, predictor: Any) -> None:
        self.predictor = predictor

    def predict(self, numbers: Any, categories: Any) -> Any:
        values = self.predictor.predict(numbers, categories)
        values[categories[:, 0] == 1, -1] = 1.7
        return values


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_what_is_no_probability_is_refused_alone_and_leaves_the_other_rows(kind: str) -> None:
    task, artifact, _ = version_of(kind, MODELS["linear"])
    pipeline = online_of(task).open(MODELS["linear"], artifact, {})
    requests = requests_of([{"order": 1, "shop": "a", "km": 1.0}, {"order": 2, "shop": "b", "km": 1.0}])
    before = pipeline.answer(requests[:1], [None])
    pipeline._predictor = Beyond(pipeline._predictor)
    with pytest.raises(BadInput, match=r"probability must be from 0 to 1, got 1\.7"):
        pipeline.answer(requests[1:], [None])
    assert pipeline.answer(requests[:1], [None]) == before
    # the engine asks for the rows of a batch that raises one by one
    with pytest.raises(BadInput):
        pipeline.answer(requests, [None, None])


def test_without_a_version_the_answer_is_what_is_usual_then_nothing() -> None:
    task, artifact, examples = version_of("number", MODELS["linear"])
    online = online_of(task)
    pipeline = online.open(MODELS["linear"], artifact, {})
    (request,) = requests_of(examples.evaluation.fields[:1])
    level, response = online.fallback(pipeline).answer(request, None)
    usual = np.average(examples.train.arrays["target"], weights=examples.train.arrays["weight"])
    assert (level, response.values) == (PRECOMPUTED_LEVEL, (pytest.approx(usual),))
    level, response = online.fallback(None).answer(request, None)
    assert (level, response.values) == (EMPTY_LEVEL, ())
    assert (online.fallback(pipeline).ready, online.fallback(None).ready) == (True, False)


def test_all_of_one_class_is_learned_and_its_ranking_metrics_are_undefined() -> None:
    task = Predict(on=Order, target=fb.occurs(Delivered, by="order", within="6h"))
    past = past_of(task, some_events(), START_US + 3 * DAY_US)
    examples = task.offline().examples(past, 50, 1, ())
    assert not isinstance(examples, str)
    trained = task.offline().train(fb.Linear(), examples.train, past, 1)  # type: ignore[attr-defined]
    pipeline = online_of(task).open(fb.Linear(), Artifact({}, dict(trained.arrays), texts=dict(trained.texts)), {})
    answers = answers_of(pipeline.answer(requests_of(examples.evaluation.fields), examples.evaluation.contexts))
    assert answers.values.min() > 0.99
    undefined = task.offline().plan().metric("auc").prepare(answers, examples.evaluation)
    assert "both classes" in undefined.reason  # type: ignore[union-attr]
