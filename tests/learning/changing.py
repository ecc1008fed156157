"""A city whose kitchens change: suddenly on one day, or a little every day, or never. What that costs is planted."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from tests.tasks.predict.city import DAY_US, MINUTE_US, Cancelled, City, Delivered, Delivery, Order

import flyball as fb
from flyball.app import App
from flyball.core import ManualClock
from flyball.policy import Stateful
from flyball.runtime import Runtime, load_settings
from flyball.simulation import TrueOutcome, WorldRequest, new_plan, seed_home
from flyball.tasks import Response

START_US = 1_767_225_600_000_000


class ChangingCity(City):
    """Minutes are those of the kitchen and 4 for each kilometer, with a standard deviation of 2.

    A kitchen takes 20 minutes and `swing` more or fewer by a wave that lasts `period` days, shifted for each kitchen,
    and from `change_day` on all of them `slower` minutes more.
    """

    def __init__(
        self,
        *,
        seed: int,
        start_us: int,
        orders_a_day: int = 200,
        period: float = 1e9,
        swing: float = 10.0,
        change_day: float = 1e9,
        slower: float = 0.0,
    ) -> None:
        super().__init__(seed=seed, start_us=start_us, orders_a_day=orders_a_day)
        self._began_us, self._period, self._swing = start_us, period, swing
        self._change_day, self._slower = change_day, slower

    def expected(self, fields: Mapping[str, Any], at_us: int) -> float:
        """The minutes that an order takes on average."""
        day = (at_us - self._began_us) / DAY_US
        wave = math.sin(2 * math.pi * (day / self._period + "abc".index(fields["kitchen"]) / 3))
        late = self._slower if day >= self._change_day else 0.0
        return 20.0 + self._swing * wave + 4.0 * float(fields["km"]) + late

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        for request in requests:
            minutes = max(1.0, self.expected(request.fields, request.at_us) + float(self.rng.normal(0.0, 2.0)))
            there_us = request.at_us + int(minutes * MINUTE_US * self._speed)
            self._lines.append((request.at_us, request.number, "order", request.fields))
            self._lines.append((there_us, request.number, "delivered", {"order": request.fields["order"]}))
            self._outcomes.append(TrueOutcome(request.number, "delivery", minutes))

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, Any]:
        expected = np.array([self.expected(request.fields, request.at_us) for request in requests])
        answered = np.array([response.values[0] if response.values else 0.0 for response in responses])
        return {"closeness": -np.abs(answered - expected)}

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        return {}


def changing(retrain: Sequence[Any] = (), candidates: Mapping[str, Any] | None = None, **settings: Any) -> App:
    """The application over the world with these settings."""
    return fb.App(
        "changing",
        events=[Order, Delivered, Cancelled, Delivery],
        task=fb.Predict(
            on=Order,
            target=fb.elapsed(Delivery, by="order", within="6h", censored_by=(Cancelled,), unit="m"),
            ignore=("note",),
        ),
        candidates=candidates or {"linear": fb.Linear()},
        choose=fb.best("mae"),
        retrain=list(retrain),
        world=fb.world(ChangingCity, **settings),
    )


def late(candidates: Mapping[str, Any], *, training: Stateful | None = None, **settings: Any) -> App:
    """Whether an order takes more than 30 minutes, over the same world."""
    return fb.App(
        "late",
        events=[Order, Delivered, Cancelled, Delivery],
        task=fb.Predict(
            on=Order,
            target=fb.occurs(Delivery, by="order", within="6h", where=lambda d: d.elapsed_us > 30 * MINUTE_US),
            ignore=("note",),
        ),
        candidates=candidates,
        choose=fb.best("log_loss"),
        retrain=[],
        training=training,
        world=fb.world(ChangingCity, **settings),
    )


def filled(folder: Path, app: App, days: int, seed: int = 1) -> Runtime:
    """A home with the past of so many days; it is the end of the last."""
    now_us = START_US + days * DAY_US
    runtime = Runtime(app, load_settings(folder), ManualClock(now_us))
    seed_home(runtime, msgspec.structs.replace(new_plan(app, now_us), days=days, seed=seed))
    return runtime


app = changing()
