"""Card payments whose chance of fraud is known: decided by costs, reviewed by people, charged back after days."""

from typing import Annotated

import msgspec
import numpy as np

import flyball as fb

DAY_US = 86_400_000_000
PaymentId = Annotated[int, fb.Ref("payment"), fb.integer(1)]
Card = Annotated[int, fb.Ref("card")]


class Payment(fb.Event):
    payment: PaymentId
    card: Card
    amount: Annotated[float, fb.real(-1_000, 100_000)]
    risk: Annotated[float, fb.real(-20, 20)]


class Chargeback(fb.Event):
    payment: PaymentId


class Verdict(fb.Event):
    payment: PaymentId
    card: Card
    fraud: bool


POLICY = fb.decide(
    false_approve=lambda p: p.amount,
    false_decline=lambda p: 2 + 0.1 * p.amount,
    review=6.0,
    reviews_per_day=8,
    control=0.2,
    verdict=Verdict,
)

app = fb.App(
    "payments",
    events=[Payment, Chargeback, Verdict],
    task=fb.Predict(
        on=Payment,
        target=fb.occurs(Chargeback, by="payment", within="5d"),
        ignore=("card", "amount"),
        decide=POLICY,
    ),
    candidates={"linear": fb.Linear(), "calibrated": fb.calibrated(fb.Linear(), "platt")},
    choose=fb.best("cost"),
    gates=fb.gates(min_examples=20),
)


def chance(risk: float) -> float:
    """Of fraud."""
    return float(1 / (1 + np.exp(3 - 2 * risk)))


def lines(days: int, start_us: int, seed: int = 0, a_day: int = 200) -> list[bytes]:
    """Payments of some days and the chargebacks of what was fraud, two days after each; in order of time."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(days * a_day):
        at_us = start_us + number * DAY_US // a_day
        risk, amount = round(float(rng.normal(0, 1)), 3), round(float(rng.lognormal(3.5, 1.0)), 2)
        payment = {"payment": number + 1, "card": int(rng.integers(1, 60)), "amount": amount, "risk": risk}
        found.append((at_us, {"type": "payment", **payment}))
        if rng.random() < chance(risk):
            found.append((at_us + 2 * DAY_US, {"type": "chargeback", "payment": number + 1}))
    ended = start_us + days * DAY_US
    return [
        msgspec.json.encode({**fields, "at": at}) for at, fields in sorted(found, key=lambda one: one[0]) if at < ended
    ]
