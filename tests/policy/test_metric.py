"""Metrics of experiments are inert values; what is wrong is said where it is declared."""

from typing import Annotated, Any

import pytest

import flyball as fb
from flyball.core import BadDeclaration

User = Annotated[int, fb.Ref("user"), fb.integer(1)]


class Buy(fb.Event):
    user: User
    item: Annotated[int, fb.Ref("item")]
    price: float


class Hide(fb.Event):
    user: User


def app(**metrics: Any) -> fb.App:
    user, item = fb.Entity("user"), fb.Entity("item")
    task = fb.Recommend(user, item, positive=fb.outcome(Buy, within="7d"))
    return fb.App("shop", events=[Buy], task=task, candidates={"popular": fb.Popular()}, metrics=metrics)


def test_defaults_say_what_a_reader_would_expect() -> None:
    rate, revenue = fb.metric.rate(Buy), fb.metric.revenue(Buy, lambda b: b.price)
    assert (rate.role, rate.better, rate.before_us, rate.within_us) == ("secondary", "high", 0, 86_400_000_000)
    assert revenue.before_us == revenue.within_us == 7 * 86_400_000_000
    mean = fb.metric.mean(Buy, lambda b: b.price)
    assert mean.is_ratio
    assert mean.denominator is not None
    assert mean.denominator.counted
    assert fb.metric.model().better == "low"
    assert fb.metric.model("accuracy").better == "high"
    ratio = fb.metric.ratio(fb.metric.revenue(Buy, lambda b: b.price), fb.metric.count_per_unit(Buy), within="3d")
    assert (ratio.within_us, ratio.numerator) == (3 * 86_400_000_000, revenue.numerator)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fb.metric.rate("buy"), "an event type"),
        (lambda: fb.metric.rate(Buy, at_least=0), "an integer from 1"),
        (lambda: fb.metric.rate(Buy, role="main"), "one of primary, secondary, guardrail"),
        (lambda: fb.metric.rate(Buy, better="up"), '"high" or "low"'),
        (lambda: fb.metric.rate(Buy, margin=-1), "a number from 0"),
        (lambda: fb.metric.rate(Buy, weight=0), "a number above 0"),
        (lambda: fb.metric.count_per_unit(Buy, winsorize=float("nan")), "a number above 0"),
        (lambda: fb.metric.rate(Buy, within=7), "a duration as text"),
        (lambda: fb.metric.rate(Buy, lambda b: b.price > 1 and b.user > 2), "written with & and |"),
        (lambda: fb.metric.retention(Buy, after="7d", within="7d"), "longer than after, 7d"),
        (lambda: fb.metric.ratio(fb.metric.rate(Buy), fb.metric.count_per_unit(Buy)), "numerator of metric.ratio"),
        (lambda: fb.metric.model("rmse"), "one of absolute_error"),
        (lambda: fb.metric.model("coverage"), 'given: "high" or "low"'),
        (lambda: app(sold=fb.metric.rate(Hide)), "about events that it declares: put Hide into events="),
        (lambda: app(sold=fb.metric.revenue(Buy, lambda b: b.cost)), r"made of fields of Buy, got \['cost'\]"),
        (lambda: app(liked=fb.metric.label("likes")), "of a label of the task: adopted, positive"),
        (lambda: app(sold=0.2), "metrics by name"),
        (lambda: app(**{"sold at": fb.metric.rate(Buy)}), "letters, digits"),
    ],
)
def test_what_is_wrong_is_said(make: Any, message: str) -> None:
    with pytest.raises(BadDeclaration, match=message):
        make()


def test_an_application_keeps_them_by_name() -> None:
    declared = app(sold=fb.metric.rate(Buy, lambda b: b.price > 2, role="primary"), liked=fb.metric.label("positive"))
    assert list(declared.metrics) == ["sold", "liked"]
    assert app().metrics == {}
