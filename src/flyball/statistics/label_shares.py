"""How often each label occurs now, before labels are known, if only their shares changed (label shift).

A classifier mistakes classes for each other at rates that do not depend on their shares. From how often it predicts
each class now, and those rates on a reference with labels, follow the shares of labels now. Three methods: BBSE solves
the equations; RLLS solves them with a penalty on the change, for few rows or similar classes; EM makes the current
probabilities most likely and needs calibrated ones. Intervals are over resamples of both sets of rows. Where fewer
than 10 current rows of a label are expected, resamples know too little of it (a single row is always drawn again), so
the interval also contains that over as many rows of the reference, drawn with the estimated shares plus one row of each
label.
Sources: BBSE: Lipton, Wang and Smola, "Detecting and Correcting for Label Shift with Black Box Predictors", ICML 2018;
RLLS: Azizzadenesheli, Liu, Yang and Anandkumar, "Regularized Learning for Domain Adaptation under Label Shifts", ICLR
2019; EM: Saerens, Latinne and Decaestecker, Neural Computation 2002.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, class_probabilities, doubles, whole_number, whole_numbers

FEWEST_LABELS = 30
"""Rows of each class in the reference, at least."""
FEWEST_NOW = 10.0
"""Current rows of each label, as estimated: with fewer, resamples of them alone are too much alike."""
LARGEST_CONDITION = 30.0
"""The largest condition number of the confusion matrix: beyond it, errors grow more than thirtyfold."""
_STEPS = 1_000
_CLOSE = 1e-7


class LabelShift(Struct, frozen=True):
    """The estimated `shares` of labels now, with intervals of level 1 - alpha, beside `reference`, their shares before.

    `weights`: how many times as often each label occurs now as before. `condition`: of the confusion matrix; 1 is best.
    """

    method: str
    shares: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    reference: tuple[float, ...]
    condition: float
    alpha: float

    @property
    def weights(self) -> tuple[float, ...]:
        """By label, the share now over the share before, for instance to weight training examples."""
        return tuple(now / before for now, before in zip(self.shares, self.reference, strict=True))

    @property
    def changed(self) -> bool:
        """Whether the share of any label left its interval."""
        return any(
            not low <= before <= high for low, before, high in zip(self.low, self.reference, self.high, strict=True)
        )


def label_shift(
    labels: ArrayLike,
    reference: ArrayLike,
    current: ArrayLike,
    rng: np.random.Generator,
    *,
    method: str = "bbse",
    draws: int = 200,
    alpha: float = 0.05,
    counts: ArrayLike | None = None,
) -> LabelShift:
    """Estimate the shares of labels in `current`, by one of `SHIFT_METHODS`.

    `labels`: shape (rows,), the class of each row of the reference, a number from 0. `reference`, `current`: what was
    predicted, shape (rows, classes): probabilities, or 1 for the predicted class and 0 for others; `em` needs
    probabilities. `counts`: shape (rows,), how many rows each row of the reference stands for, where a decision keeps
    labels of some from being known; 1 by default. Raises `BadInput` for a class with fewer than 30 rows in the
    reference, and for a confusion matrix with a condition number above 30: then predictions do not tell labels apart
    well enough.

    >>> rng = np.random.default_rng(1)
    >>> def predicted(labels):
    ...     return np.eye(2)[np.where(rng.random(len(labels)) < 0.8, labels, 1 - labels)]
    >>> before, now = np.repeat([0, 1], [5_000, 5_000]), np.repeat([0, 1], [2_000, 8_000])
    >>> shift = label_shift(before, predicted(before), predicted(now), rng)
    >>> round(shift.shares[1], 1), shift.changed
    (0.8, True)
    """
    check_alpha(alpha)
    if method not in SHIFT_METHODS:
        raise BadInput("method", f"one of {', '.join(SHIFT_METHODS)}", method)
    draws = whole_number("draws", draws, 20)
    before, now = class_probabilities("reference", reference), class_probabilities("current", current)
    if now.shape[1] != before.shape[1]:
        raise BadInput("number of classes of current", f"{before.shape[1]}, as of the reference", now.shape[1])
    actual = _labels(labels, len(before), before.shape[1])
    stands = np.ones(len(actual)) if counts is None else doubles("counts", counts, 0.0)
    if stands.shape != actual.shape:
        raise BadInput("counts", f"one for each of {len(actual)} rows of the reference", stands.shape)
    shares = np.bincount(actual, stands, before.shape[1]) / max(float(stands.sum()), 1e-300)
    if not shares.min() > 0:
        raise BadInput(f"sum of the counts of class {shares.argmin()} in the reference", "above 0", 0.0)
    condition = float(np.linalg.cond(_confusion(actual, before, stands) / shares))
    if not condition <= LARGEST_CONDITION:
        needed = f"at most {LARGEST_CONDITION:g}, where predictions can tell labels apart: take probabilities instead"
        raise BadInput("condition number of the confusion matrix", needed, round(condition, 1))
    estimate = SHIFT_METHODS[method]
    value = estimate(actual, before, now, stands, np.ones(len(now)))
    resampled: list[tuple[Doubles, Callable[[], Doubles]]] = [(now, lambda: _resample(rng, now))]
    if len(now) * value.min() < FEWEST_NOW:
        chances = _chances_of_rows(actual, stands, value, len(now))
        resampled.append((before, lambda: rng.multinomial(len(now), chances).astype(np.float64)))
    drawn = [
        [estimate(actual, before, rows, stands * _resample(rng, before), drawn_now()) for _ in range(draws)]
        for rows, drawn_now in resampled
    ]
    low, high = np.quantile(drawn, [alpha / 2, 1 - alpha / 2], axis=1)
    ends = (tuple(np.vstack([low, value]).min(axis=0).tolist()), tuple(np.vstack([high, value]).max(axis=0).tolist()))
    return LabelShift(method, tuple(value.tolist()), *ends, tuple(shares.tolist()), condition, alpha)


def _labels(labels: ArrayLike, rows: int, classes: int) -> np.ndarray:
    numbers = whole_numbers("labels", labels)
    if numbers.shape != (rows,):
        raise BadInput("labels", f"one for each of {rows} rows of the reference", numbers.shape)
    unknown = numbers >= classes
    if unknown.any():
        raise BadInput("labels", f"whole numbers from 0 to {classes - 1}", numbers[unknown][0].item())
    counts = np.bincount(numbers, minlength=classes)
    if counts.min() < FEWEST_LABELS:
        raise BadInput(
            f"rows of class {counts.argmin()} in the reference", f"{FEWEST_LABELS} or more", int(counts.min())
        )
    return numbers


def _resample(rng: np.random.Generator, rows: Doubles) -> Doubles:
    return np.bincount(rng.integers(len(rows), size=len(rows)), minlength=len(rows)).astype(np.float64)


def _chances_of_rows(labels: np.ndarray, counts: Doubles, shares: Doubles, rows: int) -> Doubles:
    """How often each row of the reference stands for a current one, of which there are `rows` and one of each label."""
    expected = (rows * shares + 1) / (rows + len(shares))
    chances = counts * (expected / np.bincount(labels, counts, len(shares)))[labels]
    return np.asarray(chances / chances.sum())


def _confusion(labels: np.ndarray, predicted: Doubles, counts: Doubles) -> Doubles:
    """The joint shares, (predicted class, label)."""
    weighted = predicted * counts[:, None]
    columns = [weighted[labels == number].sum(axis=0) for number in range(predicted.shape[1])]
    return np.asarray(np.stack(columns, axis=1) / counts.sum())


def _black_box(labels: np.ndarray, before: Doubles, now: Doubles, counts: Doubles, counts_now: Doubles) -> Doubles:
    """BBSE: weights w that solve C w = mu; shares below 0 become 0."""
    confusion = _confusion(labels, before, counts)
    weights = np.linalg.lstsq(confusion, counts_now @ now / counts_now.sum())[0]
    return _shares(weights, confusion)


def _regularized(labels: np.ndarray, before: Doubles, now: Doubles, counts: Doubles, counts_now: Doubles) -> Doubles:
    """RLLS: w = 1 + theta, where theta minimizes |C theta - b| + penalty |theta|, norms not squared.

    b is the difference of how often classes are predicted now and before. The penalty is the size of the error of C
    from so many rows, and that of b weakens theta where few current rows say little.
    """
    confusion = _confusion(labels, before, counts)
    predicted, rows_now = confusion.sum(axis=1), float(counts_now.sum())
    change = counts_now @ now / rows_now - predicted
    theta = smallest_change(confusion, change, float(np.sqrt(1 / len(labels))))
    noise = np.sqrt((1 / rows_now + 1 / len(labels)) * (predicted * (1 - predicted)).sum())
    size = float(np.linalg.norm(change))
    return _shares(1 + theta * (size**2 / (size**2 + noise**2) if size > 0 else 0.0), confusion)


def smallest_change(matrix: Doubles, target: Doubles, penalty: float) -> Doubles:
    """The theta that minimizes |matrix theta - target| + penalty |theta|, Euclidean norms that are not squared.

    At the minimum it is a ridge regression with a ridge of penalty |matrix theta - target| / |theta|, or 0.
    """
    left, singular, right = np.linalg.svd(matrix)
    inner = left.T @ target

    def theta(ridge: float) -> Doubles:
        return np.asarray(right.T @ (singular * inner / (singular**2 + ridge)))

    def excess(log_ridge: float) -> float:
        ridge = float(np.exp(log_ridge))
        solution = theta(ridge)
        return ridge * float(np.linalg.norm(solution)) - penalty * float(np.linalg.norm(matrix @ solution - target))

    if float(np.linalg.norm(matrix.T @ target)) <= penalty * float(np.linalg.norm(target)):
        return np.zeros(matrix.shape[1])
    low, high = -60.0, 60.0
    return theta(float(np.exp(brentq(excess, low, high)))) if excess(low) < 0 < excess(high) else theta(np.exp(low))


def _maximum_likelihood(
    labels: np.ndarray, before: Doubles, now: Doubles, counts: Doubles, counts_now: Doubles
) -> Doubles:
    """EM: the shares that make the current probabilities most likely, where the ratios to the reference's count."""
    start = np.bincount(labels, counts, now.shape[1]) / counts.sum()
    likelihoods, weights = now / np.maximum(start, 1e-12), counts_now / counts_now.sum()
    shares = np.asarray(start)
    for _ in range(_STEPS):
        joint = likelihoods * shares
        following = weights @ (joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-300))
        if float(np.abs(following - shares).max()) < _CLOSE:
            break
        shares = np.asarray(following)
    return shares


def _shares(weights: Doubles, confusion: Doubles) -> Doubles:
    shares = np.maximum(weights, 0.0) * confusion.sum(axis=0)
    total = shares.sum()
    return np.asarray(shares / total if total > 0 else confusion.sum(axis=0))


_Estimate = Callable[[np.ndarray, Doubles, Doubles, Doubles, Doubles], Doubles]
SHIFT_METHODS: dict[str, _Estimate] = {"bbse": _black_box, "rlls": _regularized, "em": _maximum_likelihood}
"""{name: (labels, reference, current, count of each row of either) -> shares}."""
