"""What `flyball new --kind predict --target probability` writes: an application that decides, with its own world."""

APPLICATION = '''"""{title}: at each order on account, how likely it will not be paid, and whether to deliver it."""

from collections import Counter
from typing import Annotated

import msgspec
import numpy as np

import flyball as fb
from flyball.simulation import DAY_US, TrueOutcome, WorldBatch, WorldRequest
from flyball.tasks import Response

# Keys: what names an order and a customer. Malformed ones never get in.
OrderKey = Annotated[int, fb.Ref("order"), fb.integer(1)]
Customer = Annotated[int, fb.Ref("customer"), fb.integer(1)]

HOUR_US = 3_600_000_000


class Order(fb.Event):
    """Somebody orders on account. This is the question, and later the row that training sees."""

    order: OrderKey
    customer: Customer
    amount: Annotated[float, fb.real(0, 10_000)]
    country: Annotated[str, fb.text(max_length=2)]
    new_address: bool


class Unpaid(fb.Event):
    """The invoice was not paid."""

    order: OrderKey
    customer: Customer


class Declined(fb.Event):
    """The order was not delivered: nobody will ever know whether it would have been paid."""

    order: OrderKey
    customer: Customer


class Verdict(fb.Event):
    """A person looked at an order that was sent to review."""

    order: OrderKey
    customer: Customer
    bad: bool


customer = fb.Entity(
    "customer",
    orders_1d=fb.count(Order, "1d"),
    orders_30d=fb.count(Order, "30d"),
    # From when it is known that an invoice was not paid, not from its order: no label is seen before it is known.
    unpaid_30d=fb.count(Unpaid, "30d"),
    usual_30d=fb.mean(Order, lambda o: o.amount, "30d"),
)


class Orders:
    """A world to try it in: large orders to new addresses are paid least, and a few customers never mean to pay.

    Its five methods are those of every world: docs/how-to/try-it-in-a-simulated-world.md.
    """

    def __init__(self, *, seed: int, start_us: int, orders_a_day: int = 300, customers: int = 400) -> None:
        self.rng = np.random.default_rng(seed)
        self._now_us, self._orders, self._number, self._speed = start_us, orders_a_day, 0, 1.0
        self._careless = self.rng.random(customers) < 0.05
        self._lines, self._outcomes, self._bad = [], [], []

    def requests(self, until_us, timeline):
        self._speed = timeline.speed  # on a faster world's day an invoice is due after as many days as ever
        n = int(self.rng.poisson(self._orders * (until_us - self._now_us) / DAY_US))
        times = np.sort(self.rng.integers(self._now_us, until_us, size=n)).tolist()
        return [self._order(at_us) for at_us in times]

    def decide(self, requests, responses, took_us):
        for request, response in zip(requests, responses):
            decision = "approve" if response is None else response.decision or "approve"
            bad, which = self._bad[request.number], {{name: request.fields[name] for name in ("order", "customer")}}
            self._line(request, 0, "order", request.fields)
            if decision == "decline":
                self._line(request, 1_000_000, "declined", which)
                continue
            if decision == "review":  # a person finds the truth
                self._line(request, 2 * HOUR_US, "verdict", {{**which, "bad": bad}})
            elif bad:
                days = 2.0 + 5.0 * float(self.rng.random())
                self._line(request, int(days * DAY_US * self._speed), "unpaid", which)
            self._outcomes.append(TrueOutcome(request.number, "unpaid", float(bad)))

    def emit(self, until_us, timeline):
        self._lines.sort(key=lambda line: line[:2])
        due = [line for line in self._lines if line[0] < until_us]
        self._lines, self._now_us = self._lines[len(due) :], until_us
        outcomes, self._outcomes = self._outcomes, []
        lines = [
            msgspec.json.encode({{"type": kind, "at": timeline.written(at_us), **fields}})
            for at_us, _, kind, fields in due
        ]
        counts = Counter(kind for _, _, kind, _ in due)
        return WorldBatch([("jsonl", lines)] if lines else [], counts, outcomes, bool(self._lines))

    def true_quality(self, requests, responses):
        """`saved`: what each decision saves, in money, against delivering everything."""
        saved = []
        for request, response in zip(requests, responses):
            amount, bad = request.fields["amount"], self._bad[request.number]
            declined = amount if bad else -0.2 * amount
            reviewed = (amount if bad else 0.0) - 3.0
            saved.append({{"decline": declined, "review": reviewed}}.get(response.decision, 0.0))
        return {{"saved": np.array(saved)}}

    def reference_policies(self, requests):
        knows = [
            Response(values=(float(bad),), decision="decline" if bad else "approve")
            for bad in (self._bad[request.number] for request in requests)
        ]
        return {{
            "oracle": knows,
            "deliver_all": [Response(values=(0.05,), decision="approve")] * len(requests),
        }}

    def _order(self, at_us):
        number = int(self.rng.integers(len(self._careless)))
        fields = {{
            "order": int(self.rng.integers(1, 2**53)),
            "customer": number + 1,
            "amount": round(float(self.rng.gamma(1.5, 60.0)), 2),
            "country": str(self.rng.choice(["de", "fr", "it", "pl"])),
            "new_address": bool(self.rng.random() < 0.15),
        }}
        chance = unpaid_chance(fields, bool(self._careless[number]))
        self._bad.append(bool(self.rng.random() < chance))
        self._number += 1
        return WorldRequest(self._number - 1, at_us, fields)

    def _line(self, request, after_us, kind, fields):
        self._lines.append((request.at_us + after_us, request.number, kind, fields))


def unpaid_chance(fields, careless):
    """How likely an order is not paid: what a perfect prediction would say of whom it knew."""
    if careless:
        return 0.5
    return min(0.01 + (0.001 if fields["new_address"] else 0.0001) * fields["amount"], 0.9)


app = fb.App(
    "{name}",
    events=[Order, Unpaid, Declined, Verdict],
    task=fb.Predict(
        on=Order,
        target=fb.occurs(Unpaid, by="order", within="8d", censored_by=(Declined,)),
        features=(customer,),
        ignore=("customer",),
        # What is not paid loses the amount; an order that is refused loses the margin, a fifth of it.
        decide=fb.decide(
            false_approve=lambda o: o.amount,
            false_decline=lambda o: 0.2 * o.amount,
            review=3.0,
            reviews_per_day=10,
            control=0.05,  # of what would be declined, so many are delivered all the same, to learn from
            verdict=Verdict,
        ),
        deadline="100ms",
    ),
    # Candidates are trained side by side and evaluated on the same held-out time; add your own model here.
    candidates={{"rate": fb.Constant(), "logistic": fb.Linear(), "trees": fb.LightGBM(n_estimators=60)}},
    choose=fb.best("average_precision"),
    retrain=[fb.every("1d")],
    # flyball simulate {file} --days 3, or flyball up {file} --world
    # Labels take eight days, before the test window and after it.
    world=fb.world(Orders, past_days=45),
)
'''
