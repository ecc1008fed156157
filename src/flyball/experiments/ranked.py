"""The area under the ROC curve (AUC) of each arm, as a ratio of two totals over units.

AUC is the probability that a prediction whose label holds scores above one whose label does not. It shows whether
answers still belong to their requests, where a mean loss hardly does: if few labels hold, the loss consists of a few
large numbers, and it depends on the calibration of all others.

A prediction whose label holds counts by its placement: the share of the arm's predictions without the label that score
lower, ties as half. The mean placement is AUC. Predictions without the label add their own deviation, which sums to 0,
so that the delta method over units gives the variance of DeLong, DeLong and Clarke-Pearson, "Comparing the Areas under
Two or More Correlated Receiver Operating Characteristic Curves" (Biometrics 1988); with several predictions of a unit,
that of Obuchowski, "Nonparametric Analysis of Clustered ROC Curve Data" (Biometrics 1997).
"""

import msgspec
import numpy as np
import polars as pl

from flyball.core import Doubles
from flyball.experiments.exposures import ExposedUnits
from flyball.experiments.prediction_rows import PredictionRows
from flyball.experiments.unit_values import UnitValues
from flyball.policy import ExperimentMetric

FEWEST_RANKED = 30
"""Predictions with the label, and without it, that each arm needs: the interval is asymptotic in both."""
_BOTH = f"{FEWEST_RANKED} predictions whose label holds, and as many whose label does not, in each arm"
_Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


def ranked_values(
    metric: ExperimentMetric, exposed: ExposedUnits, rows: PredictionRows, as_of_us: int, label_within_us: int = 0
) -> UnitValues:
    """The values of the units of `exposed`, in their order, as known at `as_of_us`; their ratio is the AUC of an arm.

    Units of a step of a ramp wait until each arm of it has `FEWEST_RANKED` predictions of both kinds.
    """
    units = exposed.frame.with_row_index("index")
    at = exposed.frame["at"].to_numpy()
    closed = at + metric.within_us + metric.late_us + label_within_us <= as_of_us
    values = UnitValues(closed, np.zeros(len(at)), np.zeros(len(at)))
    if not closed.any():
        return values
    first, last = int(at.min()), int(at.max())
    scores = rows.scores(first, last + metric.within_us + 1, as_of_us)
    answers = scores.join(units.filter(pl.Series(closed)).rename({"at": "exposed"}), on="unit", how="inner")
    elapsed = pl.col("at") - pl.col("exposed")
    answers = answers.filter((elapsed >= metric.after_us) & (elapsed <= metric.within_us))
    return _placed(values, exposed, answers)


def _placed(values: UnitValues, exposed: ExposedUnits, answers: pl.DataFrame) -> UnitValues:
    closed, value, per = values.closed.copy(), np.zeros(len(values.closed)), np.zeros(len(values.closed))
    too_few = False
    for stratum, shares in exposed.shares.items():
        arms = [arm for arm in exposed.arms if shares.get(arm, 0) > 0]
        parts = [answers.filter((pl.col("stratum") == stratum) & (pl.col("arm") == arm)) for arm in arms]
        if not all(_enough(part["positive"].to_numpy()) for part in parts):
            too_few = True
            closed &= (exposed.frame["stratum"] != stratum).to_numpy()
            continue
        for part in parts:
            above, below = placements(*(part[name].to_numpy() for name in ("score", "positive", "weight")))
            index = part["index"].to_numpy()
            np.add.at(value, index, above)
            np.add.at(per, index, below)
    return msgspec.structs.replace(values, closed=closed, value=value, per=per, missing=_BOTH if too_few else "")


def _enough(positive: _Flags) -> bool:
    return min(int(positive.sum()), int((~positive).sum())) >= FEWEST_RANKED


def placements(scores: Doubles, positive: _Flags, weights: Doubles) -> tuple[Doubles, Doubles]:
    """(numerators, denominators) of AUC, each (predictions,). `positive`: bool (predictions,), whether the label holds.

    There must be predictions of both kinds.

    >>> above, below = placements(np.array([0.9, 0.2, 0.5]), np.array([True, True, False]), np.ones(3))
    >>> float(above.sum() / below.sum())
    0.5
    """
    above = _share_below(scores[~positive], weights[~positive], scores[positive])
    below = 1.0 - _share_below(scores[positive], weights[positive], scores[~positive])
    total, others = weights[positive].sum(), weights[~positive].sum()
    area = float(weights[positive] @ above / total)
    numerators, denominators = np.zeros(len(scores)), np.where(positive, weights, 0.0)
    numerators[positive] = weights[positive] * above
    numerators[~positive] = weights[~positive] * (total / others) * (below - area)
    return numerators, denominators


def _share_below(scores: Doubles, weights: Doubles, at: Doubles) -> Doubles:
    """The share of the weight of `scores` that is below each value of `at`, ties as half; float64 like `at`."""
    order = np.argsort(scores, kind="stable")
    ordered, sums = scores[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    shares = (sums[ordered.searchsorted(at, "left")] + sums[ordered.searchsorted(at, "right")]) / (2 * sums[-1])
    return np.asarray(shares, dtype=np.float64)
