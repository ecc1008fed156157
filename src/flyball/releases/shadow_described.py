"""A shadow for a reader: how its answers differ from the served ones, with intervals that hold at every look."""

from collections.abc import Mapping
from math import isfinite

import msgspec

from flyball.releases.agreement import BOUNDED
from flyball.releases.release import CANDIDATE, CONTROL, Release
from flyball.releases.shadow_counts import ALL, Moments, ShadowResult, ShadowSums
from flyball.statistics import bounded_mean_interval, mean_sequence

ALPHA = 0.05
"""Of the intervals of one measure over all, and of those of one measure over all slices together."""


class ShadowMeasure(msgspec.Struct, frozen=True):
    """The mean of one measure over the candidate's answers, of one slice ("" for all). `low`, `high`: its interval,
    None while there are too few answers. `again`: the mean of the champion's second answers, None where there are none:
    what differs there is not the candidate's doing."""

    measure: str
    slice: str
    answers: int
    mean: float
    low: float | None = None
    high: float | None = None
    again: float | None = None


class ShadowArm(msgspec.Struct, frozen=True):
    """What one arm's answers came to: `failed` {why: how many}; times in milliseconds, None without answers. `newer`:
    how many were made from a newer state than the served answers."""

    arm: str
    answers: int
    failed: dict[str, int]
    empty: int
    newer: int
    p50_ms: float | None = None
    p99_ms: float | None = None


class ShadowDescription(msgspec.Struct, frozen=True):
    """`sampled`: the share of requests drawn; `left_out`: {reason: requests that were not answered}."""

    sampled: float
    arms: list[ShadowArm]
    measures: list[ShadowMeasure]
    left_out: dict[str, int]


def describe_shadow(release: Release, result: ShadowResult) -> ShadowDescription:
    """What is known of the shadow of `release`."""
    slices, again = result.sums.get(CANDIDATE, {}), result.sums.get(CONTROL, {})
    parts = sorted(name for name in slices if name != ALL)
    measures: list[ShadowMeasure] = []
    for name in ([ALL] if ALL in slices else []) + parts:
        alpha = ALPHA if name == ALL else ALPHA / len(parts)
        measures += _measures(release, name, slices[name], again.get(name), alpha)
    arms = [_arm(arm, result.sums[arm][ALL]) for arm in (CANDIDATE, CONTROL) if ALL in result.sums.get(arm, {})]
    return ShadowDescription(release.sampled, arms, measures, dict(sorted(result.left_out.items())))


def _measures(
    release: Release, name: str, sums: ShadowSums, again: ShadowSums | None, alpha: float
) -> list[ShadowMeasure]:
    second: Mapping[str, Moments] = again.measures if again is not None else {}
    rows = []
    for measure, moments in sums.measures.items():
        low, high = _interval(measure, moments, release.constants["n_best"], alpha) or (None, None)
        mean = second[measure].mean if measure in second else None
        rows.append(ShadowMeasure(measure, name, moments.count, moments.mean, low, high, mean))
    return rows


def _interval(measure: str, moments: Moments, n_best: float, alpha: float) -> tuple[float, float] | None:
    if measure in BOUNDED:
        low, high = bounded_mean_interval(moments.total, moments.count, alpha, n_best)
        return float(low), float(high)
    if not (isfinite(moments.total) and isfinite(moments.squares)):
        return None
    return mean_sequence(moments.total, moments.squares, moments.count, n_best, alpha)


def _arm(arm: str, sums: ShadowSums) -> ShadowArm:
    counts = sums.answers
    quantiles = [counts.quantile_us(share) / 1_000 if counts.answers else None for share in (0.5, 0.99)]
    return ShadowArm(arm, counts.answers, dict(counts.failed), counts.empty, sums.newer, *quantiles)
