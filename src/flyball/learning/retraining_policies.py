"""Policies of retraining for a backtest, as text: "manual", "every:1d", "update:1d", "performance:5%" and so on."""

from collections.abc import Sequence

import msgspec

from flyball.core import BadDeclaration, BadInput, format_duration, parse_duration
from flyball.policy import SINCE_DRIFT, OnPerformance, TrainWindow, on_performance

KINDS = (
    "manual, every:1d, volume:500 or performance:5%, with update: in front to continue from a checkpoint, "
    "and @7d or @drift behind to learn from the last 7d or since the last drift"
)
ALL, DRIFT = "all", "drift"
MANUAL, SCHEDULED, STATEFUL, TRIGGERED, CONTINUAL = (
    "manual",
    "scheduled stateless",
    "scheduled stateful",
    "triggered stateless",
    "triggered stateful",
)
"""The stages of continual learning; the first is stateless, too."""


class RetrainingPolicy(msgspec.Struct, frozen=True):
    """When to learn: every `period_us`, after so many `labels`, or by `performance`; never without any of them.
    `continues`: from the checkpoint rather than from everything. `window`: what it learns from, "all", "drift" for
    everything since the last drift, or the duration of the last part, `window_us`. `stage`: of continual learning."""

    text: str
    stage: str
    period_us: int = 0
    labels: int = 0
    performance: OnPerformance | None = None
    continues: bool = False
    window: str = ALL
    window_us: int = 0


def parse_policy(text: str, metric: str) -> RetrainingPolicy:
    """The policy of a text; `metric`: of a policy by performance. Raises `BadInput`.

    >>> parse_policy("every:2d", "mae").stage, parse_policy("update:performance:5%", "mae").stage
    ('scheduled stateless', 'triggered stateful')
    """
    trigger, at, window = text.partition("@")
    window = DRIFT if window == SINCE_DRIFT else window
    if at and trigger.startswith("update:"):
        raise BadInput("policy", "one that either continues from a checkpoint or learns from a window", text)
    window_us = 0 if not at or window == DRIFT else parse_duration(window, f"window of policy {text}")
    if at and window != DRIFT and window_us <= 0:
        raise BadInput(f"window of policy {text}", "longer than 0", window)
    continues = trigger.startswith("update:")
    policy = _triggered(text, trigger.removeprefix("update:") if continues else trigger, metric, continues)
    return msgspec.structs.replace(policy, window=window if at else ALL, window_us=window_us)


def default_policies(
    metric: str, span_us: int, continues: bool, windows: Sequence[TrainWindow] = ()
) -> list[RetrainingPolicy]:
    """One of each stage; the stateful ones where the candidate can continue. `windows`: the declared training windows;
    from another than everything there is a schedule each."""
    span = format_duration(span_us)
    last = ["update:performance:5%"] if continues else ["performance:5%"]
    scheduled = [f"every:{span}@{window.name}" for window in windows if window.name != ALL]
    texts = ["manual", f"every:{span}", *scheduled, *([f"update:{span}"] if continues else []), *last]
    return [parse_policy(text, metric) for text in texts]


def _triggered(text: str, trigger: str, metric: str, continues: bool) -> RetrainingPolicy:
    """The policy without its window; after update: a duration alone is a schedule."""
    kind, _, argument = trigger.partition(":")
    if trigger == "manual" and not continues:
        return RetrainingPolicy(text, MANUAL)
    if continues and kind not in ("volume", "performance"):
        kind, argument = "every", trigger
    if kind == "every" and argument:
        period_us = parse_duration(argument, f"period of policy {text}")
        if period_us <= 0:
            raise BadInput(f"period of policy {text}", "longer than 0", argument)
        return RetrainingPolicy(text, STATEFUL if continues else SCHEDULED, period_us=period_us, continues=continues)
    stage = CONTINUAL if continues else TRIGGERED
    if kind == "volume" and argument.isdecimal() and int(argument) > 0:
        return RetrainingPolicy(text, stage, labels=int(argument), continues=continues)
    if kind == "performance":
        return RetrainingPolicy(text, stage, performance=_performance(text, argument, metric), continues=continues)
    raise BadInput("policy", KINDS, text)


def _performance(text: str, argument: str, metric: str) -> OnPerformance:
    try:
        worse_by = argument if argument.endswith("%") else float(argument)
        return on_performance(metric, worse_by=worse_by)
    except (BadDeclaration, ValueError):
        raise BadInput("policy", f"{KINDS}, or a loss in the metric's unit, performance:0.5", text) from None
