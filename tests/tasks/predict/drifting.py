"""A city whose couriers grow less punctual by the day: what a version learned of the spread is soon too little."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tests.tasks.predict.city import (
    DAY_US,
    KITCHEN,
    MINUTE_US,
    Cancelled,
    City,
    Delivered,
    Delivery,
    Order,
    expected_minutes,
)

import flyball as fb
from flyball.simulation import TrueOutcome, WorldRequest
from flyball.tasks import Response


class DriftingCity(City):
    """Minutes vary with a standard deviation of 2 at first, and of 0.2 more each day; `inside` is whether the outer
    two quantiles held what came."""

    def __init__(self, *, seed: int, start_us: int, orders_a_day: int = 120) -> None:
        super().__init__(seed=seed, start_us=start_us, orders_a_day=orders_a_day)
        self._began_us = start_us

    def minutes(self, request: WorldRequest) -> float:
        spread = 2.0 + 0.2 * (request.at_us - self._began_us) / DAY_US
        draw = random.Random(request.fields["order"]).gauss(0.0, spread)
        return max(1.0, round(expected_minutes(request.fields) + draw, 2))

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        for request in requests:
            minutes = self.minutes(request)
            there_us = request.at_us + int(minutes * MINUTE_US * self._speed)
            self._lines.append((request.at_us, request.number, "order", request.fields))
            self._lines.append((there_us, request.number, "delivered", {"order": request.fields["order"]}))
            self._outcomes.append(TrueOutcome(request.number, "delivery", minutes))

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, np.ndarray]:
        inside = [
            len(response.values) > 2 and response.values[0] <= self.minutes(request) <= response.values[2]
            for request, response in zip(requests, responses, strict=True)
        ]
        return {"inside": np.array(inside, np.float64)}

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        return {}


def drifting(**task: Any) -> fb.App:
    return fb.App(
        "drifting",
        events=[Order, Delivered, Cancelled, Delivery],
        task=fb.Predict(
            on=Order,
            target=fb.elapsed(Delivery, by="order", within="6h", censored_by=(Cancelled,), unit="m"),
            kind="quantiles",
            features=(KITCHEN,),
            ignore=("note", "kitchen.orders", "kitchen.minutes"),
            **task,
        ),
        candidates={"linear": fb.Linear()},
        retrain=[fb.every("14d")],
        world=fb.world(DriftingCity),
    )


app = drifting()
