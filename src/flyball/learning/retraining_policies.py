"""Policies of retraining for a backtest, as text: "manual", "every:1d", "volume:500", "performance:5%", "update:1d"."""

import msgspec

from flyball.core import BadDeclaration, BadInput, format_duration, parse_duration
from flyball.policy import OnPerformance, on_performance

KINDS = "manual, every:1d, volume:500, performance:5% or update:1d"


class RetrainingPolicy(msgspec.Struct, frozen=True):
    """When to learn: every `period_us`, after so many `labels`, or by `performance`; never without any of them.
    `continues`: from the checkpoint rather than from everything. `stage`: of continual learning."""

    text: str
    stage: str
    period_us: int = 0
    labels: int = 0
    performance: OnPerformance | None = None
    continues: bool = False


def parse_policy(text: str, metric: str) -> RetrainingPolicy:
    """The policy of a text; `metric`: of a policy by performance. Raises `BadInput`.

    >>> parse_policy("every:2d", "mae").stage
    'scheduled'
    """
    kind, _, argument = text.partition(":")
    if kind == "manual" and not argument:
        return RetrainingPolicy(text, "manual")
    if kind in ("every", "update") and argument:
        period_us = parse_duration(argument, f"period of policy {text}")
        if period_us <= 0:
            raise BadInput(f"period of policy {text}", "longer than 0", argument)
        stage = "scheduled" if kind == "every" else "continued"
        return RetrainingPolicy(text, stage, period_us=period_us, continues=kind == "update")
    if kind == "volume" and argument.isdecimal() and int(argument) > 0:
        return RetrainingPolicy(text, "triggered", labels=int(argument))
    if kind == "performance":
        return RetrainingPolicy(text, "triggered", performance=_performance(text, argument, metric))
    raise BadInput("policy", KINDS, text)


def default_policies(metric: str, span_us: int, continues: bool) -> list[RetrainingPolicy]:
    """One of each stage; the last where the candidate can continue."""
    span = format_duration(span_us)
    texts = ["manual", f"every:{span}", "performance:5%", *([f"update:{span}"] if continues else [])]
    return [parse_policy(text, metric) for text in texts]


def _performance(text: str, argument: str, metric: str) -> OnPerformance:
    try:
        worse_by = argument if argument.endswith("%") else float(argument)
        return on_performance(metric, worse_by=worse_by)
    except (BadDeclaration, ValueError):
        raise BadInput("policy", f"{KINDS}, or a loss in the metric's unit, performance:0.5", text) from None
