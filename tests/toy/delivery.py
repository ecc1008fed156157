"""A second kind of task, as small as can be: how many minutes an order takes, learned from a later, joined event.

It goes through the whole loop without one line of its own in any room: only the contract in `flyball/tasks` knows it.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np
import polars as pl

import flyball as fb
from flyball.simulation import DAY_US, Timeline, TrueOutcome, WorldBatch, WorldRequest
from flyball.tasks import (
    About,
    EvaluationPlan,
    Examples,
    Holdout,
    Label,
    PipelineDefaults,
    Request,
    RequestMean,
    Response,
    StatelessOnline,
    Stores,
    TaskDefaults,
    TrainingData,
    evaluation_of,
    family_of,
)

MINUTE_US = 60_000_000
OrderId = Annotated[int, fb.Ref("order"), fb.integer(1)]


class Order(fb.Event):
    """A customer orders; this is also the request."""

    order: OrderId
    kitchen: Annotated[str, fb.Ref("kitchen")]
    km: Annotated[float, fb.real(0, 100)]


class Delivered(fb.Event):
    order: OrderId


Delivery = fb.joined("Delivery", Order, Delivered, by="order", within="6h")


class Constant(msgspec.Struct, frozen=True):
    """The mean of all."""

    features: tuple[str, ...] = ()

    def fit(self, data: TrainingData, past: Any, seed: int) -> dict[str, np.ndarray]:
        return {"weights": np.array([data.arrays["minutes"].mean(), 0.0])}


class Linear(msgspec.Struct, frozen=True):
    """Minutes as a line over the kilometers."""

    features: tuple[str, ...] = ()

    def fit(self, data: TrainingData, past: Any, seed: int) -> dict[str, np.ndarray]:
        slope, offset = np.polyfit(data.arrays["km"], data.arrays["minutes"], 1)
        return {"weights": np.array([offset, slope])}


class Pipeline(PipelineDefaults):
    def __init__(self, artifact: Any) -> None:
        self._offset, self._slope = artifact.arrays["weights"].tolist()

    def answer(self, requests: Sequence[Request], contexts: Sequence[Any]) -> list[Response]:
        return [Response(values=(self._offset + self._slope * request.event.km,)) for request in requests]  # type: ignore[attr-defined]

    def explain(self, request: Request, context: Any, response: Response) -> list[list[tuple[str, float]]]:
        return [[("always", self._offset), ("km", self._slope * request.event.km)]]  # type: ignore[attr-defined]


class Offline:
    def examples(
        self, past: Any, min_examples: int, seed: int, metrics: Sequence[str] = (), window_us: Any = None
    ) -> Examples | str:
        """Candidates are evaluated on the last fifth of the deliveries, or on those in the window."""
        events = past.events("delivery").sort("at")
        last = events[int(0.8 * len(events)) :]
        tested = last if window_us is None else events.filter(pl.col("at").is_between(*window_us, closed="left"))
        if len(tested) < min_examples:
            return f"{len(events)} deliveries are too few"
        fields = tested.select("order", "kitchen", "km").to_dicts()
        evaluation = evaluation_of(tested["at"].to_numpy(), fields, _data(tested, 0).arrays["minutes"])
        before = past.before(evaluation.window_us[0] - 1)
        train, full = (_data(known.events("delivery"), known.as_of_us) for known in (before, past))
        return Examples(
            train, full, evaluation, Holdout(*evaluation.window_us), f"evaluated on {len(tested)} deliveries"
        )

    def plan(self) -> EvaluationPlan:
        error = RequestMean(lambda answers, evaluation: np.abs(answers.values[:, 0] - evaluation.truth), better="low")
        return EvaluationPlan({"mae": family_of(error)}, "mae", ("mae",), ("mae",), {"constant_baseline": Constant()})


def _data(events: Any, as_of_us: int) -> TrainingData:
    minutes = events["elapsed_us"].to_numpy() / MINUTE_US
    return TrainingData({"km": events["km"].to_numpy(), "minutes": minutes}, {}, as_of_us)


class PredictMinutes(TaskDefaults, frozen=True):
    """The task."""

    @property
    def about(self) -> About:
        label = Label(
            name="minutes",
            event=Delivery,
            by=("order",),
            within_us=360 * MINUTE_US,
            otherwise=None,
            value=fb.value(Delivery, lambda delivery: delivery.elapsed_us / 60_000_000).expression,
        )
        return About(
            kind="minutes",
            request=Order,
            values=("minutes",),
            labels=(label,),
            entities=(fb.Entity("kitchen"),),
            event_types=(Order, Delivered, Delivery),
        )

    def offline(self) -> Offline:
        return Offline()

    def online(self, stores: Stores) -> StatelessOnline:
        return StatelessOnline(stores, Pipeline, fallback_values=(30.0,))


class City:
    """Orders from three kitchens; a courier needs ten minutes and four for each kilometer, give or take three.

    `minutes` is the true outcome; `closeness` is minus the true error of a response in minutes.
    """

    def __init__(self, *, seed: int, start_us: int, orders_a_day: int = 300) -> None:
        self.rng = np.random.default_rng(seed)
        self._now_us, self._orders, self.placed = start_us, orders_a_day, 0
        self._speed = 1.0
        self._lines: list[tuple[int, int, str, Mapping[str, Any]]] = []
        self._outcomes: list[TrueOutcome] = []

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        self._speed = timeline.speed  # a courier takes as long on a faster world's day
        count = int(self.rng.poisson(self._orders * (until_us - self._now_us) / DAY_US))
        at_us = np.sort(self.rng.integers(self._now_us, until_us, size=count)).tolist()
        km = self.rng.gamma(2.0, 2.0, size=count).clip(0.2, 50.0).round(2).tolist()
        first, self.placed = self.placed, self.placed + count
        return [
            WorldRequest(first + n, at, {"order": first + n + 1, "kitchen": "abc"[n % 3], "km": far})
            for n, (at, far) in enumerate(zip(at_us, km, strict=True))
        ]

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        """The order is placed and delivered whatever was answered."""
        for request in requests:
            minutes = max(1.0, expected_minutes(request.fields["km"]) + float(self.rng.normal(0.0, 3.0)))
            there_us = request.at_us + int(int(minutes * MINUTE_US) * self._speed)
            self._lines.append((request.at_us, request.number, "order", request.fields))
            self._lines.append((there_us, request.number, "delivered", {"order": request.fields["order"]}))
            self._outcomes.append(TrueOutcome(request.number, "minutes", int(minutes * MINUTE_US) / MINUTE_US))

    def emit(self, until_us: int, timeline: Timeline) -> WorldBatch:
        self._lines.sort(key=lambda line: line[:3])
        due = [line for line in self._lines if line[0] < until_us]
        self._lines, self._now_us = self._lines[len(due) :], until_us
        outcomes, self._outcomes = self._outcomes, []
        lines = [
            msgspec.json.encode({"type": kind, "at": timeline.written(at_us), **fields})
            for at_us, _, kind, fields in due
        ]
        return WorldBatch([("jsonl", lines)] if lines else [], {"lines": len(lines)}, outcomes, bool(self._lines))

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, np.ndarray]:
        expected = np.array([expected_minutes(request.fields["km"]) for request in requests])
        answered = np.array([response.values[0] if response.values else 0.0 for response in responses])
        return {"closeness": -np.abs(answered - expected)}

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        return {
            "oracle": [Response(values=(expected_minutes(request.fields["km"]),)) for request in requests],
            "half_hour": [Response(values=(30.0,))] * len(requests),
        }


def expected_minutes(km: float) -> float:
    return 10.0 + 4.0 * km


app = fb.App(
    "delivery",
    events=[Order, Delivered, Delivery],
    task=PredictMinutes(),
    candidates={"constant": Constant(), "linear": Linear()},
    choose=fb.best("mae"),
    retrain=[fb.every("1d")],
    world=fb.world(City),
)
