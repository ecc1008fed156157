"""Rules of an application as plain values: what counts as an outcome, when to retrain, how to release and choose.

Promises: constructing a rule only checks its arguments; other rooms read the rules and act on them.
"""

from typing import TYPE_CHECKING

from flyball.core import lazy_door
from flyball.policy import metric
from flyball.policy.alerts import AlertDelay, AlertPlan, alerts
from flyball.policy.choose import Choice, best, cheapest_within_noise
from flyball.policy.cron import Cron, CronTimes, cron, cron_times, next_cron_us
from flyball.policy.decide import (
    ABSTAIN,
    ACTIONS,
    APPROVE,
    DECLINE,
    REVIEW,
    Decide,
    DecidedAction,
    ExampleCosts,
    Thresholds,
    compile_costs,
    cost_of,
    decide,
    decide_default,
    decide_one,
    decide_unreviewed,
    uniform_of,
)
from flyball.policy.differences import differences, in_words
from flyball.policy.expressions import Expression, compile_python, expression_of, trace
from flyball.policy.gates import Gates, gates
from flyball.policy.metric import LOSSES, RANKED, EventTotal, ExperimentMetric
from flyball.policy.metrics import MetricGate, MetricName, parse_metric
from flyball.policy.outcomes import AnyOf, Outcome, Value, any_of, first_hold, outcome, outcomes_of, together, value
from flyball.policy.quote import Quote, quote
from flyball.policy.release import (
    BANDIT_POLICIES,
    GUARDRAILS,
    ReleasePlan,
    ab,
    as_shadow,
    bandit,
    canary,
    immediate,
    interleave,
    shadow,
    switchback,
)
from flyball.policy.triggers import (
    Every,
    EvidenceTrigger,
    OnDrift,
    OnPerformance,
    OnVolume,
    Schedule,
    Trigger,
    every,
    on_drift,
    on_performance,
    on_volume,
    trigger_text,
)
from flyball.policy.watch import Watch, watch
from flyball.policy.world import WORLDS, WorldSpec, world

if TYPE_CHECKING:
    from flyball.policy.thresholds import (
        ODDS,
        CostColumns,
        ThresholdChoice,
        choose_thresholds,
        cost_columns,
        costs_of_decisions,
        intended_actions,
        within_capacity,
    )

__all__ = [
    "ABSTAIN",
    "ACTIONS",
    "APPROVE",
    "BANDIT_POLICIES",
    "DECLINE",
    "GUARDRAILS",
    "LOSSES",
    "ODDS",
    "RANKED",
    "REVIEW",
    "WORLDS",
    "AlertDelay",
    "AlertPlan",
    "AnyOf",
    "Choice",
    "CostColumns",
    "Cron",
    "CronTimes",
    "Decide",
    "DecidedAction",
    "EventTotal",
    "Every",
    "EvidenceTrigger",
    "ExampleCosts",
    "ExperimentMetric",
    "Expression",
    "Gates",
    "MetricGate",
    "MetricName",
    "OnDrift",
    "OnPerformance",
    "OnVolume",
    "Outcome",
    "Quote",
    "ReleasePlan",
    "Schedule",
    "ThresholdChoice",
    "Thresholds",
    "Trigger",
    "Value",
    "Watch",
    "WorldSpec",
    "ab",
    "alerts",
    "any_of",
    "as_shadow",
    "bandit",
    "best",
    "canary",
    "cheapest_within_noise",
    "choose_thresholds",
    "compile_costs",
    "compile_python",
    "cost_columns",
    "cost_of",
    "costs_of_decisions",
    "cron",
    "cron_times",
    "decide",
    "decide_default",
    "decide_one",
    "decide_unreviewed",
    "differences",
    "every",
    "expression_of",
    "first_hold",
    "gates",
    "immediate",
    "in_words",
    "intended_actions",
    "interleave",
    "metric",
    "next_cron_us",
    "on_drift",
    "on_performance",
    "on_volume",
    "outcome",
    "outcomes_of",
    "parse_metric",
    "quote",
    "shadow",
    "switchback",
    "together",
    "trace",
    "trigger_text",
    "uniform_of",
    "value",
    "watch",
    "within_capacity",
    "world",
]

__getattr__ = lazy_door(__name__, __file__)  # lazy, because commands that only print need no numpy
