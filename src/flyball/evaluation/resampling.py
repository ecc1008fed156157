"""One bootstrap for every metric: percentile intervals over units (users, days, documents).

Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13. A resample draws as many units as
there are, with replacement; that is a multinomial weight for each unit. All metrics of all candidates are functions of
the same weights, so they share their resamples and differences are paired.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import TypeVar

import msgspec
import numpy as np

from flyball.core import BadInput, Doubles
from flyball.tasks import RatioOfSums, Resampled

MetricKey = TypeVar("MetricKey", bound=Hashable)

_CHUNK_CELLS = 4_000_000


class Estimate(msgspec.Struct, frozen=True):
    """A value and its 95 % interval. `low` and `high` are None if there is none (fewer than two units)."""

    value: float
    low: float | None = None
    high: float | None = None

    def text(self, digits: int = 4) -> str:
        """`0.1234 [0.1200, 0.1270]`."""
        if self.low is None or self.high is None:
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} [{self.low:.{digits}f}, {self.high:.{digits}f}]"


class Resamples(msgspec.Struct, frozen=True):
    """A metric's `value` over all `units`, and its value in each resample (`drawn`)."""

    value: float
    drawn: Doubles
    units: int

    def estimate(self) -> Estimate:
        """The value with its interval."""
        return interval_of(self.value, self.drawn, self.units)

    def minus(self, other: "Resamples") -> "Resamples":
        """The paired difference: both are of the same resamples."""
        return Resamples(self.value - other.value, self.drawn - other.drawn, self.units)


def resample_weights(units: int, resamples: int, seed: int) -> Iterator[Doubles]:
    """How often each resample draws each unit: chunks of shape (some resamples, units), `resamples` rows in all."""
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK_CELLS // max(units, 1))
    for first in range(0, resamples, rows):
        count = min(rows, resamples - first)
        drawn = rng.integers(0, units, size=(count, units))
        drawn += np.arange(count)[:, None] * units
        yield np.bincount(drawn.ravel(), minlength=count * units).reshape(count, units).astype(np.float64)


def resample(
    metrics: Mapping[MetricKey, Resampled],
    units: int,
    seed: int,
    resamples: int = 1_000,
    centered: frozenset[MetricKey] = frozenset(),
) -> dict[MetricKey, Resamples]:
    """Every metric at weights 1 and in the same `resamples`.

    The resampled values of metrics in `centered` are shifted so that their mean is the value, and limited to [0, 1].
    This is for shares that every resample understates because it repeats units, such as coverage. Raises `BadInput`
    without units.
    """
    if units < 1:
        raise BadInput("units", "one or more", units)
    ones = np.ones((1, units))
    values = {name: float(metric(ones)[0]) for name, metric in metrics.items()}
    drawn: dict[MetricKey, list[Doubles]] = {name: [] for name in metrics}
    ratios = {name: metric for name, metric in metrics.items() if isinstance(metric, RatioOfSums)}
    columns = [column for metric in ratios.values() for column in (metric.above, metric.below)]
    table = np.stack(columns, axis=1) if columns else np.zeros((units, 0))
    for weights in resample_weights(units, resamples, seed):
        sums = weights @ table  # one matrix product for all ratios is ten times as fast as one product each
        for index, (name, metric) in enumerate(ratios.items()):
            drawn[name].append(metric.of_sums(sums[:, 2 * index], sums[:, 2 * index + 1]))
        for name, function in metrics.items():
            if name not in ratios:
                drawn[name].append(function(weights))
    resampled = {name: np.concatenate(parts) for name, parts in drawn.items()}
    for name in centered & set(resampled):
        resampled[name] = np.clip(resampled[name] - resampled[name].mean() + values[name], 0.0, 1.0)
    return {name: Resamples(values[name], resampled[name], units) for name in metrics}


def interval_of(value: float, drawn: Doubles, units: int, level: float = 0.95) -> Estimate:
    """`value` with the percentile interval of its resampled values, ignoring nan."""
    usable = drawn[~np.isnan(drawn)]
    if units < 2 or not len(usable):
        return Estimate(float(value))
    tail = (1 - level) / 2
    low, high = np.quantile(usable, [tail, 1 - tail])
    return Estimate(float(value), float(low), float(high))
