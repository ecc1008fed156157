"""The payments as a `World`: requests, the effects of decisions, fraud labels, and the true savings."""

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import ClassVar

import msgspec
import numpy as np

from flyball.core import BadInput, Doubles
from flyball.simulation.outbox import Outbox
from flyball.simulation.world import DAY_US, DrillScale, Timeline, TrueOutcome, WorldBatch, WorldRequest
from flyball.simulation.worlds.fraud.criminals import LARGE_FROM, Criminals
from flyball.simulation.worlds.fraud.labels import FOUND_IN_REVIEW
from flyball.simulation.worlds.fraud.payments import SLOT_US, Payment, draw_payments, try_again
from flyball.simulation.worlds.fraud.people import CATEGORIES, make_people
from flyball.tasks import Response

APPROVE, REVIEW, DECLINE = "approve", "review", "decline"
_FRICTION, _FRICTION_SHARE = 1.0, 0.05
"""The cost of declining a genuine payment: a constant plus a share of the amount."""
_REVIEW_COST = 2.0
_MORE_FRAUD, _MORE_DEMAND, _OTHER_MIX = 3.0, 4.0, 0.5
"""At a shift of 1: how many times as many campaigns or payments there are in addition, and how far the mix shifts."""
_SECOND_US = 1_000_000
_CERTAIN = 1e-4
_BASE_RATE = 0.008


class FraudWorld:
    """Payments of `customers` at `terminals`, about two a day for each customer.

    `fraud`: the factor by which there is more fraud than in the handbook. Lines as JSON: `payment` (the request),
    `declined` after the decision "decline", `verdict` hours after the decision "review", `chargeback` days to weeks
    after a fraudulent payment that was made; profiles: `merchantcard`. A response holds the probability of fraud and a
    decision; without a response, a payment is approved.

    True outcomes: `fraud`, whether the payment is fraudulent; `chargeback`, for one that was not declined, whether a
    chargeback or a verdict of fraud follows. True metrics: `closeness`, minus the log loss of the probability, which
    is clipped to [0.0001, 0.9999]; `saved`, the money that the decision saves compared with approving.
    """

    # The risk of a terminal needs a month of labels that take three weeks, before the same again to learn from.
    DRILL = DrillScale(
        {"past_days": 52, "customers": 600, "terminals": 500, "fraud": 5.0},
        margin=0.05,
        of_outcomes={"past_days": 110},
        candidates=("rate", "trees"),
        of_data={"past_days": 28, "customers": 300},
        of_shift={"past_days": 60, "customers": 200, "terminals": 150},
        of_shift_candidates=("rate", "trees"),
    )
    SHIFTS: ClassVar[Mapping[str, str]] = {
        "covariate": "customers who pay large amounts pay more often, the others less",
        "label": "four times as many cards are stolen and terminals compromised",
        "concept": "criminals pay the amounts that their victims pay",
        "demand": "five times as many payments, more of them by customers who pay large amounts",
    }

    def __init__(
        self, *, seed: int, start_us: int, customers: int = 1_000, terminals: int = 2_000, fraud: float = 1.0
    ) -> None:
        if fraud < 0:
            raise BadInput("fraud", "0 or more", fraud)
        draw, self.rng = (np.random.default_rng([seed, part]) for part in range(2))
        self._people = make_people(draw, customers, terminals)
        self._criminals = Criminals(draw, customers, terminals, start_us, fraud)
        self._merchants = [f"{CATEGORIES[kind]}-{number:04d}" for number, kind in enumerate(self._people.category)]
        self._slot_us, self._begun, self._until_us = start_us, False, start_us
        self._drawn: list[tuple[int, int, Payment]] = []
        self._pending: dict[int, Payment] = {}
        self._frauds = bytearray()
        self._outbox = Outbox()
        self._shifted: dict[str, float] = {}
        self._paying = self._people.paying(0.0, 1.0)

    def shift(self, kind: str, share: float) -> None:
        if self._shifted.get(kind, 0.0) == share:
            return
        self._shifted[kind] = share
        demand = self._shifted.get("demand", 0.0)
        richer = max(self._shifted.get("covariate", 0.0), _OTHER_MIX * demand)
        self._paying = self._people.paying(richer, 1 + _MORE_DEMAND * demand)
        more, disguised = _MORE_FRAUD * self._shifted.get("label", 0.0), self._shifted.get("concept", 0.0)
        self._criminals.shift(self.rng, self._slot_us, more, disguised)

    def requests(self, until_us: int, timeline: Timeline) -> list[WorldRequest]:
        while self._slot_us < until_us:
            self._draw_slot(timeline.written(self._slot_us) // SLOT_US % 24)
        self._pending.clear()
        self._until_us = until_us
        requests = []
        while self._drawn and self._drawn[0][0] < until_us:
            requests.append(self._ask(heappop(self._drawn)[2]))
        return requests

    def decide(
        self, requests: Sequence[WorldRequest], responses: Sequence[Response | None], took_us: Sequence[int]
    ) -> None:
        for request, response in zip(requests, responses, strict=True):
            self._carry_out(request, self._pending[request.number], "" if response is None else response.decision)

    def emit(self, until_us: int, timeline: Timeline) -> WorldBatch:
        if not self._begun:
            self._begun = True
            return WorldBatch([("jsonl", self._cards(timeline.written(self._slot_us)))])
        return self._outbox.batch(until_us, timeline)

    def true_quality(self, requests: Sequence[WorldRequest], responses: Sequence[Response]) -> Mapping[str, Doubles]:
        fraud = self._truth(requests)
        amount = np.array([request.fields["amount"] for request in requests])
        probability = np.array([response.values[0] if response.values else 0.0 for response in responses])
        right = np.where(fraud, probability, 1.0 - probability)
        decisions = np.array([response.decision for response in responses], dtype=object)
        declined = np.where(fraud, amount, -_FRICTION - _FRICTION_SHARE * amount)
        reviewed = np.where(fraud, FOUND_IN_REVIEW * amount, 0.0) - _REVIEW_COST
        saved = np.where(decisions == DECLINE, declined, np.where(decisions == REVIEW, reviewed, 0.0))
        return {"closeness": np.log(right.clip(_CERTAIN, 1.0 - _CERTAIN)), "saved": saved.astype(np.float64)}

    def reference_policies(self, requests: Sequence[WorldRequest]) -> Mapping[str, Sequence[Response]]:
        """`oracle` knows the truth; `large_amounts` declines amounts above 220; `approve_all` approves all payments."""
        oracle = [
            Response(values=(float(fraud),), decision=DECLINE if fraud else APPROVE)
            for fraud in self._truth(requests).tolist()
        ]
        large = [
            Response(values=(0.5,), decision=DECLINE)
            if request.fields["amount"] > LARGE_FROM
            else Response(values=(_BASE_RATE,), decision=APPROVE)
            for request in requests
        ]
        approved = Response(values=(_BASE_RATE,), decision=APPROVE)
        return {"oracle": oracle, "large_amounts": large, "approve_all": [approved] * len(requests)}

    def _draw_slot(self, hour: int) -> None:
        self._criminals.begin(self.rng, self._slot_us, SLOT_US / DAY_US)
        for payment in draw_payments(self.rng, self._people, self._criminals, self._slot_us, hour, self._paying):
            heappush(self._drawn, (payment.at_us, payment.key, payment))
        self._slot_us += SLOT_US

    def _ask(self, payment: Payment) -> WorldRequest:
        number = len(self._frauds)
        self._frauds.append(payment.fraud)
        self._pending[number] = payment
        fields = {
            "payment": payment.key,
            "card": payment.customer + 1,
            "terminal": payment.terminal + 1,
            "merchant": self._merchants[self._people.merchant[payment.terminal]],
            "amount": payment.amount,
        }
        return WorldRequest(number, payment.at_us, fields)

    def _carry_out(self, request: WorldRequest, payment: Payment, decision: str) -> None:
        """Add the lines and outcomes that follow from a decision."""
        number, at_us, fraud = request.number, payment.at_us, payment.fraud
        which = {name: request.fields[name] for name in ("payment", "card", "terminal")}
        self._outbox.add(at_us, number, 0, "payment", request.fields)
        if decision == DECLINE:
            self._outbox.add(at_us + _SECOND_US, number, 1, "declined", which)
        if decision == REVIEW:
            self._outbox.add(at_us + payment.review_us, number, 1, "verdict", {**which, "fraud": payment.suspected})
        stopped = decision == DECLINE or (decision == REVIEW and payment.suspected)
        charged_back = payment.back_us >= 0 and not stopped
        if charged_back:
            fields = {**which, "amount": payment.amount}
            self._outbox.add(at_us + payment.back_us, number, 2, "chargeback", fields)
        self._outbox.note(TrueOutcome(number, "fraud", float(fraud > 0)))
        if decision != DECLINE:
            is_fraud_known = charged_back or (decision == REVIEW and payment.suspected)
            self._outbox.note(TrueOutcome(number, "chargeback", float(is_fraud_known)))
        if fraud and decision == DECLINE:
            self._adapt(payment)

    def _adapt(self, payment: Payment) -> None:
        amount = self._criminals.declined(
            self.rng, payment.fraud, payment.customer, payment.terminal, payment.amount, payment.at_us
        )
        if amount is not None:
            again = try_again(self.rng, payment, amount, self._until_us)
            heappush(self._drawn, (again.at_us, again.key, again))

    def _truth(self, requests: Sequence[WorldRequest]) -> np.ndarray:
        """Which requests are fraudulent, bool (requests,)."""
        return np.array([self._frauds[request.number] > 0 for request in requests], dtype=bool)

    def _cards(self, at_us: int) -> list[bytes]:
        columns = zip(self._merchants, self._people.category.tolist(), strict=True)
        return [
            msgspec.json.encode({"type": "merchantcard", "at": at_us, "merchant": name, "category": CATEGORIES[kind]})
            for name, kind in columns
        ]
