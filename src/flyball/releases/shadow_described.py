"""Describes a shadow: how its responses differ from the served ones, with intervals that are valid at every look."""

from collections.abc import Mapping
from math import isfinite

import msgspec

from flyball.events import Offsets
from flyball.releases.agreement import BOUNDED
from flyball.releases.release import CANDIDATE, CONTROL, Release
from flyball.releases.shadow_counts import ALL, Moments, ShadowResult, ShadowSums
from flyball.statistics import bounded_mean_interval, mean_sequence

ALPHA = 0.05
"""The alpha of the interval of one measure over all responses, and of its intervals over all slices together."""


class ShadowMeasure(msgspec.Struct, frozen=True):
    """The mean of one measure over the candidate's responses in one slice ("" for all).

    `low`, `high`: its interval, None if there are too few responses. `again`: the mean over the champion's second
    responses, None without any; a difference that shows there is not caused by the candidate.
    """

    measure: str
    slice: str
    answers: int
    mean: float
    low: float | None = None
    high: float | None = None
    again: float | None = None


class ShadowArm(msgspec.Struct, frozen=True):
    """The responses of one arm. `failed`: {reason: number}. Times are in milliseconds, None without responses.
    `newer`: how many were made from a newer state than the served responses."""

    arm: str
    answers: int
    failed: dict[str, int]
    empty: int
    newer: int
    p50_ms: float | None = None
    p99_ms: float | None = None


class ShadowDescription(msgspec.Struct, frozen=True):
    """A shadow for a reader. `sampled`: the share of requests; `left_out`: {reason: requests not answered}."""

    sampled: float
    arms: list[ShadowArm]
    measures: list[ShadowMeasure]
    left_out: dict[str, int]


def shadow_progress(release: Release, result: ShadowResult, offsets: Mapping[int, int], ends: Offsets) -> str:
    """How far a shadow is with the served answers, as a sentence; "" for a release that is no shadow now.

    `offsets`: {partition: the next one that it reads}, empty before its first look. `ends`: of the served answers.
    """
    if release.acts_as != "shadow":
        return ""
    if not offsets:
        return (
            "its process has not looked yet: flyball up starts it, and it answers what is served from its first look on"
        )
    waiting = sum(max(end - offsets.get(partition, end), 0) for partition, end in enumerate(ends))
    if waiting:
        return f"{waiting:,} served answers wait for it"
    if not (result.sums or result.left_out):
        return "silence: it looks, and nothing that takes part was served since its first look"
    return "it has looked at all that was served"


def describe_shadow(release: Release, result: ShadowResult) -> ShadowDescription:
    """The description of the shadow of `release`."""
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
