"""Policies are inert values: expressions are traced once, mistakes name what must be, names of metrics come back."""

import enum
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flyball.core import BadDeclaration
from flyball.policy import (
    any_of,
    best,
    cheapest_within_noise,
    compile_python,
    every,
    first_hold,
    gates,
    outcome,
    outcomes_of,
    parse_metric,
    together,
    trace,
    value,
)


class Rate: ...


class Watch: ...


FILTERS = {
    "stars at least four": lambda r: r.stars >= 4,
    "both": lambda r: (r.stars > 2) & (r.minute < 9),
    "either": lambda r: (r.stars == 5) | ~(r.minute != 0),
    "arithmetic": lambda r: (r.stars * 2 + r.minute) % 3 == 1,
    "reflected": lambda r: 10 - r.stars < r.minute,
    "text": lambda r: r.device == "tv",
}


@given(st.sampled_from(sorted(FILTERS)), st.integers(-3, 9), st.integers(-3, 9), st.sampled_from(["tv", "phone"]))
def test_a_traced_filter_means_what_the_lambda_means(name: str, stars: int, minute: int, device: str) -> None:
    event = SimpleNamespace(stars=stars, minute=minute, device=device)
    if name == "either":  # ~ on Python's own bool is bitwise, which is why filters are traced
        expected = stars == 5 or minute == 0
    else:
        expected = bool(FILTERS[name](event))
    assert bool(compile_python(trace(FILTERS[name]))(event)) is expected


def test_a_missing_value_satisfies_no_comparison() -> None:
    holds = compile_python(trace(lambda r: r.stars >= 4))
    assert holds(SimpleNamespace(stars=None)) is False


class Device(enum.Enum):
    TV = "tv"
    PHONE = "phone"


@pytest.mark.parametrize(
    ("function", "fields", "value"),
    [
        (lambda r: r.a * 2, {"a": None}, None),
        (lambda r: r.a - r.b, {"a": 1, "b": None}, None),
        (lambda r: (r.a * 2) < 4, {"a": None}, False),
        (lambda r: (r.a * 2) >= 0, {"a": None}, False),
        (lambda r: ~(r.a > 2), {"a": None}, True),
        (lambda r: r.a == None, {"a": None}, True),  # noqa: E711  # so it is recorded
        (lambda r: (r.a * 2) != 4, {"a": None}, True),
        (lambda r: r.flag & (r.a > 2), {"a": 3, "flag": None}, False),
        (lambda r: r.flag | (r.a > 2), {"a": 3, "flag": None}, True),
        (lambda r: r.a / r.b, {"a": 1.0, "b": 0}, None),
        (lambda r: r.a // r.b, {"a": 1, "b": 0}, None),
        (lambda r: r.a % r.b, {"a": 1, "b": 0}, None),
        (lambda r: (r.a / r.b) > 0, {"a": 1.0, "b": 0}, False),
        (lambda r: r.a * 1.5, {"a": 10**400}, None),
        (lambda r: r.device == "tv", {"device": Device.TV}, True),
        (lambda r: r.device != "tv", {"device": Device.PHONE}, True),
    ],
)
def test_what_is_missing_or_cannot_be_computed_is_missing(
    function: Callable[[Any], Any], fields: dict[str, Any], value: object
) -> None:
    """Nothing that an event may hold stops whoever reads it."""
    got = compile_python(trace(function))(SimpleNamespace(**fields))
    assert (got, type(got)) == (value, type(value))


@pytest.mark.parametrize(
    "function",
    [lambda r: r.a > 1 and r.b > 1, lambda r: 1 < r.a < 5, lambda r: not r.a, lambda r: r.a if r.b else 1],
    ids=["and", "chained", "not", "if"],
)
def test_what_cannot_be_traced_is_refused_with_the_correction(function) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadDeclaration, match=r"written with & and \| and ~"):
        trace(function)


def test_a_filter_made_of_something_else_is_refused() -> None:
    with pytest.raises(BadDeclaration, match="made of fields, numbers, texts"):
        trace(lambda r: r.a == object())


def test_fields_and_words_of_a_filter() -> None:
    expression = trace(lambda r: (r.stars >= 4) & (r.minute < 9))
    assert expression.fields() == {"stars", "minute"}
    assert expression.text() == "((stars >= 4) & (minute < 9))"


def test_outcomes_flatten_and_check_themselves() -> None:
    liked = any_of(outcome(Rate, where=lambda r: r.stars >= 4), any_of(outcome(Watch, at_least=30, within="2d")))
    assert [each.event for each in outcomes_of(liked)] == [Rate, Watch]
    assert outcomes_of(liked)[1].within_us == 172_800_000_000
    assert outcomes_of(None) == ()
    with pytest.raises(BadDeclaration, match="at_least"):
        outcome(Rate, at_least=0)
    for wrong in (True, 2.5, "3"):
        with pytest.raises(BadDeclaration, match=r"at_least of outcome\(Rate\) must be an integer from 1, got"):
            outcome(Rate, at_least=wrong)  # type: ignore[arg-type]
    for wrong in ("soon", "0d", "-1d", "7 days", 7, None):
        with pytest.raises(
            BadDeclaration, match=r"within of outcome\(Rate\) must be a duration .* and 1ms or longer, got"
        ):
            outcome(Rate, within=wrong)  # type: ignore[arg-type]


def test_rules_of_life() -> None:
    assert every("3d").period_us == 259_200_000_000
    with pytest.raises(BadDeclaration, match="and 1m or longer, got"):
        every("1s")
    assert (best("ndcg@20").cheapest, cheapest_within_noise("ndcg@20").cheapest) == (False, True)
    assert gates(max_answer="20ms").max_answer_us == 20_000


def test_what_is_no_event_type_is_refused_where_it_is_written() -> None:
    with pytest.raises(BadDeclaration, match=r"first argument of outcome must be an event type, .* got 3"):
        outcome(3)  # type: ignore[arg-type]
    with pytest.raises(BadDeclaration, match=r"first argument of value must be an event type, .* got 'Rate'"):
        value("Rate", lambda r: r.stars)  # type: ignore[arg-type]
    with pytest.raises(BadDeclaration, match=r"where of outcome\(Rate\) must be a function of an event, .* got 4"):
        outcome(Rate, where=4)  # type: ignore[arg-type]
    with pytest.raises(BadDeclaration, match=r"within of outcome\(Rate\) must be a duration as text, .* got 5"):
        outcome(Rate, within=5)  # type: ignore[arg-type]
    with pytest.raises(BadDeclaration, match=r"number of value\(Rate\) must be a function of an event, .* got 'stars'"):
        value(Rate, "stars")  # type: ignore[arg-type]
    with pytest.raises(BadDeclaration, match="what any_of is given must be outcomes, such as"):
        any_of(Rate)  # type: ignore[arg-type]


@pytest.mark.parametrize("metric", ["ndcg@", "@20", "NDCG@20", "a:b:c", "ndcg@20/", "ndcg@20\n", "", 20, None])
def test_what_cannot_be_the_name_of_a_metric_is_refused_where_it_is_written(metric: str) -> None:
    form = r"\[label:\]metric\[@argument\]\[/slice\]"
    with pytest.raises(BadDeclaration, match=f"name of a metric must be {form}, such as"):
        best(metric)
    with pytest.raises(BadDeclaration, match="name of a metric must be"):
        gates(at_least={metric: 0.5})


def test_a_metrics_name_has_four_parts() -> None:
    name = parse_metric("click:recall_at_fpr@0.05/group=F")
    assert (name.label, name.metric, name.argument, name.slice) == ("click", "recall_at_fpr", 0.05, "group=F")
    assert name.family == "click:recall_at_fpr"
    for text in ("click:recall_at_fpr@0.05/group=F", "ndcg@20", "rmse", "ndcg@20/history_length=20+"):
        assert str(parse_metric(text)) == text
    assert str(parse_metric("ndcg@20/group=F").of_family("ips_ndcg")) == "ips_ndcg@20/group=F"


def test_bounds_on_metrics_are_numbers() -> None:
    bounds = gates(at_least={"coverage@20": 0.1}, at_most={"rmse": 1}).metrics
    assert [(gate.metric, gate.at_least, gate.at_most, gate.certain) for gate in bounds] == [
        ("coverage@20", 0.1, None, True),
        ("rmse", None, 1.0, True),
    ]
    for wrong in ("0.1", None, True, float("nan"), float("inf")):
        with pytest.raises(BadDeclaration, match=r"at_most of gates\(...\) for rmse must be a number, got"):
            gates(at_most={"rmse": wrong})  # type: ignore[dict-item]


def test_gates_are_numbers_and_durations() -> None:
    with pytest.raises(BadDeclaration, match=r"min_examples of gates\(...\) must be a number from 0, got '20'"):
        gates(min_examples="20")  # type: ignore[arg-type]
    with pytest.raises(BadDeclaration, match=r"max_answer of gates\(...\) must be a duration as text, .*, got 2"):
        gates(max_answer=2)  # type: ignore[arg-type]


def test_zero_is_a_gate_too() -> None:
    zero = gates(min_examples=0, max_loss=0)
    assert (zero.min_examples, zero.max_loss) == (0, 0)
    with pytest.raises(BadDeclaration, match="max_loss of gates"):
        gates(max_loss=-0.01)


def test_a_span_is_closed_at_both_ends() -> None:
    assert together(100, 160, 60)
    assert not together(100, 161, 60)
    assert together(100, 100, 0)


@pytest.mark.parametrize(
    ("ats", "at_least", "start", "index"),
    [
        ([5], 1, 0, 0),
        ([], 1, 0, None),
        ([0, 60], 2, 0, 1),
        ([0, 61], 2, 0, None),
        ([0, 61, 100], 2, 0, 2),
        ([0, 1, 100, 101], 2, 2, 3),
        ([0, 1, 2], 1, 1, 1),
    ],
)
def test_the_first_event_that_completes_a_span(ats: list[int], at_least: int, start: int, index: int | None) -> None:
    assert first_hold(ats, at_least, within_us=60, start=start) == index
