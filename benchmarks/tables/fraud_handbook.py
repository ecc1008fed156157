"""Simulated card payments of the Fraud Detection Handbook: 7 days train, 7 days until labels are known, 7 days test.

Source: Le Borgne, Siblini, Lebichot and Bontempi, "Reproducible Machine Learning for Credit Card Fraud Detection -
Practical Handbook", 2022, chapters 3 and 5.
"""

from typing import Annotated

import flyball as fb

Key = Annotated[int, fb.Ref("transaction"), fb.integer(0)]
Customer = Annotated[int, fb.Ref("customer"), fb.integer(0)]
Terminal = Annotated[int, fb.Ref("terminal"), fb.integer(0)]


class Payment(fb.Event):
    """A card is charged at a terminal."""

    transaction: Key
    customer: Customer
    terminal: Terminal
    amount: Annotated[float, fb.real(0, 1_000_000)]


class Fraud(fb.Event):
    """A payment is known to be fraud, a week after it."""

    transaction: Key
    customer: Customer
    terminal: Terminal


customer = fb.Entity(
    "customer",
    n_1d=fb.count(Payment, "1d"),
    n_7d=fb.count(Payment, "7d"),
    n_30d=fb.count(Payment, "30d"),
    amount_1d=fb.mean(Payment, lambda p: p.amount, "1d"),
    amount_7d=fb.mean(Payment, lambda p: p.amount, "7d"),
    amount_30d=fb.mean(Payment, lambda p: p.amount, "30d"),
    deviation_30d=fb.std(Payment, lambda p: p.amount, "30d"),
    largest_30d=fb.max(Payment, lambda p: p.amount, "30d"),
)
# A fraud counts from when it is known, a week after its payment; so the payments it is a share of are a week older.
terminal = fb.Entity(
    "terminal",
    n_1d=fb.count(Payment, "1d"),
    n_7d=fb.count(Payment, "7d"),
    n_8d=fb.count(Payment, "8d"),
    n_14d=fb.count(Payment, "14d"),
    n_30d=fb.count(Payment, "30d"),
    n_37d=fb.count(Payment, "37d"),
    frauds_1d=fb.count(Fraud, "1d"),
    frauds_7d=fb.count(Fraud, "7d"),
    frauds_30d=fb.count(Fraud, "30d"),
)


def share(frauds: int, payments: int, young: int) -> float:
    """Of the payments that are old enough, how many were fraud; 0 where there are none."""
    return frauds / (payments - young) if payments > young else 0.0


def times_usual(amount: float, usual: float | None) -> float | None:
    """How many times the customer's usual amount this is."""
    return amount / usual if usual else None


def deviations(amount: float, usual: float | None, deviation: float | None) -> float | None:
    """How many standard deviations above the customer's usual amount."""
    return (amount - usual) / deviation if usual is not None and deviation else None


features = fb.FeatureSet(
    Payment,
    customer,
    terminal,
    risk_1d=fb.computed(share, "terminal.frauds_1d", "terminal.n_8d", "terminal.n_7d", kind=float),
    risk_7d=fb.computed(share, "terminal.frauds_7d", "terminal.n_14d", "terminal.n_7d", kind=float),
    risk_30d=fb.computed(share, "terminal.frauds_30d", "terminal.n_37d", "terminal.n_7d", kind=float),
    times_usual=fb.computed(times_usual, "amount", "customer.amount_30d", kind=float),
    deviations=fb.computed(deviations, "amount", "customer.amount_30d", "customer.deviation_30d", kind=float),
)

app = fb.App(
    "fraud-handbook",
    events=[Payment, Fraud],
    task=fb.Predict(
        on=Payment,
        target=fb.occurs(Fraud, by="transaction", within="7d"),
        features=features,
        ignore=("customer", "terminal", "terminal.n_8d", "terminal.n_14d", "terminal.n_37d"),
    ),
    candidates={
        "rate": fb.Constant(),
        "logistic": fb.Linear(l2=10.0),
        "trees": fb.LightGBM(n_estimators=100, num_leaves=7, min_data_in_leaf=20, learning_rate=0.05),
    },
    choose=fb.best("average_precision"),
)
