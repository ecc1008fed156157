"""The fraud application: predicts the probability of a chargeback for each card payment, and approves, reviews or
declines.

Labels arrive after days to weeks, and only for payments that were made.
"""

from typing import Annotated

import flyball as fb

PaymentKey = Annotated[int, fb.Ref("payment"), fb.integer(1, 2**53)]
Card = Annotated[int, fb.Ref("card"), fb.integer(1, 2**53)]
Terminal = Annotated[int, fb.Ref("terminal"), fb.integer(1, 2**53)]
Merchant = Annotated[str, fb.Ref("merchant"), fb.text(max_length=80)]
Amount = Annotated[float, fb.real(0, 1_000_000, scale=0.01)]


class Payment(fb.Event):
    """A card is about to be charged; this event is also the request."""

    payment: PaymentKey
    card: Card
    terminal: Terminal
    merchant: Merchant
    amount: Amount


class Declined(fb.Event):
    """The payment was declined, so its label will never be known."""

    payment: PaymentKey
    card: Card
    terminal: Terminal


class Verdict(fb.Event):
    """A person's verdict on a payment that was sent to review."""

    payment: PaymentKey
    card: Card
    terminal: Terminal
    fraud: bool


class Chargeback(fb.Event):
    """The customer disputes a payment."""

    payment: PaymentKey
    card: Card
    terminal: Terminal
    amount: Amount


class MerchantCard(fb.Profile):
    """The profile of a merchant."""

    merchant: Merchant
    category: Annotated[str, fb.text(max_length=40)]


card = fb.Entity(
    "card",
    payments_1m=fb.count(Payment, "1m"),
    payments_1h=fb.count(Payment, "1h"),
    payments_1d=fb.count(Payment, "1d"),
    payments_7d=fb.count(Payment, "7d"),
    payments_30d=fb.count(Payment, "30d"),
    spent_1d=fb.sum(Payment, lambda p: p.amount, "1d"),
    amount_7d=fb.mean(Payment, lambda p: p.amount, "7d"),
    amount_30d=fb.mean(Payment, lambda p: p.amount, "30d"),
    amount_spread=fb.std(Payment, lambda p: p.amount, "30d"),
    largest_30d=fb.max(Payment, lambda p: p.amount, "30d"),
    terminals_1d=fb.distinct(Payment, lambda p: p.terminal, "1d"),
    declined_7d=fb.count(Declined, "7d"),
    chargebacks_30d=fb.count(Chargeback, "30d"),
)
terminal = fb.Entity(
    "terminal",
    payments_1d=fb.count(Payment, "1d"),
    payments_7d=fb.count(Payment, "7d"),
    payments_30d=fb.count(Payment, "30d"),
    # A chargeback counts from when it becomes known, not from its payment: no label is used before it is known.
    chargebacks_30d=fb.count(Chargeback, "30d"),
    risk_30d=fb.ratio(fb.count(Chargeback, "30d"), fb.count(Payment, "30d")),
    declined_7d=fb.count(Declined, "7d"),
    found_7d=fb.count(Verdict, "7d", where=lambda v: v.fraud),
)
merchant = fb.Entity(
    "merchant",
    profile=MerchantCard,
    category=fb.attribute(MerchantCard, lambda card: card.category),
    amount_30d=fb.mean(Payment, lambda p: p.amount, "30d"),
)


def times_usual(amount: float, usual: float | None) -> float | None:
    """The ratio of the amount to the card's usual amount; None for a new card."""
    return amount / usual if usual else None


def deviations(amount: float, usual: float | None, spread: float | None) -> float | None:
    """The number of standard deviations above the card's usual amount."""
    return (amount - usual) / spread if usual is not None and spread else None


features = fb.FeatureSet(
    Payment,
    card,
    terminal,
    merchant,
    times_usual=fb.computed(times_usual, "amount", "card.amount_30d", kind=float),
    deviations=fb.computed(deviations, "amount", "card.amount_30d", "card.amount_spread", kind=float),
)

app = fb.App(
    "fraud",
    events=[Payment, Declined, Verdict, Chargeback, MerchantCard],
    task=fb.Predict(
        on=Payment,
        target=fb.occurs(Chargeback, by="payment", within="21d", censored_by=(Declined,)),
        features=features,
        ignore=("card", "terminal"),
        # A false approval loses the amount; a false decline a fee, and now and then a customer.
        decide=fb.decide(
            false_approve=lambda p: p.amount,
            false_decline=lambda p: 1.0 + 0.05 * p.amount,
            review=2.0,
            reviews_per_day=20,
            control=0.05,
            verdict=Verdict,
        ),
        deadline="100ms",
    ),
    candidates={
        "rate": fb.Constant(),
        "logistic": fb.Linear(l2=30.0),
        "trees": fb.calibrated(
            fb.LightGBM(n_estimators=150, num_leaves=7, min_data_in_leaf=50, learning_rate=0.03), "platt"
        ),
    },
    choose=fb.best("average_precision"),
    retrain=[fb.every("7d")],
    # Labels take three weeks, before and after the test window; a terminal's risk needs a month more.
    world=fb.world("fraud", past_days=110, customers=500, terminals=1_000),
)
