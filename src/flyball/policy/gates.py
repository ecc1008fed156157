"""The gates that a version must pass before it may be released."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec

from flyball.core import BadDeclaration, declared_duration
from flyball.policy.metrics import MetricGate, parse_metric

LEAKS = ("certain", "refuse", "warn")
"""What may be done about input that gives the outcome away."""

_EXAMPLES = {
    "at_least": '{"auc": 0.7}',
    "at_most": '{"brier": 0.2}',
    "max_gap": '{"true_positive_rate/region": 0.1}',
}


class Gates(msgspec.Struct, frozen=True):
    """The gates that every version must pass before it may serve, in addition to those of its task.

    `advisory`: the gates, by the beginning of their names, whose failure is reported and rejects no version; drills set
    it, because they test a release and not a model.
    """

    min_examples: int
    max_loss: float
    max_answer_us: int
    max_fit_us: int = 7_200_000_000
    metrics: tuple[MetricGate, ...] = ()
    leaks: str = "certain"
    advisory: tuple[str, ...] = ()


def gates(
    min_examples: int = 30,
    max_loss: float = 0.05,
    max_answer: str = "50ms",
    max_fit: str = "2h",
    at_least: Mapping[str, float] | None = None,
    at_most: Mapping[str, float] | None = None,
    leaks: str = "certain",
    max_gap: Mapping[str, float] | None = None,
) -> Gates:
    """Set the gates.

    `min_examples`: the minimum number of units, such as users, in the evaluation set. `max_loss`: the largest share of
    the champion's metric that another recipe may lose, with 90 % confidence. `max_answer`: the longest median time of
    a response. `max_fit`: the longest time of a fit; one that takes longer is stopped and rejected. `at_least`,
    `at_most`: {metric: bound}, such as `at_least={"coverage@20": 0.1}`; the whole 95 % interval must be on the right
    side. A bound on a metric that a gate of the task uses replaces that gate. `max_gap`: {metric/attribute:
    the largest difference between two groups}, such as `max_gap={"true_positive_rate/region": 0.1}` where the task has
    `groups=("region",)`; here too the whole interval, which counts all pairs of groups. `leaks`: input that gives the
    outcome away is warned of; "certain" refuses a version that was learned with input that does so for certain,
    "refuse" one with any, "warn" none. Raises `BadDeclaration`.
    """
    _check_numbers({"min_examples": min_examples, "max_loss": max_loss})
    if leaks not in LEAKS:
        raise BadDeclaration("leaks of gates(...)", f"one of {', '.join(LEAKS)}", leaks)
    bounds = {"at_least": at_least or {}, "at_most": at_most or {}, "max_gap": max_gap or {}}
    bounds_on_metrics = []
    for side, by_metric in bounds.items():
        if not isinstance(by_metric, Mapping):
            raise BadDeclaration(f"{side} of gates(...)", f"a mapping, such as {_EXAMPLES[side]}", by_metric)
        for metric, bound in by_metric.items():
            slice = parse_metric(metric).slice
            if side == "max_gap" and (not slice or "=" in slice):
                must = "a metric and the attribute of groups, such as true_positive_rate/region"
                raise BadDeclaration("metric of max_gap of gates(...)", must, metric)
            if not isinstance(bound, int | float) or isinstance(bound, bool) or not isfinite(bound):
                raise BadDeclaration(f"{side} of gates(...) for {metric}", "a number", bound)
            if side == "max_gap" and bound < 0:
                must = "a number from 0, since a gap is the size of a difference"
                raise BadDeclaration(f"max_gap of gates(...) for {metric}", must, bound)
            if side == "at_least":
                bounds_on_metrics.append(MetricGate(f"{side} {metric}", metric, at_least=float(bound)))
            else:
                bounds_on_metrics.append(MetricGate(f"{side} {metric}", metric, at_most=float(bound)))
    spans_us = (
        declared_duration("max_answer of gates(...)", max_answer),
        declared_duration("max_fit of gates(...)", max_fit),
    )
    return Gates(min_examples, max_loss, *spans_us, tuple(bounds_on_metrics), leaks)


def _check_numbers(numbers: Mapping[str, Any]) -> None:
    for name, number in numbers.items():
        if not isinstance(number, int | float) or isinstance(number, bool) or not number >= 0:
            raise BadDeclaration(f"{name} of gates(...)", "a number from 0", number)
