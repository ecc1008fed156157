"""A home of card payments whose application's file is edited while a version that was learned before it serves."""

import random
import shutil
from pathlib import Path

import msgspec
import numpy as np

from flyball.app import load_app
from flyball.core import ManualClock, ManualStopwatch, new_id
from flyball.learning import learn
from flyball.operations import Worker, catch_up, consumers_of
from flyball.outcomes import Prediction, prediction_record
from flyball.releases import declare_arrangement
from flyball.runtime import Runtime, load_settings
from flyball.serving import Service
from flyball.simulation import ingest_pieces
from flyball.tasks import request_of

START_US = 1_767_225_600_000_000
DAY_US, DAYS, A_DAY = 86_400_000_000, 20, 60
NOW_US = START_US + DAYS * DAY_US

APP = """
from typing import Annotated

import flyball as fb

PaymentId = Annotated[int, fb.Ref("payment"), fb.integer(1)]
Card = Annotated[int, fb.Ref("card")]


class Payment(fb.Event):
    payment: PaymentId
    card: Card
    shop: str
    amount: Annotated[float, fb.real(0, 100_000)]
    risk: Annotated[float, fb.real(-20, 20)]


class Chargeback(fb.Event):
    payment: PaymentId
    lost: float = 0.0


class Refund(fb.Event):
    payment: PaymentId


class CardFile(fb.Profile):
    card: Card
    limit: float = 0.0


Fraud = fb.joined("Fraud", Payment, Chargeback, by="payment", within="5d")

card = fb.Entity(
    "card",
    profile=CardFile,
    limit=fb.attribute(CardFile, lambda c: c.limit),
    paid=fb.sum(Payment, lambda p: p.amount, "7d", where=lambda p: p.risk > -3, scale=0.01),
    frauds=fb.count(Fraud, "10d", where=lambda f: f.amount >= 0),
)
shops = fb.Features("shops", keys=("shop",), payments=fb.count(Payment, "7d"))

app = fb.App(
    "payments",
    events=[Payment, Chargeback, Refund, Fraud],
    task=fb.Predict(
        on=Payment,
        target=fb.occurs(Chargeback, by="payment", within="5d", where=lambda c: c.lost >= 0),
        features=fb.FeatureSet(
            card, shops, Payment, share=fb.computed(lambda paid, own: own / (1 + (paid or 0)), "card.paid", "amount")
        ),
        ignore=("card",),
        decide=fb.decide(
            false_approve=lambda p: p.amount, false_decline=lambda p: 2 + 0.1 * p.amount, review=6.0, reviews_per_day=8
        ),
    ),
    candidates={"linear": fb.Linear()},
    gates=fb.gates(min_examples=20),
)
"""

NAMES = {"payment": "payment", "card": "card", "shop": "shop", "amount": "amount", "risk": "risk"}


def lines() -> list[bytes]:
    """Payments by 20 cards, chargebacks two days after what was fraud; history as it came."""
    rng = np.random.default_rng(3)
    timed = [(START_US, {"type": "cardfile", "card": number, "limit": 100.0 * number}) for number in range(1, 21)]
    for number in range(DAYS * A_DAY):
        at_us = START_US + number * DAY_US // A_DAY
        risk = round(float(rng.normal(0, 1)), 3)
        fields = {
            "payment": number + 1,
            "card": int(rng.integers(1, 21)),
            "shop": str(rng.choice(["a", "b", "c"])),
            "amount": round(float(rng.lognormal(3.5, 1.0)), 2),
            "risk": risk,
        }
        timed.append((at_us, {"type": "payment", **fields}))
        if rng.random() < 1 / (1 + np.exp(2 - 2 * risk)):
            timed.append((at_us + 2 * DAY_US, {"type": "chargeback", "payment": number + 1, "lost": fields["amount"]}))
    return [
        msgspec.json.encode({**fields, "at": at_us})
        for at_us, fields in sorted(timed, key=lambda pair: pair[0])
        if at_us < NOW_US
    ]


class EditedHome:
    """`folder` holds a home and the application's file, `text`; `copy` another home of the same, to be edited."""

    def __init__(self, folder: Path, text: str, name: str = "before") -> None:
        self.folder, self.text = folder, text
        self.clock = ManualClock(NOW_US)
        self.runtime = self._opened(text, name)

    @classmethod
    def learned(cls, folder: Path, text: str, history: list[bytes]) -> "EditedHome":
        """With history and a champion."""
        home = cls(folder, text)
        ingest_pieces(home.runtime, "jsonl", [b"\n".join(history)], "month", "history")
        catch_up(home.runtime)
        report = learn(home.runtime, workers=1)
        assert report.champion, report
        home.declare()
        return home

    def copy(self, folder: Path, text: str) -> "EditedHome":
        """The same home under another file, its consumers caught up."""
        shutil.copytree(self.folder / "home", folder / "home")
        home = EditedHome(folder, text, "after")
        home.follow()
        return home

    def reopened(self, text: str) -> "EditedHome":
        """This home under another file, its consumers caught up."""
        home = EditedHome(self.folder, text, "again")
        home.clock.move_to_us(self.clock.now_us())
        home.follow()
        return home

    def follow(self) -> None:
        """Raises `AssertionError` where a consumer cannot go on."""
        worker = Worker(consumers_of(self.runtime, flush_us=0))
        worker.drain(self.clock.now_us())
        lags = worker.step(self.clock.now_us()).lags
        assert not any(lag.error for lag in lags.values()), lags
        catch_up(self.runtime)

    def declare(self) -> None:
        """As `flyball up` does: what the file says is the arrangement."""
        arrangement = self.runtime.app.task.about.arrangement
        declare_arrangement(self.runtime.registry, self.runtime.app.name, arrangement, "up", self.clock.now_us())

    def answers(self, fields: list[dict[str, object]]) -> list[Prediction]:
        """What a serving process answers, recorded."""
        service = Service(self.runtime, "test", random.Random(1), self.clock, stopwatch=ManualStopwatch())
        service.refresher.step()
        ids, on = random.Random(self.clock.now_us()), self.runtime.app.task.about.request
        asked = [
            request_of(on, new_id(NOW_US + number, ids), NOW_US + number, one) for number, one in enumerate(fields)
        ]
        predictions = service.engine.answer(asked)
        self.runtime.predictions.append([prediction_record(prediction) for prediction in predictions])
        self.clock.advance_us(1_000_000)
        return predictions

    def _opened(self, text: str, name: str) -> Runtime:
        file = self.folder / f"payments_{name}_{abs(hash((str(self.folder), text))) % 10**8}.py"
        file.write_text(text)
        return Runtime(load_app(str(file)), load_settings(self.folder / "home"), self.clock)


def requests(names: dict[str, str] = NAMES) -> list[dict[str, object]]:
    """Ten payments, their fields called by `names`."""
    rows = [
        {"payment": 90_000 + n, "card": 1 + n, "shop": "abc"[n % 3], "amount": 20.0 * n, "risk": n / 2 - 2.5}
        for n in range(10)
    ]
    return [{names.get(name, name): value for name, value in row.items()} for row in rows]
