"""Orders with a field of each kind: a reference, a choice, a number, one that may be missing."""

from typing import Annotated, Any, Literal

import numpy as np

import flyball as fb

MINUTE_US, DAY_US = 60_000_000, 86_400_000_000
START_US = 1_767_225_600_000_000
NOW_US = START_US + 4 * DAY_US
OrderId = Annotated[int, fb.Ref("order"), fb.integer(1)]


class Order(fb.Event):
    order: OrderId
    kitchen: Annotated[str, fb.Ref("kitchen")]
    size: Literal["small", "large"]
    km: float
    rain: float | None = None


class Delivered(fb.Event):
    order: OrderId


app = fb.App(
    "odd",
    events=[Order, Delivered],
    task=fb.Predict(on=Order, target=fb.elapsed(Delivered, by="order", within="6h", unit="m"), slices=("size",)),
    candidates={"linear": fb.Linear()},
    gates=fb.gates(min_examples=20),
)


def history(count: int = 400) -> list[dict[str, Any]]:
    """An order every six minutes, slower from kitchen b and with the distance."""
    rng = np.random.default_rng(0)
    events: list[dict[str, Any]] = []
    for number in range(count):
        at, km = START_US + number * 6 * MINUTE_US, round(float(rng.uniform(0, 5)), 2)
        order = {
            "order": number + 1,
            "kitchen": "ab"[number % 2],
            "size": ["small", "large"][number % 3 == 0],
            "km": km,
        }
        events.append({"type": "order", "at": at, **order, "rain": [None, 1.0][number % 4 == 0]})
        minutes = 10 + 5 * km + 10 * (number % 2)
        events.append({"type": "delivered", "at": at + int(minutes * MINUTE_US), "order": number + 1})
    return sorted(events, key=lambda event: event["at"])
