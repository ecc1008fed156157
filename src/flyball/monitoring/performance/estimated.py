"""Performance that is estimated before labels are known, from a reference whose labels are."""

import msgspec
import numpy as np

from flyball.core import BadInput, Doubles
from flyball.evaluation import Estimate
from flyball.monitoring.performance.logged import Logged
from flyball.statistics import LabelShift, LearnedCalibration, expected_performance, label_shift, learn_calibration

_MOST_ROWS = 50_000


class LabeledReference(msgspec.Struct, frozen=True):
    """What was learned from predictions with labels: `calibration`, None with the reason in `unknown`."""

    rows: Logged
    calibration: LearnedCalibration | None
    unknown: str = ""


def learn_reference(rows: Logged, seed: int = 0) -> LabeledReference:
    """Learn from the rows that have a label; of many, the latest 50,000."""
    if rows.kind not in ("probability", "classes"):
        what = "lists" if rows.kind == "list" else "numbers"
        return LabeledReference(
            rows, None, f"{what} have no probabilities from which their performance could be estimated"
        )
    labeled = rows.only(rows.labeled)
    latest = labeled.only(np.arange(len(labeled)) >= len(labeled) - _MOST_ROWS)
    try:
        calibration = learn_calibration(_served(latest), latest.actual.astype(np.int64), np.random.default_rng(seed))
    except BadInput as error:
        return LabeledReference(latest, None, f"too few labels are known from before: {error}")
    return LabeledReference(latest, calibration)


def estimated(rows: Logged, reference: LabeledReference) -> tuple[dict[str, Estimate], str]:
    """({metric: what is expected of `rows`, with its 95 % interval}, why nothing is, else "")."""
    if reference.calibration is None:
        return {}, reference.unknown
    flagged = rows.flagged if rows.kind == "probability" else None
    try:
        expected = expected_performance(_served(rows), reference.calibration, positive=flagged)
    except BadInput as error:  # no class of a row has a probability
        return {}, str(error)
    metrics = {name: Estimate(metric.value, metric.low, metric.high) for name, metric in expected.metrics.items()}
    return metrics, "" if metrics else next(iter(expected.unknown.values()))


def expected_values(rows: Logged, reference: LabeledReference) -> dict[str, float]:
    """What is expected of each metric of `rows`, without intervals, which take longer; empty where it is unknown."""
    if reference.calibration is None or not len(rows):
        return {}
    certain = msgspec.structs.replace(reference.calibration, resampled=())
    metrics, _ = estimated(rows, msgspec.structs.replace(reference, calibration=certain))
    return {name: metric.value for name, metric in metrics.items()}


def estimated_shares(
    rows: Logged, reference: LabeledReference, seed: int = 0, draws: int = 200
) -> tuple[LabelShift | None, str]:
    """(the shares of labels among `rows`, by BBSE; why they are unknown, else "")."""
    if reference.calibration is None:
        return None, reference.unknown
    labels = reference.rows.actual.astype(np.int64)
    try:
        predicted = _by_class(reference.rows), _by_class(rows)
        counts = reference.rows.weight  # labels of what is declined are known of a control group only
        return label_shift(labels, *predicted, np.random.default_rng(seed), draws=draws, counts=counts), ""
    except BadInput as error:
        return None, str(error)


def _served(rows: Logged) -> Doubles:
    """The probabilities of the outcome, (rows,), or of the classes, (rows, classes)."""
    return np.clip(rows.scores, 0, 1) if rows.kind == "probability" else _by_class(rows)


def _by_class(rows: Logged) -> Doubles:
    """Probabilities of all classes, (rows, classes)."""
    scores = np.clip(rows.scores, 0, 1)
    if rows.kind == "probability":
        return np.stack([1 - scores, scores], axis=1)
    return np.asarray(scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-12))
