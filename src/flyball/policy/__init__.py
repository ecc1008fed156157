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
    EQUAL_RATES,
    REVIEW,
    Decide,
    DecidedAction,
    EqualRate,
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
from flyball.policy.monitors import LEARNABLE, MONITORS, OWN_FAULTS, monitor_fault
from flyball.policy.outcomes import (
    AnyOf,
    Outcome,
    Value,
    any_of,
    first_hold,
    outcome,
    outcome_words,
    outcomes_of,
    together,
    value,
)
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
from flyball.policy.retention import retentions
from flyball.policy.reweighting import (
    Reweight,
    ReweightCovariates,
    ReweightLabels,
    reweight_covariates,
    reweight_labels,
)
from flyball.policy.suspects import DOWNWEIGHTED, SuspectPlan, suspects
from flyball.policy.train_window import ALL_DATA, SINCE_DRIFT, TrainWindow, train_windows
from flyball.policy.training import Stateful, stateful
from flyball.policy.triggers import (
    Every,
    EvidenceTrigger,
    OnDrift,
    OnErasure,
    OnPerformance,
    OnVolume,
    Schedule,
    Trigger,
    every,
    on_drift,
    on_erasure,
    on_performance,
    on_volume,
    trigger_text,
)
from flyball.policy.watch import Watch, watch
from flyball.policy.world import WORLDS, WorldSpec, world

if TYPE_CHECKING:
    from flyball.policy.group_thresholds import FACTORS, equal_thresholds, factors_of
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
    "ALL_DATA",
    "APPROVE",
    "BANDIT_POLICIES",
    "DECLINE",
    "DOWNWEIGHTED",
    "EQUAL_RATES",
    "FACTORS",
    "GUARDRAILS",
    "LEARNABLE",
    "LOSSES",
    "MONITORS",
    "ODDS",
    "OWN_FAULTS",
    "RANKED",
    "REVIEW",
    "SINCE_DRIFT",
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
    "EqualRate",
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
    "OnErasure",
    "OnPerformance",
    "OnVolume",
    "Outcome",
    "Quote",
    "ReleasePlan",
    "Reweight",
    "ReweightCovariates",
    "ReweightLabels",
    "Schedule",
    "Stateful",
    "SuspectPlan",
    "ThresholdChoice",
    "Thresholds",
    "TrainWindow",
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
    "equal_thresholds",
    "every",
    "expression_of",
    "factors_of",
    "first_hold",
    "gates",
    "immediate",
    "in_words",
    "intended_actions",
    "interleave",
    "metric",
    "monitor_fault",
    "next_cron_us",
    "on_drift",
    "on_erasure",
    "on_performance",
    "on_volume",
    "outcome",
    "outcome_words",
    "outcomes_of",
    "parse_metric",
    "quote",
    "retentions",
    "reweight_covariates",
    "reweight_labels",
    "shadow",
    "stateful",
    "suspects",
    "switchback",
    "together",
    "trace",
    "train_windows",
    "trigger_text",
    "uniform_of",
    "value",
    "watch",
    "within_capacity",
    "world",
]

__getattr__ = lazy_door(__name__, __file__)  # lazy, because commands that only print need no numpy
