"""Inert values of a declaration: what counts as an outcome, when to retrain, how to release, how to choose.

Promises: constructing one does nothing but check itself; the room that acts reads it.
"""

from flyball.policy.choose import Choice, best, cheapest_within_noise
from flyball.policy.expressions import Expression, compile_python, expression_of, trace
from flyball.policy.metrics import MetricGate, MetricName, parse_metric
from flyball.policy.outcomes import AnyOf, Outcome, Value, any_of, first_hold, outcome, outcomes_of, together, value
from flyball.policy.release import Gates, Release, full_rollout, gates
from flyball.policy.triggers import Every, Trigger, every
from flyball.policy.world import WORLDS, WorldSpec, world

__all__ = [
    "WORLDS",
    "AnyOf",
    "Choice",
    "Every",
    "Expression",
    "Gates",
    "MetricGate",
    "MetricName",
    "Outcome",
    "Release",
    "Trigger",
    "Value",
    "WorldSpec",
    "any_of",
    "best",
    "cheapest_within_noise",
    "compile_python",
    "every",
    "expression_of",
    "first_hold",
    "full_rollout",
    "gates",
    "outcome",
    "outcomes_of",
    "parse_metric",
    "together",
    "trace",
    "value",
    "world",
]
