"""Calibration learned from predictions whose outcome is known, with how uncertain it is.

The map is isotonic regression, which NannyML's estimates use too: the share of outcomes, rising with the score. How
uncertain it is comes from the same fit on resamples of the rows.
Source: Zadrozny and Elkan, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates", KDD 2002.
"""

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import doubles, finite

FEWEST_OUTCOMES = 30
"""Outcomes of each kind that a calibration is learned from, at least."""
_CELLS = 20
_FEWEST_NEAR = 10
_ROWS_A_CELL = 30
_DRAWS = 100

_Curve = tuple[Doubles, Doubles]


class LearnedCalibration(Struct, frozen=True):
    """Curves from scores to probabilities: `curves` for each class, `resampled` for each resample and class.

    A curve is (scores in ascending order, probabilities there), straight in between. `scores`: those of the reference
    by class, in ascending order. With two outcomes there is one class.
    """

    curves: tuple[_Curve, ...]
    resampled: tuple[tuple[_Curve, ...], ...]
    scores: tuple[Doubles, ...]

    def apply(self, scores: ArrayLike) -> Doubles:
        """The probabilities of `scores`, of the same shape: (rows,) or (rows, classes)."""
        return _applied(self.curves, self._checked(scores))

    def draws(self, scores: ArrayLike) -> Doubles:
        """The probabilities by each resample, shape (resamples, *shape of `scores`)."""
        checked = self._checked(scores)
        return np.stack([_applied(curves, checked) for curves in self.resampled])

    def share_beyond(self, scores: ArrayLike) -> float:
        """The share of `scores` that lie where the reference has next to no rows, so that nothing is known of them.

        Scores are divided into ranges of as many rows each, 20 of them, or fewer where the reference has fewer than
        600 rows, one for 30; a range in which the reference has fewer than 10 rows counts.
        """
        columns = self._checked(scores).reshape(len(np.asarray(scores)), -1).T
        return max(map(_share_beyond, self.scores, columns))

    def _checked(self, scores: ArrayLike) -> Doubles:
        array = doubles("scores", scores)
        classes = array.shape[1] if array.ndim == 2 else 1
        if array.ndim not in (1, 2) or classes != len(self.curves):
            raise BadInput("scores", f"of {len(self.curves)} classes, as those of the reference", array.shape)
        return array


@finite("draws")
def learn_calibration(
    scores: ArrayLike, outcomes: ArrayLike, rng: np.random.Generator, draws: int = _DRAWS
) -> LearnedCalibration:
    """Learn from `scores`, shape (rows,), whose `outcomes` are 0 or 1, or (rows, classes), whose outcome is the class.

    `draws`: resamples of the rows. Raises `BadInput` if there are fewer than 30 outcomes of a kind.

    >>> rng = np.random.default_rng(1)
    >>> scores = rng.random(20_000)
    >>> calibration = learn_calibration(scores, rng.random(20_000) < scores / 2, rng)
    >>> np.round(calibration.apply([0.2, 0.8]), 1).tolist()
    [0.1, 0.4]
    """
    array, happened = doubles("scores", scores), doubles("outcomes", outcomes)
    if array.ndim not in (1, 2) or happened.shape != array.shape[:1]:
        raise BadInput("outcomes", f"one for each of {len(array)} rows of scores", happened.shape)
    if draws < 2:
        raise BadInput("draws", "2 or more", draws)
    if array.ndim == 1:
        _check_outcomes(happened, (0, 1))
        columns, targets = [array], [happened.astype(np.float64)]
    else:
        _check_outcomes(happened, tuple(range(array.shape[1])))
        columns, targets = list(array.T), [(happened == number).astype(np.float64) for number in range(array.shape[1])]
    orders = [np.argsort(column, kind="stable") for column in columns]
    counted = [np.bincount(rng.integers(len(array), size=len(array)), minlength=len(array)) for _ in range(draws)]
    ordered = [
        (column[order], target[order], order) for column, target, order in zip(columns, targets, orders, strict=True)
    ]
    everything = np.ones(len(array), dtype=np.int64)
    return LearnedCalibration(
        tuple(_fit(column, target, everything) for column, target, _ in ordered),
        tuple(tuple(_fit(column, target, counts[order]) for column, target, order in ordered) for counts in counted),
        tuple(column for column, _, _ in ordered),
    )


def _check_outcomes(outcomes: np.ndarray, kinds: tuple[int, ...]) -> None:
    counts = {kind: int((outcomes == kind).sum()) for kind in kinds}
    if sum(counts.values()) < len(outcomes):
        raise BadInput("outcomes", f"from {kinds[0]} to {kinds[-1]}", outcomes[~np.isin(outcomes, kinds)][0].item())
    kind = min(counts, key=lambda kind: counts[kind])
    if counts[kind] < FEWEST_OUTCOMES:
        raise BadInput(f"outcomes of kind {kind}", f"{FEWEST_OUTCOMES} or more: wait for more labels", counts[kind])


def _fit(scores: Doubles, targets: Doubles, counts: np.ndarray) -> _Curve:
    """The rising curve of `targets` by `scores` in ascending order, each row counted so many times."""
    kept = counts > 0
    scores, targets, weights = scores[kept], targets[kept], counts[kept].astype(np.float64)
    starts = np.flatnonzero(np.append(True, scores[1:] != scores[:-1]))
    sums = np.add.reduceat(weights, starts)
    fitted = isotonic_regression(np.add.reduceat(weights * targets, starts) / sums, weights=sums)
    ends = np.unique(np.concatenate([fitted.blocks[:-1], fitted.blocks[1:] - 1]))
    return scores[starts][ends], np.clip(fitted.x[ends], 0.0, 1.0)


def _applied(curves: tuple[_Curve, ...], scores: Doubles) -> Doubles:
    if scores.ndim == 1:
        return np.asarray(np.interp(scores, *curves[0]))
    columns = np.stack([np.interp(column, *curve) for column, curve in zip(scores.T, curves, strict=True)], axis=1)
    sums = columns.sum(axis=1, keepdims=True)
    return np.where(sums > 0, columns / np.where(sums > 0, sums, 1.0), 1 / columns.shape[1])


def _share_beyond(reference: Doubles, scores: Doubles) -> float:
    ordered = np.sort(scores)
    count = max(1, min(_CELLS, len(ordered), len(reference) // _ROWS_A_CELL))
    cells = np.array_split(ordered, count)
    near = [np.searchsorted(reference, cell[-1], "right") - np.searchsorted(reference, cell[0]) for cell in cells]
    return sum(len(cell) for cell, rows in zip(cells, near, strict=True) if rows < _FEWEST_NEAR) / len(ordered)
