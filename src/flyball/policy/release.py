"""How a version comes before users, and what it must pass first."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

import msgspec

from flyball.core import BadDeclaration, parse_duration
from flyball.policy.metrics import MetricGate, parse_metric


class Release(msgspec.Struct, frozen=True):
    """The plan of a release; `steps` are shares of users in per cent, (100,) an immediate swap."""

    steps: tuple[int, ...]


def full_rollout() -> Release:
    """All users at once, after the gates pass."""
    return Release((100,))


class Gates(msgspec.Struct, frozen=True):
    """What every version must pass before it may serve, beside the gates of its task."""

    min_examples: int
    max_loss: float
    max_answer_us: int
    max_fit_us: int = 7_200_000_000
    metrics: tuple[MetricGate, ...] = ()


def gates(
    min_examples: int = 30,
    max_loss: float = 0.05,
    max_answer: str = "50ms",
    max_fit: str = "2h",
    at_least: Mapping[str, float] | None = None,
    at_most: Mapping[str, float] | None = None,
) -> Gates:
    """Set the gates.

    `min_examples`: units (such as users) in the evaluation set, below it nothing can be said. `max_loss`: the share of
    the champion's metric that another recipe may lose, with 90 % confidence. `max_answer`: median time of one answer.
    `max_fit`: how long one fit may take; one that takes longer is ended and rejected. `at_least`, `at_most`: {metric:
    bound}, such as `at_least={"coverage@20": 0.1}`: the whole 95 % interval must lie on the right side. A bound on a
    metric that a gate of the task uses replaces that gate. Raises `BadDeclaration`.
    """
    _check_numbers({"min_examples": min_examples, "max_loss": max_loss})
    bounds = {"at_least": dict(at_least or {}), "at_most": dict(at_most or {})}
    bounds_on_metrics = []
    for side, by_metric in bounds.items():
        for metric, bound in by_metric.items():
            parse_metric(metric)
            if not isinstance(bound, int | float) or isinstance(bound, bool) or not isfinite(bound):
                raise BadDeclaration(f"{side} of gates(...) for {metric}", "a number", bound)
            if side == "at_least":
                bounds_on_metrics.append(MetricGate(f"{side} {metric}", metric, at_least=float(bound)))
            else:
                bounds_on_metrics.append(MetricGate(f"{side} {metric}", metric, at_most=float(bound)))
    return Gates(min_examples, max_loss, parse_duration(max_answer), parse_duration(max_fit), tuple(bounds_on_metrics))


def _check_numbers(numbers: Mapping[str, Any]) -> None:
    for name, number in numbers.items():
        if not isinstance(number, int | float) or isinstance(number, bool) or not number >= 0:
            raise BadDeclaration(f"{name} of gates(...)", "a number from 0", number)
