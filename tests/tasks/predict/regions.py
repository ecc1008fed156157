"""Payments of three regions: in the south the model sees the risk through noise, so more of its fraud is missed."""

from typing import Annotated, Any

import msgspec
import numpy as np

import flyball as fb

DAY_US = 86_400_000_000
PaymentId = Annotated[int, fb.Ref("payment"), fb.integer(1)]


class Payment(fb.Event):
    payment: PaymentId
    shop: Annotated[str, fb.Ref("shop")]
    amount: Annotated[float, fb.real(0, 100_000)]
    risk: Annotated[float, fb.real(-20, 20)]
    region: str | None = None


class Chargeback(fb.Event):
    payment: PaymentId


class ShopCard(fb.Profile):
    shop: Annotated[str, fb.Ref("shop")]
    kind: str


shop = fb.Entity("shop", profile=ShopCard, kind=fb.attribute(ShopCard, lambda card: card.kind))


def make_app(**task: Any) -> fb.App:
    """`task`: what the task declares besides or otherwise."""
    gates = task.pop("gates", None) or fb.gates(min_examples=20)
    usual: dict[str, Any] = {
        "on": Payment,
        "target": fb.occurs(Chargeback, by="payment", within="5d"),
        "features": (shop,),
        "ignore": ("shop", "shop.kind", "amount", "region", "hour", "weekday"),
        "groups": ("region", "shop.kind"),
        "decide": fb.decide(false_approve=lambda p: p.amount, false_decline=lambda p: 2 + 0.2 * p.amount),
    }
    return fb.App(
        "regions",
        events=[Payment, Chargeback],
        task=fb.Predict(**{**usual, **task}),
        candidates={"linear": fb.Linear()},
        choose=fb.best("cost"),
        gates=gates,
    )


app = make_app()


def lines(days: int, start_us: int, noise: float = 2.0, a_day: int = 400, seed: int = 0) -> list[bytes]:
    """Payments of some days and the chargebacks of what was fraud, a day after each; in order of time.

    `noise`: the standard deviation of what is added to the risk that is seen in the south.
    """
    rng = np.random.default_rng(seed)
    found = [
        (start_us - DAY_US, {"type": "shopcard", "shop": f"s{n}", "kind": "kiosk" if n % 4 else "market"})
        for n in range(40)
    ]
    for number in range(days * a_day):
        at_us = start_us + number * DAY_US // a_day
        region = ["north", "south", "west", None][int(rng.choice(4, p=[0.5, 0.3, 0.198, 0.002]))]
        risk = float(rng.normal(0, 1.5))
        seen = risk + (noise if region == "south" else 0.0) * float(rng.normal())
        payment = {
            "payment": number + 1,
            "shop": f"s{rng.integers(40)}",
            "amount": round(float(rng.lognormal(3.5, 0.5)), 2),
            "risk": round(float(np.clip(seen, -20, 20)), 3),
            "region": region,
        }
        found.append((at_us, {"type": "payment", **payment}))
        if rng.random() < 1 / (1 + np.exp(2.5 - 3 * risk)):
            found.append((at_us + DAY_US, {"type": "chargeback", "payment": number + 1}))
    ended = start_us + days * DAY_US
    ordered = sorted(found, key=lambda line: line[0])
    return [msgspec.json.encode({**fields, "at": at}) for at, fields in ordered if at < ended]
