"""Defaults for tasks: what they answer, and that a field that is given replaces the default."""

from typing import Annotated, Any

import msgspec
import numpy as np
import pytest
from tests.toy.delivery import app

import flyball as fb
from flyball.tasks import (
    POPULAR_LEVEL,
    FixedFallback,
    PipelineDefaults,
    RequestMean,
    Response,
    StatelessOnline,
    TaskDefaults,
    answers_of,
    evaluation_of,
    family_of,
    request_of,
)


class Ask(fb.Event):
    order: Annotated[int, fb.Ref("order"), fb.integer(1)]


REQUEST = request_of(Ask, "01ARZ3NDEKTSV4RRFFQ69G5FAV", 5, {"order": 7})


class Pipeline(PipelineDefaults):
    def __init__(self, artifact: Any) -> None:
        self.artifact = artifact


class State:
    def offsets(self) -> tuple[int, ...]:
        return (3, 4)


class Opened(msgspec.Struct, frozen=True):
    state: State = State()


def test_a_task_binds_and_restores_itself() -> None:
    class Task(TaskDefaults, frozen=True):
        name: str

    task, candidates = Task("a"), {"one": 1}
    assert task.bind(candidates) == (task, candidates)
    assert task.restore({"name": "b"}) is task


def test_an_online_door_without_state_opens_the_artifact_and_falls_back_to_fixed_values() -> None:
    door = StatelessOnline(Opened(), Pipeline, fallback_values=(30.0, 40.0))  # type: ignore[arg-type]
    assert door.contexts([REQUEST, REQUEST]) == ([None, None], (3, 4))
    pipeline = door.open(None, "artifact", {})  # type: ignore[arg-type]
    assert isinstance(pipeline, Pipeline)
    assert pipeline.artifact == "artifact"
    pipeline.warm(0)
    fallback = door.fallback(None)
    assert (fallback.ready, fallback.offsets) == (True, ())
    assert fallback == FixedFallback((30.0, 40.0))
    assert fallback.answer(REQUEST, None) == (POPULAR_LEVEL, Response(values=(30.0, 40.0)))


def test_requests_are_units_of_their_own_unless_units_are_given() -> None:
    at_us, fields = np.array([10, 20, 40]), [{"order": order} for order in (1, 2, 3)]
    truth = np.array([1.0, 2.0, 6.0])
    evaluation = evaluation_of(at_us, fields, truth)
    assert evaluation.window_us == (10, 41)
    assert (evaluation.contexts, evaluation.units, evaluation.pool) == ([None] * 3, ["0", "1", "2"], 3)
    assert evaluation.unit_of.tolist() == [0, 1, 2]
    assert evaluation.take(np.array([0, 2])).truth.tolist() == [1.0, 6.0]
    by_day = evaluation_of(at_us, fields, truth, (0, 50), units=["day"], unit_of=np.zeros(3, np.int64), pool=9)
    assert (by_day.window_us, by_day.units, by_day.pool) == ((0, 50), ["day"], 9)
    assert by_day.unit_of.tolist() == [0, 0, 0]


def test_a_mean_over_requests_counts_each_request_once() -> None:
    evaluation = evaluation_of(
        np.arange(3), [{}, {}, {}], np.array([1.0, 2.0, 6.0]), units=["a", "b"], unit_of=np.array([0, 0, 1])
    )
    metric = RequestMean(lambda answers, evaluation: answers.values[:, 0] - evaluation.truth, better="low")
    prepared = metric.prepare(answers_of([Response(values=(7.0,))] * 3), evaluation)
    assert prepared is not None
    # The differences are 6, 5 and 1: 12 / 3 over all, and 1 for the second unit alone.
    assert prepared(np.array([[1.0, 1.0], [0.0, 1.0]])) == pytest.approx([4.0, 1.0])
    assert family_of(metric).make(0.0) is metric
    assert (family_of(metric).argument, metric.better, metric.centered) == ("", "low", False)


def test_the_small_task_uses_them() -> None:
    assert isinstance(app.task, TaskDefaults)
