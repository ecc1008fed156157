"""Orders by hand, tasks about them, and labels that are odd."""

from typing import Annotated, Any

import numpy as np
from tests.tasks.predict.history import HOUR_US, START_US

import flyball as fb
from flyball.events import Event
from flyball.tasks import Predict

OrderId = Annotated[int, fb.Ref("order"), fb.integer(1)]


class Order(fb.Event):
    order: OrderId
    kitchen: Annotated[str, fb.Ref("kitchen")]
    km: float = 1.0
    amount: float = 1.0


class Delivered(fb.Event):
    order: OrderId
    score: float = 0.0
    mood: str = ""


class Cancelled(fb.Event):
    order: OrderId


Delivery = fb.joined("Delivery", Order, Delivered, by="order", within="6h")


def elapsed_task(**named: Any) -> Predict:
    return fb.Predict(
        on=Order, target=fb.elapsed(Delivery, by="order", within="6h", censored_by=(Cancelled,), unit="m"), **named
    )


def occurs_task(**named: Any) -> Predict:
    return fb.Predict(on=Order, target=fb.occurs(Delivered, by="order", within="6h"), **named)


def order(number: int, hours: float) -> tuple[Event, int]:
    at = START_US + int(hours * HOUR_US)
    return Order(at=at, order=number, kitchen="a"), at


def delivered(number: int, hours: float, score: float = 0.0) -> tuple[Event, int]:
    at = START_US + int(hours * HOUR_US)
    return Delivered(at=at, order=number, score=score), at


def score_task() -> Predict:
    target = fb.target_value(Delivered, lambda d: d.score, by="order", within="6h")
    return fb.Predict(on=Order, target=target)


YEAR_H = 365 * 24.0
ODD: dict[str, tuple[list[tuple[Event, int]], list[float], list[float], list[float]]] = {
    # events: (elapsed minutes, whether it occurs, the score); nan for no example
    "two labels": ([order(1, 0), delivered(1, 1, 7.0), delivered(1, 2, 9.0)], [60.0], [1.0], [9.0]),
    "a label before its question": ([delivered(1, 0, 7.0), order(1, 1)], [np.nan], [0.0], [np.nan]),
    "a label at the time of its question": ([order(1, 1), delivered(1, 1, 7.0)], [0.0], [1.0], [7.0]),
    "a label after its span": ([order(1, 0), delivered(1, 7, 7.0)], [np.nan], [0.0], [np.nan]),
    "a key used again after a year": (
        [order(1, 0), delivered(1, 1, 7.0), order(1, YEAR_H), delivered(1, YEAR_H + 3, 9.0)],
        [60.0, 180.0],
        [1.0, 1.0],
        [7.0, 9.0],
    ),
    "a key used again after a year, unanswered": (
        [order(1, 0), delivered(1, 1, 7.0), order(1, YEAR_H)],
        [60.0, np.nan],
        [1.0, 0.0],
        [7.0, np.nan],
    ),
    "a question asked twice": (
        [order(1, 0), order(1, 2), delivered(1, 3, 7.0)],
        [180.0, 60.0],
        [1.0, 1.0],
        [7.0, 7.0],
    ),
}
"""What docs/how-to/labels-come-late.md says of odd labels."""
