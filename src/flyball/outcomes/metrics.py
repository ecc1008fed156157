"""Metrics of a version from its counts: shares and means by label, over mature responses."""

import math
from collections.abc import Iterable, Mapping
from statistics import NormalDist

import msgspec

from flyball.core import Histogram
from flyball.outcomes.counts import BOUNDS_US, MINUTE_US, LabelCounts, VersionCounts
from flyball.outcomes.reading import MICRO

_Z = NormalDist().inv_cdf(0.975)


class LabelSpec(msgspec.Struct, frozen=True):
    """What is needed to interpret the counts of a label. `within_us`: the longest of its windows."""

    within_us: int
    measured: bool
    otherwise: float | None


class LabelMetric(msgspec.Struct, frozen=True):
    """One label of one version.

    `value`: for a label without values, the share of responses with it. For a label with values, their mean over the
    responses that have it; if the label declares a value for the others, over all responses. `low`, `high`: the 95 %
    interval (Wilson's for a share, normal for a mean). All three cover mature responses, whose window has closed, so
    that versions of different ages can be compared; they are None without mature responses. `so_far`: the value over
    all responses. `mature`, `open`: numbers of responses. `censored`, `impossible`: numbers of mature responses whose
    wait another event ended, or whose decision makes the label impossible. `n`: items or requests with the label among
    the mature responses.
    """

    value: float | None
    low: float | None
    high: float | None
    so_far: float | None
    mature: int
    open: int
    censored: int
    impossible: int
    n: int
    is_share: bool = True


class VersionOutcomes(msgspec.Struct, frozen=True):
    """The outcomes of one version since some minute; version "" is for responses that no version made.

    `availability`: the share of responses with an item, a value or a decision. `modeled`: the share of responses with
    an item or values from a model. Both are None without responses. `labels`: metrics by label.
    """

    version: str
    responses: int
    availability: float | None
    modeled: float | None
    labels: dict[str, LabelMetric]
    levels: dict[str, int]
    arms: dict[str, int]
    p50_us: float | None
    p90_us: float | None
    p99_us: float | None


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """A 95 % interval of a share. Source: Wilson, "Probable inference", JASA 1927.

    >>> [round(end, 4) for end in wilson(0, 10)]
    [0.0, 0.2775]
    """
    share, square = successes / trials, _Z * _Z
    middle = share + square / (2 * trials)
    half = _Z * math.sqrt(share * (1 - share) / trials + square / (4 * trials * trials))
    scale = 1 + square / trials
    return max(0.0, (middle - half) / scale), min(1.0, (middle + half) / scale)


def version_outcomes(
    version: str, minutes: Iterable[tuple[int, VersionCounts]], specs: Mapping[str, LabelSpec], now_us: int
) -> VersionOutcomes:
    """The metrics of one version from its counts, {minute: counts}, as of `now_us`."""
    every, mature = VersionCounts(), {name: (VersionCounts(), LabelCounts()) for name in specs}
    for minute, counts in minutes:
        every.add(counts)
        for name, spec in specs.items():
            if (minute + 1) * MINUTE_US + spec.within_us <= now_us:
                mature[name][0].responses += counts.responses
                mature[name][1].add(counts.labels.get(name, LabelCounts()))

    def share(part: int) -> float | None:
        return part / every.responses if every.responses else None

    latency = Histogram(BOUNDS_US, [every.latency.get(bucket, 0) for bucket in range(len(BOUNDS_US) + 1)])
    return VersionOutcomes(
        version,
        every.responses,
        share(every.filled),
        share(every.modeled),
        {name: _metric(specs[name], every, name, *mature[name]) for name in specs},
        dict(sorted(every.levels.items())),
        dict(sorted(every.arms.items())),
        latency.percentile(0.5),
        latency.percentile(0.9),
        latency.percentile(0.99),
    )


def _metric(
    spec: LabelSpec, every: VersionCounts, name: str, mature: VersionCounts, counts: LabelCounts
) -> LabelMetric:
    value, low, high = _estimate(spec, mature.responses, counts)
    return LabelMetric(
        value=value,
        low=low,
        high=high,
        so_far=_estimate(spec, every.responses, every.labels.get(name, LabelCounts()))[0],
        mature=mature.responses,
        open=every.responses - mature.responses,
        censored=counts.censored,
        impossible=counts.impossible,
        n=counts.n,
        is_share=not spec.measured,
    )


def _estimate(spec: LabelSpec, responses: int, counts: LabelCounts) -> tuple[float | None, float | None, float | None]:
    if not spec.measured:
        trials = counts.responses if spec.otherwise is None else responses - counts.censored - counts.impossible
        return (counts.responses / trials, *wilson(counts.responses, trials)) if trials else (None, None, None)
    absent = 0
    if spec.otherwise is not None:
        absent = responses - counts.responses - counts.censored - counts.impossible
    n, otherwise = counts.n + absent, spec.otherwise or 0.0
    if not n:
        return None, None, None
    mean = (counts.total / MICRO + absent * otherwise) / n
    if n == 1:
        return mean, None, None
    squares = counts.squares / MICRO**2 + absent * otherwise * otherwise
    half = _Z * math.sqrt(max(0.0, squares / n - mean * mean) / (n - 1))
    return mean, mean - half, mean + half
