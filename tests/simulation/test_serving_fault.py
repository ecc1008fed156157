"""Faults of serving: contexts that cannot be read while a store is away, inputs that are read wrongly."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import pytest

import flyball as fb
from flyball.core import StoreUnavailable
from flyball.serving import Serving
from flyball.simulation.fault import Planted, misread
from flyball.simulation.serving_fault import ServingFault
from flyball.tasks import Request, Response, request_of


class Order(fb.Event):
    order: Annotated[int, fb.Ref("order")]
    km: float
    items: int


class History(msgspec.Struct, frozen=True):
    user: str
    items: list[str]
    weights: np.ndarray


class Recorded:
    """A pipeline that records what it is asked."""

    def __init__(self) -> None:
        self.asked = list[tuple[Any, Any]]()

    def answer(self, requests: Sequence[Request], contexts: Sequence[Any]) -> list[Response]:
        self.asked += [(request.event, context) for request, context in zip(requests, contexts, strict=True)]
        return [Response(values=(1.0,))] * len(requests)


REQUEST = request_of(Order, "01ARZ3NDEKTSV4RRFFQ69G5FAV", 5, {"order": 1, "km": 3.0, "items": 2})


def test_no_context_can_be_read_while_the_store_is_away() -> None:
    serving = Serving(pipelines={"v1": Recorded(), "v2": Recorded()}, fallback_version="v0")  # type: ignore[dict-item]
    fault = ServingFault("away", 1)
    away = fault.planted(serving, over=False)
    assert set(away.contexts) == {"v0", "v1", "v2"}
    for read in away.contexts.values():
        with pytest.raises(StoreUnavailable, match="cannot be read"):
            read([REQUEST])
    assert fault.planted(away, over=True) == serving


def test_a_version_with_a_bug_reads_fractions_ten_times_as_large_and_no_history() -> None:
    good, buggy = Recorded(), Recorded()
    serving = Serving(pipelines={"v1": good, "v2": buggy})  # type: ignore[dict-item]
    fault = ServingFault("misread", 1)
    assert fault.planted(serving, over=False) is serving
    fault.version = "v2"
    planted = fault.planted(serving, over=False)
    assert fault.planted(planted, over=False) is planted
    assert isinstance(planted.pipelines["v2"], Planted)
    history = History("a", ["x", "y"], np.ones(2))
    for version in ("v1", "v2"):
        planted.pipelines[version].answer([REQUEST], [history])
    assert good.asked == [(REQUEST.event, history)]
    ((event, context),) = buggy.asked
    assert (event.km, event.items, event.order) == (30.0, 2, 1)
    assert (context.user, context.items, len(context.weights)) == ("a", [], 0)
    assert misread(misread(REQUEST)).event.km == 300.0  # type: ignore[attr-defined]


def test_without_a_fault_nothing_changes() -> None:
    serving = Serving(pipelines={"v1": Recorded()})  # type: ignore[dict-item]
    assert ServingFault("", 1).planted(serving, over=False) is serving


def test_versions_that_are_stuck_repeat_their_first_answer_until_it_is_over() -> None:
    class Counting(Recorded):
        def answer(self, requests: Sequence[Request], contexts: Sequence[Any]) -> list[Response]:
            super().answer(requests, contexts)
            return [Response(values=(float(len(self.asked)),)) for _ in requests]

    serving = Serving(pipelines={"v1": Counting()})  # type: ignore[dict-item]
    fault = ServingFault("stuck", 1)
    stuck = fault.planted(serving, over=False)
    assert fault.planted(stuck, over=False) is stuck
    values = [stuck.pipelines["v1"].answer([REQUEST], [None])[0].values for _ in range(3)]
    assert values[0] == values[1] == values[2]
    sound = fault.planted(stuck, over=True)
    assert sound == serving
    assert sound.pipelines["v1"].answer([REQUEST], [None])[0].values != values[0]
