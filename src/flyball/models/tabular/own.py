"""Flyball's own models of tables, all of them imported."""

from flyball.models.base import tabular_models_here
from flyball.models.tabular.anomalies import IsolationForest, NearestNeighborAnomaly
from flyball.models.tabular.baselines import Constant, GroupMedian
from flyball.models.tabular.boosted import LightGBM
from flyball.models.tabular.calibration.calibrated import Calibrated
from flyball.models.tabular.calibration.conformalized import Conformal
from flyball.models.tabular.calibration.downsampled import Downsampled
from flyball.models.tabular.estimator import Estimator
from flyball.models.tabular.ftrl import FTRL
from flyball.models.tabular.linear import Linear
from flyball.models.tabular.one_vs_rest import OneVsRest
from flyball.models.tabular.stacking import Stacking
from flyball.models.tabular.table import TabularModel

__all__ = [
    "FTRL",
    "Calibrated",
    "Conformal",
    "Constant",
    "Downsampled",
    "Estimator",
    "GroupMedian",
    "IsolationForest",
    "LightGBM",
    "Linear",
    "NearestNeighborAnomaly",
    "OneVsRest",
    "Stacking",
]

TABULAR_MODELS: dict[str, type[TabularModel]] = tabular_models_here()
"""{kind: class} of the models imported above. Each passes `flyball.testing.tabular_checks`."""
