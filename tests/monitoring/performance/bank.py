"""Applications whose predictions and outcomes are written to real logs, with planted changes; and rows made by hand."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np

import flyball as fb
from flyball.core import ManualClock, new_id
from flyball.events import Record
from flyball.monitoring.performance.logged import Logged
from flyball.operations import catch_up
from flyball.outcomes import Prediction, prediction_record
from flyball.runtime import Runtime
from flyball.settings import load_settings

START_US, DAY_US = 1_767_225_600_000_000, 86_400_000_000
WITHIN_DAYS = 3
Change = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""(day, usual scores) -> (scores, the probability that the outcome happens)."""


class Payment(fb.Event):
    payment: Annotated[int, fb.Ref("payment"), fb.integer(1)]
    card: Annotated[int, fb.Ref("card"), fb.integer(1)]
    merchant: str
    amount: float


class Chargeback(fb.Event):
    payment: Annotated[int, fb.Ref("payment"), fb.integer(1)]


class Order(fb.Event):
    order: Annotated[int, fb.Ref("order"), fb.integer(1)]
    km: float


class Delivered(fb.Event):
    order: Annotated[int, fb.Ref("order"), fb.integer(1)]


class Buy(fb.Event):
    user: Annotated[int, fb.Ref("user"), fb.integer(1)]
    item: Annotated[str, fb.Ref("item")]


def bank_app(**named: Any) -> fb.App:
    return fb.App(
        "bank",
        events=[Payment, Chargeback],
        task=fb.Predict(
            on=Payment,
            target=fb.occurs(Chargeback, by="payment", within=f"{WITHIN_DAYS}d"),
            slices=("merchant",),
            unit="card",
            **named,
        ),
        candidates={"rate": fb.Constant()},
    )


def calibrated(day: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return scores, scores


def noisy_corner(day: int, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every third payment, those of corner, has an outcome that has little to do with its score."""
    corner = np.arange(len(scores)) % 3 == 0
    return scores, np.where(corner, 0.6 * scores.mean() + 0.4 * scores, scores)


def answer(at_us: int, number: int, key: str, request_type: str, request: dict[str, Any], **fields: Any) -> Record:
    usual: dict[str, Any] = {"items": [], "scores": [], "sources": [], "version": "v1"}
    return prediction_record(
        Prediction(
            id=new_id(at_us, random.Random(number)),
            at_us=at_us,
            key=key,
            level="champion",
            arm="champion",
            propensity=1.0,
            request_type=request_type,
            request=request,
            offsets=(),
            **(usual | fields),
        )
    )


def bank(
    folder: Path, days: int = 30, daily: int = 150, change: Change = calibrated, seed: int = 1, app: Any = None
) -> Runtime:
    """Payments of so many days, each with a probability, and the chargebacks of those that have one."""
    rng = np.random.default_rng(seed)
    runtime = Runtime(app or bank_app(), load_settings(folder), ManualClock(START_US + days * DAY_US))
    schema, events, answers = runtime.schema, [], []
    for day in range(days):
        scores, truth = change(day, np.round(rng.beta(1.2, 3.0, daily), 6))
        happens = rng.random(daily) < truth
        for number in range(daily):
            payment, at_us = day * daily + number + 1, START_US + day * DAY_US + (number * DAY_US) // daily
            request = {
                "payment": payment,
                "card": int(rng.integers(1, 5_000)),
                "merchant": "acme" if number % 3 else "corner",
                "amount": 10.0,
            }
            events.append(schema.check("payment", request, at_us, at_us))
            made = answer(at_us, payment, str(payment), "payment", request, values=[float(scores[number])])
            answers.append(made)
            if happens[number]:
                came_us = at_us + int(rng.integers(1, WITHIN_DAYS * DAY_US))
                if came_us < START_US + days * DAY_US:
                    events.append(schema.check("chargeback", {"payment": payment}, came_us, came_us))
    return _written(runtime, events, answers)


def kitchen(folder: Path, days: int = 12, daily: int = 100, late: Callable[[int], float] = lambda day: 1.0) -> Runtime:
    """Orders of 30 minutes on average; `late(day)` times as long on a day, which the predictions do not know."""
    app = fb.App(
        "kitchen",
        events=[Order, Delivered],
        task=fb.Predict(on=Order, target=fb.elapsed(Delivered, by="order", within="6h", unit="m"), kind="quantiles"),
        candidates={"rate": fb.Constant()},
    )
    rng = np.random.default_rng(2)
    runtime = Runtime(app, load_settings(folder), ManualClock(START_US + days * DAY_US))
    schema, events, answers = runtime.schema, [], []
    for number in range(days * daily):
        at_us, day = START_US + number * (DAY_US // daily), number // daily
        minutes = float(np.exp(rng.normal(np.log(30), 0.3))) * late(day)
        request = {"order": number + 1, "km": 1.0}
        events.append(schema.check("order", request, at_us, at_us))
        came_us = at_us + int(minutes * 60_000_000)
        events.append(schema.check("delivered", {"order": number + 1}, came_us, came_us))
        answers.append(answer(at_us, number, str(number + 1), "order", request, values=[20.0, 30.0, 45.0]))
    return _written(runtime, events, answers)


def market(folder: Path, days: int = 12, daily: int = 100, hits: Callable[[int], float] = lambda day: 0.4) -> Runtime:
    """Lists of three items, the second of which is bought by a share `hits(day)` of users."""
    user, item = fb.Entity("user"), fb.Entity("item")
    app = fb.App(
        "market",
        events=[Buy],
        task=fb.Recommend(user, item, positive=fb.outcome(Buy, within="1d"), k=3),
        candidates={"popular": fb.Popular()},
    )
    rng = np.random.default_rng(3)
    runtime = Runtime(app, load_settings(folder), ManualClock(START_US + days * DAY_US))
    schema, events, answers = runtime.schema, [], []
    for number in range(days * daily):
        at_us = START_US + number * (DAY_US // daily)
        request = {"user": number + 1, "k": 3, "context": None, "without": []}
        items = [f"i{rng.integers(50)}-{position}" for position in range(3)]
        lists = {"items": items, "scores": [3.0, 2.0, 1.0], "sources": ["model"] * 3}
        answers.append(answer(at_us, number, str(number + 1), "recommendrequest", request, **lists))
        bought = items[1] if rng.random() < hits(number // daily) else "other"
        events.append(schema.check("buy", {"user": number + 1, "item": bought}, at_us + 1_000_000, at_us + 1_000_000))
    return _written(runtime, events, answers)


def _written(runtime: Runtime, events: list[Record], answers: list[Record]) -> Runtime:
    runtime.log.append(sorted(events, key=lambda event: event.at))
    runtime.predictions.append(answers)
    catch_up(runtime)
    return runtime


def rows(scores: Any, actual: Any, kind: str = "probability", **fields: Any) -> Logged:
    """Predictions a second apart with a label each, each of a key of its own."""
    scores, actual = np.asarray(scores, float), np.asarray(actual, float)
    count = len(actual)
    usual: dict[str, Any] = {
        "kind": kind,
        "label": "chargeback",
        "classes": (),
        "at_us": START_US + np.arange(count) * 1_000_000,
        "unit": np.arange(count),
        "units": count,
        "scores": scores,
        "spans": np.full((count, 2), np.nan),
        "flagged": scores >= 0.5 if scores.ndim == 1 else np.zeros(count, bool),
        "actual": actual,
        "mature": np.ones(count, bool),
        "weight": np.ones(count),
        "answer": scores.astype(object) if scores.ndim == 1 else np.arange(count).astype(object),
    }
    return Logged(**(usual | fields))
