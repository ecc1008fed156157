"""Performance that is expected before labels are known, from calibrated probabilities (CBPE).

If a probability is calibrated, it says how often its outcome happens. What a metric of a window will be once its labels
are known is therefore a random variable whose mean and variance follow from the probabilities alone. Those of NannyML
are the means used here; the variance is that of independent outcomes, by the delta method for ratios, plus that of the
calibration over resamples of the reference. No probability shows a changed relation of features and outcome (concept
drift): then, and only then, the measured performance leaves the interval.
Sources: NannyML, "Confidence-based Performance Estimation (CBPE)", docs of 0.13; distribution of the estimate: arXiv
2505.05295.
"""

from collections.abc import Callable

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike
from scipy import stats

from flyball.core import BadInput, Doubles
from flyball.statistics.checks import check_alpha, class_probabilities, doubles, finite
from flyball.statistics.learned_calibration import LearnedCalibration

MOST_BEYOND = 0.1
"""The largest share of scores that may lie where the reference has next to no rows."""
FEWEST_EXPECTED = 5.0
"""Expected outcomes of a kind, at least, for a metric that divides by their number."""
_SMALLEST = 1e-15
_SAMPLED = 4_000

_Flags = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


class ExpectedMetric(Struct, frozen=True):
    """A metric's expected `value`, and the interval [low, high] that it will lie in with probability 1 - alpha."""

    value: float
    low: float
    high: float


class ExpectedPerformance(Struct, frozen=True):
    """The expected `metrics` of a window of `rows`, by name; `unknown`: {metric: why it is not known}."""

    rows: int
    metrics: dict[str, ExpectedMetric]
    unknown: dict[str, str]
    alpha: float


@finite("threshold")
def expected_performance(
    scores: ArrayLike,
    calibration: LearnedCalibration | None = None,
    *,
    threshold: float = 0.5,
    positive: ArrayLike | None = None,
    alpha: float = 0.05,
) -> ExpectedPerformance:
    """The accuracy, precision, recall, F1, log loss, Brier score and AUC that are expected of `scores`, shape (rows,).

    `scores`: the probabilities that were served. `calibration`: from a time with labels; None if they are calibrated
    for certain. `threshold`: from which on the outcome is predicted; `positive`, bool (rows,), says it by row instead.
    Shape (rows, classes) are the probabilities of classes, which have accuracy, log loss and Brier score. Raises
    `BadInput` without rows, for scores or a threshold outside [0, 1], and where a row of classes does not sum to 1.

    >>> estimated = expected_performance([0.9] * 80 + [0.2] * 20).metrics["accuracy"]
    >>> f"{estimated.value:.2f}, {estimated.low:.2f} to {estimated.high:.2f}"
    '0.88, 0.81 to 0.94'
    """
    check_alpha(alpha)
    served = doubles("scores", scores, 0.0, 1.0)
    if not len(served) or served.ndim > 2:
        raise BadInput("scores", "of shape (rows,) or (rows, classes), with a row or more", served.shape)
    if served.ndim == 2:
        class_probabilities("scores", served)
    if not 0.0 <= threshold <= 1.0:
        raise BadInput("threshold", "from 0 to 1, such as 0.5", threshold)
    names = _LOSSES if served.ndim == 2 else (*_LOSSES, *_RATIOS)
    beyond = 0.0 if calibration is None else calibration.share_beyond(served)
    if beyond > MOST_BEYOND:
        reason = f"{beyond:.0%} of the scores lie where the reference has next to no rows"
        return ExpectedPerformance(len(served), {}, dict.fromkeys(names, reason), alpha)
    flags = None if positive is None else np.asarray(positive, dtype=bool)
    if flags is not None and (served.ndim == 2 or flags.shape != served.shape):
        raise BadInput("positive", f"one flag for each of {len(served)} scores of two outcomes", flags.shape)
    predicted = served >= threshold if flags is None and served.ndim == 1 else flags
    window = _Window(served, predicted)
    values, variances, unknown = window.expected(served if calibration is None else calibration.apply(served))
    spread = {} if calibration is None or not calibration.resampled else _spread(window, calibration)
    metrics = {
        name: _interval(name, float(value), float(variances[name]) + spread.get(name, 0.0), alpha)
        for name, value in values.items()
    }
    return ExpectedPerformance(len(served), metrics, unknown, alpha)


class _Window:
    """Rows in ascending order of score, for metrics of two outcomes; in their own order for more classes."""

    def __init__(self, served: Doubles, predicted: _Flags | None) -> None:
        self.order = np.argsort(served, kind="stable") if served.ndim == 1 else np.arange(len(served))
        self.served = served[self.order]
        self.predicted = None if predicted is None else predicted[self.order]
        if self.predicted is None:
            self._losses = _losses_of_classes(self.served)
        else:
            self._losses = _losses(self.served, self.predicted)
            self._starts = np.flatnonzero(np.append(True, self.served[1:] != self.served[:-1]))
            self._group = np.repeat(np.arange(len(self._starts)), np.diff(np.append(self._starts, len(served))))

    def expected(self, probabilities: Doubles) -> tuple[dict[str, Doubles], dict[str, Doubles], dict[str, str]]:
        """(values, variances of independent outcomes, why a metric is unknown) of `probabilities`, as they came."""
        p = probabilities[self.order]
        values, variances, unknown = dict[str, Doubles](), dict[str, Doubles](), dict[str, str]()
        chances = p if self.predicted is None else np.stack([1 - p, p], axis=1)
        for name, losses in self._losses.items():
            means = (chances * losses).sum(axis=1)
            values[name] = means.mean()
            variances[name] = ((chances * losses**2).sum(axis=1) - means**2).sum() / len(p) ** 2
        if self.predicted is None:
            return values, variances, unknown
        for name, ratio in _RATIOS.items():
            outcome = ratio(self, p)
            if isinstance(outcome, str):
                unknown[name] = outcome
            else:
                values[name] = np.asarray(outcome[0])
                variances[name] = np.asarray((p * (1 - p) * outcome[1] ** 2).sum())
        return values, variances, unknown

    def sampled(self) -> "_Window":
        """Every so many rows of it, 4,000 at most, where only the spread over resamples is needed."""
        step = -(-len(self.served) // _SAMPLED)
        first = step // 2
        return _Window(self.served[first::step], None if self.predicted is None else self.predicted[first::step])

    def auc(self, p: Doubles) -> tuple[float, Doubles] | str:
        """(AUC, its derivative by each outcome): over pairs of different rows, ties as half."""
        p_sum, n_sum = float(p.sum()), float((1 - p).sum())
        if min(p_sum, n_sum) < FEWEST_EXPECTED:
            return f"fewer than {FEWEST_EXPECTED:g} outcomes of a kind are expected"
        below, above = self._below(1 - p), p_sum - p - self._below(p)  # of other rows, ties as half
        pairs = p_sum * n_sum - float((p * (1 - p)).sum())
        area = float(p @ below) / pairs
        return area, (below - above - area * ((n_sum - (1 - p)) - (p_sum - p))) / pairs

    def _below(self, mass: Doubles) -> Doubles:
        """The sum of `mass` over other rows with a lower score, and half of that with the same."""
        groups = np.add.reduceat(mass, self._starts)
        before = np.cumsum(groups) - groups
        return np.asarray(before[self._group] + (groups[self._group] - mass) / 2)


def _losses_of_classes(served: Doubles) -> dict[str, Doubles]:
    """Of each metric, its number if each class is the outcome, (rows, classes)."""
    right = np.zeros_like(served)
    right[np.arange(len(served)), served.argmax(axis=1)] = 1.0
    squares = (served**2).sum(axis=1, keepdims=True)
    return {
        "accuracy": right,
        "log_loss": -np.log(np.maximum(served, _SMALLEST)),
        "brier": squares - 2 * served + 1,
    }


def _losses(served: Doubles, predicted: _Flags) -> dict[str, Doubles]:
    """Of each metric, its number if the outcome does not happen and if it does, (rows, 2)."""
    return {
        "accuracy": np.stack([~predicted, predicted], axis=1).astype(np.float64),
        "log_loss": -np.log(np.maximum(np.stack([1 - served, served], axis=1), _SMALLEST)),
        "brier": np.stack([served**2, (1 - served) ** 2], axis=1),
    }


def _precision(window: _Window, p: Doubles) -> tuple[float, Doubles] | str:
    predicted = window.predicted
    if predicted is None or not predicted.any():
        return "no outcome is predicted"
    return float(p[predicted].mean()), predicted / predicted.sum()


def _recall(window: _Window, p: Doubles) -> tuple[float, Doubles] | str:
    total, predicted = float(p.sum()), np.asarray(window.predicted, dtype=np.float64)
    if total < FEWEST_EXPECTED:
        return f"fewer than {FEWEST_EXPECTED:g} outcomes are expected"
    recall = float(p @ predicted) / total
    return recall, (predicted - recall) / total


def _f1(window: _Window, p: Doubles) -> tuple[float, Doubles] | str:
    predicted = np.asarray(window.predicted, dtype=np.float64)
    total = float(p.sum() + predicted.sum())
    if total < FEWEST_EXPECTED:
        return f"fewer than {FEWEST_EXPECTED:g} outcomes are expected or predicted"
    f1 = 2 * float(p @ predicted) / total
    return f1, (2 * predicted - f1) / total


_LOSSES = ("accuracy", "log_loss", "brier")
_RATIOS: dict[str, Callable[[_Window, Doubles], tuple[float, Doubles] | str]] = {
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "auc": _Window.auc,
}


def _spread(window: _Window, calibration: LearnedCalibration) -> dict[str, float]:
    """The variance of each metric over resamples of the reference."""
    sample = window.sampled()
    drawn = [sample.expected(p)[0] for p in calibration.draws(sample.served)]
    return {
        name: float(np.var([values[name] for values in drawn if name in values], ddof=1))
        for name in drawn[0]
        if sum(name in values for values in drawn) > 1
    }


def _interval(name: str, value: float, variance: float, alpha: float) -> ExpectedMetric:
    """The interval of the gamma (log loss) or beta distribution with this mean and variance: it stays in the range."""
    if variance <= 0:
        return ExpectedMetric(value, value, value)
    ends = (alpha / 2, 1 - alpha / 2)
    if name == "log_loss":
        low, high = stats.gamma.ppf(ends, value**2 / variance, scale=variance / value)
        return ExpectedMetric(value, float(low), float(high))
    largest = 2.0 if name == "brier" else 1.0  # of more classes, Brier scores sum over classes
    mean = value / largest
    size = mean * (1 - mean) / (variance / largest**2) - 1
    if not size > 0:
        return ExpectedMetric(value, 0.0, largest)
    low, high = stats.beta.ppf(ends, mean * size, (1 - mean) * size)
    return ExpectedMetric(value, float(low) * largest, float(high) * largest)
