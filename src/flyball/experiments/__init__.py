"""Experiments: what a change did to what users do, measured on the log.

Promises: a unit counts once, by its first exposure, once its window has closed and with what was known then; a result
is a function of the log, a time and constants fixed before the start; what may not be concluded yet is said so.
"""

from flyball.experiments.analysis import analyze
from flyball.experiments.comparison import AnalysisPlan
from flyball.experiments.exposures import CONTROL, Exposed, ExposedUnits, first_exposures
from flyball.experiments.logged_events import LoggedEvents
from flyball.experiments.logged_exposures import exposed_by, exposures_of
from flyball.experiments.result import WITHHELD, WORDS, ExperimentResult, MetricResult, Ramp
from flyball.experiments.unit_values import EventRows, UnitValues, unit_values

__all__ = [
    "CONTROL",
    "WITHHELD",
    "WORDS",
    "AnalysisPlan",
    "EventRows",
    "ExperimentResult",
    "Exposed",
    "ExposedUnits",
    "LoggedEvents",
    "MetricResult",
    "Ramp",
    "UnitValues",
    "analyze",
    "exposed_by",
    "exposures_of",
    "first_exposures",
    "unit_values",
]
