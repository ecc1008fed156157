"""Evaluates candidates: metrics with intervals, costs, gates, and the choice of the winner.

Promises: all challengers answer the same requests through the pipeline that serves; every metric has an interval;
differences are paired; a challenger that fails is reported with the reason and does not stop the others; every gate
gives its reason. The task defines the metrics. Published protocols are in `flyball.evaluation.published`, which is
imported on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from flyball.evaluation.challenger import Challenger
from flyball.evaluation.choice import choose, metric_words
from flyball.evaluation.evaluate import evaluate, reported_names
from flyball.evaluation.evaluator import Answered, Evaluator
from flyball.evaluation.gates import NOT_REQUIRED, GateResult, Rivals, check_gates
from flyball.evaluation.objective import Objective
from flyball.evaluation.picture import WindowSeries, draw_report, slice_name, table_cells
from flyball.evaluation.report import (
    BASELINE,
    CANDIDATE,
    CHAMPION,
    Cost,
    Evaluated,
    GroupComparison,
    GroupGap,
    GroupMetrics,
    LargestGap,
    Report,
    SliceMetrics,
)
from flyball.evaluation.resampling import Estimate, Resamples, interval_of, resample, resample_weights
from flyball.evaluation.search import (
    Score,
    ScoreAll,
    Searched,
    Space,
    Trial,
    learning_curve,
    parameter_of,
    search,
    space_of,
)

if TYPE_CHECKING:
    from flyball.evaluation.group_gaps import EQUALIZED_ODDS, GroupInput, compare_groups
    from flyball.evaluation.published import PROTOCOLS, AccuracyTable, Line, RatedSet, accuracy_tables, read_rated_set

_GROUP_GAPS = ("EQUALIZED_ODDS", "GroupInput", "compare_groups")
_PUBLISHED = ("PROTOCOLS", "AccuracyTable", "Line", "RatedSet", "accuracy_tables", "read_rated_set")

__all__ = [
    "BASELINE",
    "CANDIDATE",
    "CHAMPION",
    "EQUALIZED_ODDS",
    "NOT_REQUIRED",
    "PROTOCOLS",
    "AccuracyTable",
    "Answered",
    "Challenger",
    "Cost",
    "Estimate",
    "Evaluated",
    "Evaluator",
    "GateResult",
    "GroupComparison",
    "GroupGap",
    "GroupInput",
    "GroupMetrics",
    "LargestGap",
    "Line",
    "Objective",
    "RatedSet",
    "Report",
    "Resamples",
    "Rivals",
    "Score",
    "ScoreAll",
    "Searched",
    "SliceMetrics",
    "Space",
    "Trial",
    "WindowSeries",
    "accuracy_tables",
    "check_gates",
    "choose",
    "compare_groups",
    "draw_report",
    "evaluate",
    "interval_of",
    "learning_curve",
    "metric_words",
    "parameter_of",
    "read_rated_set",
    "reported_names",
    "resample",
    "resample_weights",
    "search",
    "slice_name",
    "space_of",
    "table_cells",
]


def __getattr__(name: str) -> object:
    """Import what needs scipy, and `published`, which only `flyball accuracy` needs, on first use."""
    if name in _GROUP_GAPS:
        return getattr(import_module("flyball.evaluation.group_gaps"), name)
    if name not in _PUBLISHED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("flyball.evaluation.published"), name)
