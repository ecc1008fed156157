"""Losses of windows of logged predictions: by key, between windows, and how much more is lost than before."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec.structs import replace
from scipy import stats

from flyball.core import Doubles
from flyball.monitoring.performance.estimated import LabeledReference, expected_values, learn_reference
from flyball.monitoring.performance.logged import Logged
from flyball.monitoring.performance.measured import losses, main_metric

_FEWEST_WINDOWS = 5
_Z = float(stats.norm.ppf(0.975))


def joined(parts: Sequence[Logged]) -> Logged:
    """The rows of all parts, which are windows of the same rows."""
    first = parts[0]
    columns = ("at_us", "unit", "scores", "spans", "flagged", "actual", "mature", "weight", "answer")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    slices = {by: np.concatenate([part.slices[by] for part in parts]) for by in first.slices}
    waits = [part.known_after_us for part in parts if part.known_after_us is not None]
    known_after_us = np.concatenate(waits) if len(waits) == len(parts) else None
    return replace(first, **arrays, slices=slices, known_after_us=known_after_us)


def unit_means(rows: Logged, what: str) -> Doubles:
    """The mean loss ("losses") or difference of outcome and probability ("gaps") of each key with labels, by time.

    Predictions of a key are alike, so a key counts once.
    """
    labeled = rows.only(rows.labeled)
    if not len(labeled):
        return np.zeros(0)
    values = losses(labeled) if what == "losses" else labeled.actual - labeled.scores
    _, first, unit, counts = np.unique(labeled.unit, return_index=True, return_inverse=True, return_counts=True)
    return np.asarray((np.bincount(unit, values) / counts)[np.argsort(first)])


def between_windows(windows: Sequence[Doubles]) -> float:
    """The standard deviation of the means of windows, less what chance within them explains."""
    usable = [units for units in windows if len(units) >= 2]
    if len(usable) < _FEWEST_WINDOWS:
        return 0.0
    within = float(np.mean([units.var(ddof=1) / len(units) for units in usable]))
    return float(np.sqrt(max(0.0, np.var([units.mean() for units in usable], ddof=1) - within)))


def rise_p(windows: Sequence[Doubles], now: Doubles) -> float | None:
    """The probability of so high a mean of `now`, if it is one more window like `windows`; of a fall, pass negatives.

    A window has a part that its keys share, its weather or its rush, and the chance of few keys: a t-test of one more
    window. None with fewer than five windows of two keys or more: then nothing says how windows differ.
    """
    usable = [units for units in windows if len(units) >= 2]
    if len(usable) < _FEWEST_WINDOWS or not len(now):
        return None
    means = np.array([units.mean() for units in usable])
    of_keys = sum(float(((units - units.mean()) ** 2).sum()) for units in usable) / sum(
        len(units) - 1 for units in usable
    )
    error = between_windows(windows) ** 2 + of_keys / len(now) + float(means.var(ddof=1)) / len(means)
    rise = float(now.mean() - means.mean())
    if error <= 0:
        return 1.0 if rise <= 0 else 0.0
    return float(stats.t.sf(rise / np.sqrt(error), len(means) - 1))


def loss_change(windows: Sequence[Doubles], now: Doubles) -> tuple[float, float]:
    """How much larger the mean of `now` is than that of all windows before: the ends of a 95 % interval.

    Keys are independent; what windows vary by counts as chance. Without a window of two keys the interval is infinite.
    """
    before = np.concatenate(windows) if windows else np.zeros(0)
    if len(before) < 2 or len(now) < 2:
        return float("-inf"), float("inf")
    error = np.sqrt(now.var(ddof=1) / len(now) + before.var(ddof=1) / len(before) + between_windows(windows) ** 2)
    change = float(now.mean() - before.mean())
    return change - _Z * float(error), change + _Z * float(error)


def explained_change(before: Logged, now: Logged) -> float | None:
    """How much larger the mean loss of `now` is expected to be, if the same predictions are as good as before.

    Of probabilities by their calibration (CBPE); of numbers by a regression of the loss on the prediction and the width
    of its interval, learned on `before` (direct loss estimation); None where nothing says so, as of lists.
    """
    known = before.only(before.labeled)
    if now.kind == "list" or len(known) < _FEWEST_WINDOWS or not len(now):
        return None
    if now.kind == "number":
        inputs, ours = _loss_inputs(known), losses(known)
        weights = np.linalg.lstsq(inputs, ours, rcond=None)[0]
        return float((_loss_inputs(now) @ weights).mean() - ours.mean())
    reference: LabeledReference = learn_reference(before)
    name = main_metric(now.kind)
    expected = [expected_values(rows, reference).get(name) for rows in (known, now)]
    if expected[0] is None or expected[1] is None:
        return None
    return expected[1] - expected[0]


def _loss_inputs(rows: Logged) -> Doubles:
    width = np.nan_to_num(rows.spans[:, 1] - rows.spans[:, 0])
    return np.stack([np.ones(len(rows)), rows.scores, width], axis=1)


def explained_by_shares(before: Logged, now: Logged, shares: Sequence[float]) -> float | None:
    """How much of the change of the predictions other shares of the labels explain, from 0 to 1.

    If only the shares changed, predictions are distributed as those of before with these shares. Compared are the
    largest distances of the distributions (Kolmogorov-Smirnov); None for other predictions than probabilities.
    """
    known = before.only(before.labeled)
    if now.kind != "probability" or len({*known.actual.tolist()}) < 2 or not len(now):
        return None
    points = np.unique(np.concatenate([known.scores, now.scores]))
    of_label = [known.only(known.actual == label) for label in (0.0, 1.0)]
    parts = [_distribution(rows.scores, points, rows.weight) for rows in of_label]
    mixed = shares[0] * parts[0] + shares[1] * parts[1]
    usual = _distribution(known.scores, points, known.weight)
    current = _distribution(now.scores, points, np.ones(len(now)))
    moved = float(np.abs(current - usual).max())
    return max(0.0, 1 - float(np.abs(current - mixed).max()) / moved) if moved > 0 else None


def _distribution(values: Doubles, points: Doubles, weights: Doubles) -> Doubles:
    """The share of `values` up to each of `points`, each counting its weight; (points,)."""
    order = np.argsort(values, kind="stable")
    up_to = np.concatenate([[0.0], weights[order].cumsum()])
    return np.asarray(up_to[np.searchsorted(values[order], points, side="right")] / up_to[-1])


def change_evidence(windows: Sequence[Logged], now: Logged) -> dict[str, Any]:
    """The ends of the interval of the change of the loss, and how much of it is explained by what was predicted."""
    usual = [units for part in windows if len(units := unit_means(part, "losses"))]
    low, high = loss_change(usual, unit_means(now, "losses"))
    evidence: dict[str, Any] = {"low": low, "high": high}
    explained = explained_change(joined([part for part in windows if len(part)]), now.only(now.labeled))
    return evidence if explained is None else {**evidence, "explained": explained}
