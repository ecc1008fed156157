"""What a measurement of freshness says: the loss by age, the cadence and the training window that follow from it."""

from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np

from flyball.core import format_duration
from flyball.evaluation import Estimate, Report
from flyball.learning.kept_report import KeptReport

HOW = "freshness"
"""How the registry names it among searches."""
FEWEST_EXAMPLES = 30
"""Examples that a training window must hold."""
MONTH_DAYS = 30.0
_DAY_US = 86_400_000_000
_Z95 = NormalDist().inv_cdf(0.975)


class AgeLoss(msgspec.Struct, frozen=True):
    """A model whose training data end `age_us` earlier. `value`: its metric; `loss`: how much worse it is than a fresh
    model on the same requests, above 0 for worse. Intervals of all ages hold together."""

    age_us: int
    value: float
    loss: Estimate


class Cadence(msgspec.Struct, frozen=True):
    """Learning every `period_us`: the average `loss`, and what it takes: `runs` and `seconds` of training a month."""

    period_us: int
    loss: float
    runs: float
    seconds: float


class WindowValue(msgspec.Struct, frozen=True):
    """A fresh model that learned from a window of `name`, such as "7d", "all" or "drift". `value`: its metric; `gain`:
    how much better it is than one that learned from everything, None for that one. `failed`: why there is none."""

    name: str
    value: float | None = None
    gain: Estimate | None = None
    failed: str = ""


class FreshnessReport(KeptReport, frozen=True, kw_only=True):
    """What newer data are worth to `candidate`.

    `fresh`: the metric of a fresh model. `ages`: the loss by age; `curve`: the same as a curve that does not fall, 0
    where no loss is certain. `decays`: whether any loss is. `cadences`: the periods to choose from; `cadence_us`: the
    recommended one, None where older data are as good. `windows`: training windows; `window`: the recommended one.
    `length_us`: how far training data reached back in `ages`; `fit_s`: the mean seconds of a fit; `tested`: the number
    of test windows, `requests` of them all.
    """

    candidate: str
    tested: int
    requests: int
    length_us: int
    fresh: float
    ages: list[AgeLoss]
    curve: list[float]
    decays: bool
    tolerance: float
    cadences: list[Cadence]
    cadence_us: int | None
    windows: list[WindowValue]
    window: str
    fit_s: float
    notes: list[str] = []
    seconds: float = 0.0

    def loss_at(self, age_us: float) -> float:
        """The expected loss of a model of this age; beyond the greatest measured age that of the greatest."""
        ages = [0, *(age.age_us for age in self.ages)]
        return float(np.interp(age_us, ages, [0.0, *self.curve]))

    @property
    def sentence(self) -> str:
        """The recommendation in words."""
        window = "all data"
        if self.window != "all":
            declared = "since_drift" if self.window == "drift" else self.window
            words = "data since the last drift" if self.window == "drift" else f"the last {self.window}"
            window = f'{words}, train_window=["all", "{declared}"]'
        if self.cadence_us is None:
            greatest = format_duration(max(age.age_us for age in self.ages))
            return (
                f"no loss by age is certain up to {greatest}: learning more often than every {greatest} gains nothing "
                f"that is measurable; learn from {window}"
            )
        chosen = next(cadence for cadence in self.cadences if cadence.period_us == self.cadence_us)
        period = format_duration(self.cadence_us)
        limit = self.tolerance * abs(self.fresh)
        beyond = "" if chosen.loss <= limit else f", more than the {limit:.3g} that are tolerated"
        return (
            f'learn every {period}, fb.every("{period}"): on average {self.metric} is worse by {chosen.loss:.3g}'
            f"{beyond}, for {chosen.seconds:,.0f} s of training a month; learn from {window}"
        )


def pooled(estimates: Sequence[Estimate], together: int = 1) -> Estimate:
    """The mean of the estimates of several test windows, with an interval at 95 % for `together` such means at once.

    Its standard error is the larger of what the windows' own intervals say and what their spread says.
    """
    values = np.array([estimate.value for estimate in estimates])
    mean = float(values.mean())
    if any(estimate.low is None or estimate.high is None for estimate in estimates):
        return Estimate(mean)
    errors = np.array([((e.high or 0.0) - (e.low or 0.0)) / (2 * _Z95) for e in estimates])
    own = float(np.sqrt((errors**2).sum())) / len(values)
    spread = float(values.std(ddof=1)) / float(np.sqrt(len(values))) if len(values) > 1 else 0.0
    reach = NormalDist().inv_cdf(1 - 0.025 / max(together, 1)) * max(own, spread)
    return Estimate(mean, mean - reach, mean + reach)


def smoothed(ages: Sequence[AgeLoss]) -> list[float]:
    """The losses as a curve that does not fall and is not below 0: isotonic regression, weighted by certainty.

    Source: Barlow et al., "Statistical Inference under Order Restrictions", 1972 (pool adjacent violators).

    >>> smoothed([AgeLoss(1, 0.0, Estimate(-0.2)), AgeLoss(2, 0.0, Estimate(0.5)), AgeLoss(3, 0.0, Estimate(0.3))])
    [0.0, 0.4, 0.4]
    """
    pools: list[tuple[float, float, int]] = []
    for age in ages:
        low, high = age.loss.low, age.loss.high
        width = 1.0 if low is None or high is None or high <= low else high - low
        pools.append((age.loss.value, width**-2, 1))
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            (value, weight, count), (last, last_weight, last_count) = pools[-2:]
            total = weight + last_weight
            pools[-2:] = [((value * weight + last * last_weight) / total, total, count + last_count)]
    return [max(0.0, value) for value, _, count in pools for _ in range(count)]


def cadences_of(ages: Sequence[AgeLoss], curve: Sequence[float], fit_s: float) -> list[Cadence]:
    """Learning as often as each age: the loss is the mean of the curve from 0 to there."""
    cadences = []
    xs, ys = [0, *(age.age_us for age in ages)], [0.0, *curve]
    for index in range(1, len(xs)):
        area = sum((xs[i + 1] - xs[i]) * (ys[i] + ys[i + 1]) / 2 for i in range(index))
        runs = MONTH_DAYS * _DAY_US / xs[index]
        cadences.append(Cadence(xs[index], area / xs[index], runs, runs * fit_s))
    return cadences


def recommended_cadence(cadences: Sequence[Cadence], decays: bool, fresh: float, tolerance: float) -> int | None:
    """The longest period whose average loss is at most `tolerance` of the metric's value, else the shortest; None where
    no loss is certain."""
    if not decays:
        return None
    tolerable = [cadence.period_us for cadence in cadences if cadence.loss <= tolerance * abs(fresh)]
    return max(tolerable, default=min(cadence.period_us for cadence in cadences))


def recommended_window(windows: Sequence[WindowValue]) -> str:
    """The window that gains most over all data, of those that certainly gain; "all" without one."""
    better = [
        (window.gain.value, window.name)
        for window in windows
        if window.gain is not None and window.gain.low is not None and window.gain.low > 0
    ]
    return max(better)[1] if better else "all"


def mean_of(reports: Sequence[Report], metric: str, name: str) -> float:
    """The mean over the test windows in which it has a value."""
    known = [report.estimate(metric, name) for report in reports if name in report.evaluated]
    values = [estimate.value for estimate in known if estimate is not None]
    return sum(values) / len(values) if values else float("nan")


def difference_of(reports: Sequence[Report], metric: str, better: str, worse: str, together: int) -> Estimate | None:
    """By how much `better` is better than `worse` on the same requests, over all test windows that have both."""
    differences = [
        report.difference(metric, better, worse)
        for report in reports
        if better in report.evaluated and worse in report.evaluated
    ]
    signed = [
        difference if reports[0].better.get(metric) != "low" else _negative(difference)
        for difference in differences
        if difference is not None
    ]
    return pooled(signed, together) if signed else None


def _negative(estimate: Estimate) -> Estimate:
    low, high = estimate.low, estimate.high
    return Estimate(-estimate.value, None if high is None else -high, None if low is None else -low)
