"""Payments of two regions as a world, with noise in one of them: that of docs/how-to/quality-per-group.md."""

import heapq
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np

import flyball as fb
from flyball.simulation import DAY_US, Timeline, TrueOutcome, WorldBatch, WorldRequest
from flyball.tasks import Response

PaymentKey = Annotated[int, fb.Ref("payment"), fb.integer(1)]


class Payment(fb.Event):
    payment: PaymentKey
    amount: Annotated[float, fb.real(0, 100_000)]
    risk: Annotated[float, fb.real(-50, 50)]
    region: str | None = None


class Chargeback(fb.Event):
    payment: PaymentKey


class Regions:
    """Payments of two regions. The noise of the risk that is seen is in the south alone."""

    def __init__(self, *, seed: int, start_us: int, daily: int = 400) -> None:
        self.rng = np.random.default_rng(seed)
        self.next_us, self.every_us = start_us, DAY_US // daily
        self.fraud = list[bool]()
        self.lines = list[tuple[int, int, dict[str, Any]]]()
        self.outcomes = list[TrueOutcome]()

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        made = []
        while self.next_us < until_us:
            region = "north" if self.rng.random() < 0.6 else "south"
            risk, noise, share = self.rng.normal(0, 1.5), self.rng.normal(0, 2), self.rng.random()
            fields = {"payment": len(self.fraud) + 1, "amount": round(self.rng.lognormal(3.5, 0.5), 2)}
            fields |= {"risk": risk + noise * (region == "south"), "region": region}
            made.append(WorldRequest(len(self.fraud), self.next_us, fields))
            self.fraud.append(share < 1 / (1 + np.exp(2.5 - 3 * risk)))
            self.next_us += self.every_us
        return made

    def decide(self, requests: Sequence[WorldRequest], responses: Sequence[Any], took_us: Sequence[int]) -> None:
        for request in requests:
            key, fraud = request.fields["payment"], self.fraud[request.number]
            heapq.heappush(self.lines, (request.at_us, key, {"type": "payment", **request.fields}))
            if fraud:  # also of what was declined: a customer says so later
                late_us = int(self.rng.integers(DAY_US, 5 * DAY_US))
                heapq.heappush(self.lines, (request.at_us + late_us, key, {"type": "chargeback", "payment": key}))
            self.outcomes.append(TrueOutcome(request.number, "fraud", float(fraud)))

    def emit(self, until_us: int, timeline: Timeline) -> WorldBatch:
        lines, outcomes = list[bytes](), self.outcomes
        self.outcomes = []
        while self.lines and self.lines[0][0] < until_us:
            at_us, _, line = heapq.heappop(self.lines)
            lines.append(json.dumps({**line, "at": timeline.written(at_us)}).encode())
        return WorldBatch([("jsonl", lines)], outcomes=outcomes, pending=bool(self.lines))

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, Any]:
        fraud = np.array([self.fraud[request.number] for request in requests])
        amount = np.array([request.fields["amount"] for request in requests])
        seen = np.array([response.values[0] if response.values else np.nan for response in responses])
        declined = np.array([response.decision == "decline" for response in responses])
        return {
            "closeness": 1 - np.abs(seen - fraud),
            "saved": np.where(declined, np.where(fraud, amount, -2 - 0.2 * amount), 0.0),
        }

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        truth = [self.fraud[request.number] for request in requests]
        best = [Response(values=(float(fraud),), decision="decline" if fraud else "approve") for fraud in truth]
        return {"oracle": best, "random": [Response(values=(0.5,), decision="approve")] * len(best)}


def regions() -> fb.App:
    """The application of the page."""
    return fb.App(
        "regions",
        events=[Payment, Chargeback],
        task=fb.Predict(
            on=Payment,
            target=fb.occurs(Chargeback, by="payment", within="5d"),
            ignore=("region", "hour", "weekday"),
            groups=("region",),
            decide=fb.decide(false_approve=lambda p: p.amount, false_decline=lambda p: 2 + 0.2 * p.amount),
        ),
        candidates={"linear": fb.Linear()},
        choose=fb.best("cost"),
        world=fb.world(Regions, past_days=28),
    )
