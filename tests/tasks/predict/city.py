"""A city that orders food: minutes from the order to its delivery, from the kitchen's load, the distance and the hour.

Kitchen "a" is quick, "b" is not; a courier needs four minutes for each kilometer; every order is cancelled with a
chance of one in twenty, ten minutes after it was placed.
"""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

import flyball as fb
from flyball.simulation import DAY_US, Timeline, TrueOutcome, WorldBatch, WorldRequest
from flyball.tasks import Response

MINUTE_US = 60_000_000
OrderId = Annotated[int, fb.Ref("order"), fb.integer(1)]
PREPARATION = {"a": 10.0, "b": 30.0, "c": 20.0}


class Order(fb.Event):
    order: OrderId
    kitchen: Annotated[str, fb.Ref("kitchen")]
    km: Annotated[float, fb.real(0, 100)]
    note: str | None = None


class Delivered(fb.Event):
    order: OrderId


class Cancelled(fb.Event):
    order: OrderId


Delivery = fb.joined("Delivery", Order, Delivered, by="order", within="6h")

KITCHEN = fb.Entity(
    "kitchen",
    orders=fb.count(Order, "1h"),
    minutes=fb.mean(Delivery, lambda d: d.elapsed_us / MINUTE_US, "7d"),
)


class City:
    """`delivery` is the true outcome; `closeness` is minus the true error of a response in minutes."""

    def __init__(self, *, seed: int, start_us: int, orders_a_day: int = 300) -> None:
        self.rng = np.random.default_rng(seed)
        self._now_us, self._orders, self.placed = start_us, orders_a_day, 0
        self._speed = 1.0
        self._lines: list[tuple[int, int, str, Mapping[str, Any]]] = []
        self._outcomes: list[TrueOutcome] = []

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        self._speed = timeline.speed
        count = int(self.rng.poisson(self._orders * (until_us - self._now_us) / DAY_US))
        at_us = np.sort(self.rng.integers(self._now_us, until_us, size=count)).tolist()
        km = self.rng.gamma(2.0, 1.0, size=count).clip(0.2, 20.0).round(2).tolist()
        first, self.placed = self.placed, self.placed + count
        return [
            WorldRequest(first + n, at, {"order": first + n + 1, "kitchen": "abc"[n % 3], "km": far})
            for n, (at, far) in enumerate(zip(at_us, km, strict=True))
        ]

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        for request in requests:
            order = {"order": request.fields["order"]}
            self._lines.append((request.at_us, request.number, "order", request.fields))
            if self.rng.random() < 0.05:
                cancelled_us = request.at_us + int(10 * MINUTE_US * self._speed)
                self._lines.append((cancelled_us, request.number, "cancelled", order))
                continue
            minutes = max(1.0, expected_minutes(request.fields) + float(self.rng.normal(0.0, 3.0)))
            there_us = request.at_us + int(int(minutes * MINUTE_US) * self._speed)
            self._lines.append((there_us, request.number, "delivered", order))
            self._outcomes.append(TrueOutcome(request.number, "delivery", int(minutes * MINUTE_US) / MINUTE_US))

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
        expected = np.array([expected_minutes(request.fields) for request in requests])
        answered = np.array([response.values[0] if response.values else 0.0 for response in responses])
        return {"closeness": -np.abs(answered - expected)}

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        return {"oracle": [Response(values=(expected_minutes(request.fields),)) for request in requests]}


def expected_minutes(fields: Mapping[str, Any]) -> float:
    return PREPARATION[fields["kitchen"]] + 4.0 * float(fields["km"])


app = fb.App(
    "city",
    events=[Order, Delivered, Cancelled, Delivery],
    task=fb.Predict(
        on=Order,
        target=fb.elapsed(Delivery, by="order", within="6h", censored_by=(Cancelled,), unit="m"),
        features=(KITCHEN,),
        ignore=("note",),
        slices=("kitchen",),
    ),
    candidates={"median": fb.GroupMedian("kitchen"), "linear": fb.Linear()},
    choose=fb.best("mae"),
    retrain=[fb.every("1d")],
    world=fb.world(City),
)
