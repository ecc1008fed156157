"""Experiments: the effect of a release on what users do, measured on the log.

Promises: a unit counts once, by its first exposure, after its window has closed, and with what was known by then; a
result is a function of the log, a time and constants fixed before the start; it says what cannot be concluded yet.
"""

from flyball.experiments.analysis import analyze
from flyball.experiments.comparison import AnalysisPlan
from flyball.experiments.experiment import experiment, metrics_measured, metrics_of, plan_of, release_of
from flyball.experiments.exposures import CONTROL, Exposed, ExposedUnits, first_exposures
from flyball.experiments.impact import (
    ImpactLedger,
    ImpactRow,
    OfflineOnline,
    compared,
    export_impact,
    impact_ledger,
    impact_table,
    predicted,
)
from flyball.experiments.interleaved import (
    InterleavedList,
    UnitCredit,
    compare_credit,
    credit_by_unit,
    interleaved_lists,
    other_positions,
    position_bias,
)
from flyball.experiments.interleaving import (
    InterleavingResult,
    PositionBias,
    RankerResult,
    credit_label,
    interleaving,
)
from flyball.experiments.logged_events import LoggedEvents
from flyball.experiments.logged_exposures import ExposureReader, exposed_by, exposures_of
from flyball.experiments.periods import PeriodAnswer, compare_periods, period_answers
from flyball.experiments.power import (
    Baseline,
    PowerReport,
    PowerRow,
    baseline,
    control_baseline,
    power_report,
    row_of,
    units_by,
)
from flyball.experiments.prediction_rows import NOTHING, LabelValues, PredictionRows
from flyball.experiments.release_results import ReleaseResult, release_results
from flyball.experiments.result import WITHHELD, WORDS, ExperimentResult, MetricResult, Ramp
from flyball.experiments.switchback import SwitchbackResult, SwitchedMetric, switchback
from flyball.experiments.unit_values import EventRows, UnitValues, unit_values
from flyball.experiments.version_value import version_value
from flyball.experiments.what_if import LoggedChoice, WhatIf, arm_choices, decision_choices, list_choices, what_if

__all__ = [
    "CONTROL",
    "NOTHING",
    "WITHHELD",
    "WORDS",
    "AnalysisPlan",
    "Baseline",
    "EventRows",
    "ExperimentResult",
    "Exposed",
    "ExposedUnits",
    "ExposureReader",
    "ImpactLedger",
    "ImpactRow",
    "InterleavedList",
    "InterleavingResult",
    "LabelValues",
    "LoggedChoice",
    "LoggedEvents",
    "MetricResult",
    "OfflineOnline",
    "PeriodAnswer",
    "PositionBias",
    "PowerReport",
    "PowerRow",
    "PredictionRows",
    "Ramp",
    "RankerResult",
    "ReleaseResult",
    "SwitchbackResult",
    "SwitchedMetric",
    "UnitCredit",
    "UnitValues",
    "WhatIf",
    "analyze",
    "arm_choices",
    "baseline",
    "compare_credit",
    "compare_periods",
    "compared",
    "control_baseline",
    "credit_by_unit",
    "credit_label",
    "decision_choices",
    "experiment",
    "export_impact",
    "exposed_by",
    "exposures_of",
    "first_exposures",
    "impact_ledger",
    "impact_table",
    "interleaved_lists",
    "interleaving",
    "list_choices",
    "metrics_measured",
    "metrics_of",
    "other_positions",
    "period_answers",
    "plan_of",
    "position_bias",
    "power_report",
    "predicted",
    "release_of",
    "release_results",
    "row_of",
    "switchback",
    "unit_values",
    "units_by",
    "version_value",
    "what_if",
]
