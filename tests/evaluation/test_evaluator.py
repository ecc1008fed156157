"""What one challenger is asked, in which batches, over which catalog, and how long one response takes."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from tests.evaluation.planted import Mind, Steps, challenger, make_world

from flyball.evaluation import Challenger, Evaluator
from flyball.tasks import EvaluationSet, Request, Response


class Recorded:
    """A pipeline over a catalog that notes how many requests it is asked at once."""

    def __init__(self, catalogs: Any, calls: list[tuple[Any, list[str], list[Any]]]) -> None:
        self.catalogs, self.calls = catalogs, calls

    def answer(self, requests: Sequence[Request], contexts: Sequence[Any]) -> list[Response]:
        self.calls.append((self.catalogs, [request.key for request in requests], list(contexts)))
        return [Response(values=(float(len(request.key)),)) for request in requests]


class RecordedTask:
    """Opens recorded pipelines; `further` counts how often it is computed."""

    def __init__(self, task: Any) -> None:
        self.about, self.calls, self.opened, self.computed = task.about, [], [], []

    def offline(self) -> Any:
        def further(pipeline: Any, evaluation: EvaluationSet) -> dict[str, Any]:
            self.computed.append(pipeline.catalogs)
            return {}

        return SimpleNamespace(plan=lambda: SimpleNamespace(further=further))

    def online(self, stores: Any) -> Any:
        def opened(model: Any, artifact: Any, arrangement: Any) -> Recorded:
            self.opened.append((stores.features, arrangement))
            return Recorded(stores.catalogs, self.calls)

        return SimpleNamespace(open=opened)


@pytest.fixture
def world() -> SimpleNamespace:
    return make_world()


def asked(world: SimpleNamespace, count: int, catalogs: list[tuple[int, Any]]) -> tuple[RecordedTask, EvaluationSet]:
    """The first `count` requests, repeated as needed, over these catalogs."""
    whole, rows = world.evaluation, [row % 120 for row in range(count)]
    evaluation = msgspec.structs.replace(
        whole,
        at_us=np.full(count, 100),
        fields=[{"user": f"u{row:04d}", "k": 5} for row in range(count)],
        contexts=[f"context {row}" for row in range(count)],
        units=whole.units,
        unit_of=np.array(rows),
        catalogs=catalogs,
    )
    return RecordedTask(world.task), evaluation


def sizes(task: RecordedTask, evaluation: EvaluationSet, one: Challenger) -> list[tuple[Any, int]]:
    """(catalog, requests) of each call of `answers`."""
    Evaluator(task, evaluation, Steps()).answers(one)
    return [(catalogs, len(keys)) for catalogs, keys, _ in task.calls]


@pytest.mark.parametrize(("count", "expected"), [(1, [1]), (63, [63]), (64, [64]), (65, [64, 1]), (130, [64, 64, 2])])
def test_requests_are_asked_in_batches_each_once_with_its_context(
    world: SimpleNamespace, count: int, expected: list[int]
) -> None:
    task, evaluation = asked(world, count, [])
    assert sizes(task, evaluation, challenger(world, "one", Mind())) == [({}, size) for size in expected]
    pairs = [pair for _, keys, contexts in task.calls for pair in zip(keys, contexts, strict=True)]
    assert pairs == [(f"u{row:04d}", f"context {row}") for row in range(count)]


def test_a_challenger_with_features_is_asked_more_at_once(world: SimpleNamespace) -> None:
    task, evaluation = asked(world, 600, [])
    reader: Any = object()
    assert [n for _, n in sizes(task, evaluation, challenger(world, "one", Mind(), features=reader))] == [512, 88]
    assert task.opened == [(reader, {**task.about.arrangement, "randomized_share": 0.0})]


def test_each_request_is_asked_over_the_catalog_of_its_time(world: SimpleNamespace) -> None:
    """Batches end where a catalog does; what else is computed is computed once, over the first."""
    task, evaluation = asked(world, 140, [(0, {"film": 1}), (70, {"film": 2}), (71, {"film": 3})])
    one = challenger(world, "one", Mind())
    parts = [(1, 64), (1, 6), (2, 1), (3, 64), (3, 5)]
    assert sizes(task, evaluation, one) == [({"film": catalog}, size) for catalog, size in parts]
    assert task.computed == [{"film": 1}]


def test_responses_stay_in_the_order_of_their_requests(world: SimpleNamespace) -> None:
    task, evaluation = asked(world, 100, [(0, {}), (30, {})])
    names = ["x" * (1 + row % 7) for row in range(100)]
    evaluation = msgspec.structs.replace(evaluation, fields=[{"user": name, "k": 5} for name in names])
    answers = Evaluator(task, evaluation, Steps()).answers(challenger(world, "one", Mind()))
    assert answers.values[:, 0].tolist() == [float(len(name)) for name in names]


@pytest.mark.parametrize(("count", "timed"), [(1, 1), (99, 99), (100, 100), (250, 125), (1_000, 100)])
def test_latency_is_of_responses_asked_alone_over_the_last_catalog(
    world: SimpleNamespace, count: int, timed: int
) -> None:
    """A hundred or some more, spread over all; by this stopwatch each takes a hundredth of a second."""
    task, evaluation = asked(world, count + 5, [(0, {"film": 1}), (5, {"film": 2})])
    answered = Evaluator(task, evaluation, Steps()).answered(challenger(world, "one", Mind()))
    alone = [(catalogs, keys[0]) for catalogs, keys, _ in task.calls[-timed:]]
    assert {len(keys) for _, keys, _ in task.calls[-timed:]} == {1}
    step = max(1, count // 100)
    assert alone == [({"film": 2}, f"u{row:04d}") for row in range(5, count + 5, step)]
    latency = answered.latency_us
    assert latency.value == pytest.approx(10_000)
    assert (latency.low, latency.high) == ((None, None) if timed == 1 else (latency.value, latency.value))


@pytest.mark.parametrize(
    ("as_of_us", "saw", "failed"),
    [(99, False, ""), (100, False, "must be known before the test window"), (100, True, ""), (10**9, True, "")],
)
def test_training_data_must_end_before_the_test_window_unless_it_is_known_to_reach_into_it(
    world: SimpleNamespace, as_of_us: int, saw: bool, failed: str
) -> None:
    task, evaluation = asked(world, 3, [])
    one = challenger(world, "one", Mind(), as_of_us=as_of_us, saw_test_window=saw)
    answered = Evaluator(task, evaluation, Steps()).answered(one)
    assert failed in answered.failed
    assert (answered.answers is None) == bool(failed)


@pytest.mark.parametrize("lacking", ["model", "artifact"])
def test_who_is_not_fitted_is_reported_why_and_asked_nothing(world: SimpleNamespace, lacking: str) -> None:
    task, evaluation = asked(world, 3, [])
    one = msgspec.structs.replace(challenger(world, "one", Mind()), **{lacking: None})
    answered = Evaluator(task, evaluation, Steps()).answered(one)
    assert answered.failed == "BadInput: challenger 'one' must be fitted, got 'no artifact'"
    failed = msgspec.structs.replace(one, failed="LinAlgError: singular")
    assert Evaluator(task, evaluation, Steps()).answered(failed).failed == "LinAlgError: singular"
    assert task.calls == []
