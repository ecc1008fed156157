"""Reads metrics of what users did, as evidence for the release controller."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from flyball.core import FlyballError
from flyball.experiments import (
    ExposureReader,
    InterleavingResult,
    MetricResult,
    ReleaseResult,
    SwitchbackResult,
    SwitchedMetric,
    release_results,
)
from flyball.operations.late_harm import late_harm
from flyball.releases import KnownMetrics, MetricEvidence, Release
from flyball.runtime import Runtime
from flyball.statistics import Inference

EVERY_US = 600_000_000
"""How long computed metrics are reused: computing them reads all answers of the release."""
LOOKS = 100
"""A release is looked at again after this part of its age: the older, the less one more look can change."""
FORGET_US = 7 * 86_400_000_000
"""After how long without a look the units of a release are forgotten."""
_SHARED = ("interleave", "switchback")
"""The kinds whose units see all arms."""
_READ = ("canary", "ab", "bandit", *_SHARED)


class ReleaseMetrics:
    """Reads the metrics that a release is evaluated by, at most every `EVERY_US` for each release.

    Called with a release and the time, it returns the evidence, and the reason why no comparison is valid ("" when
    comparisons are valid). A metric that cannot be computed is marked missing, and a release does not advance on it.
    What was computed is left in `kept` for whoever shows it, and in `results` as {release: its results, or why there
    are none}. `all_metrics`: compute all metrics, not only those that decide.
    """

    def __init__(self, runtime: Runtime, kept: KnownMetrics | None = None, all_metrics: bool = False) -> None:
        self._runtime, self._kept, self._all_metrics = runtime, kept, all_metrics
        self.results: dict[str, ReleaseResult | FlyballError] = {}
        self._known: dict[str, tuple[int, tuple[Sequence[MetricEvidence], str]]] = {}
        self._exposures: dict[str, ExposureReader] = {}

    def __call__(self, release: Release, now_us: int) -> tuple[Sequence[MetricEvidence], str]:
        promoted = release.kind == "immediate" and release.harmful and release.over
        if release.kind not in _READ and not promoted:
            return (), ""
        at_us, known = self._known.get(release.id, (0, None))
        every_us = max(EVERY_US, (at_us - release.started_us) // LOOKS)
        if known is None or not at_us <= now_us < at_us + every_us:
            known = self._read(release, now_us)
            self._known[release.id] = now_us, known
            if self._kept is not None:
                self._kept.note(release, now_us, *known)
        return known

    def _read(self, release: Release, now_us: int) -> tuple[Sequence[MetricEvidence], str]:
        if release.kind == "immediate":
            return late_harm(self._runtime, release, now_us), ""
        try:
            result = self._compared(release, now_us)
        except FlyballError as error:
            self.results[release.id] = error
            return _missing(release, str(error)), ""
        self.results[release.id] = result
        return evidence_of(result, release)

    def _compared(self, release: Release, now_us: int) -> ReleaseResult:
        if release.kind in _SHARED:
            return release_results(self._runtime, release, now_us)
        only = None if self._all_metrics else {**release.success, **release.harmful}
        exposed = self._reader(release, now_us).units(now_us)
        return release_results(self._runtime, release, now_us, only=only, exposed=exposed)

    def _reader(self, release: Release, now_us: int) -> ExposureReader:
        """The one of this release; those of releases that nobody asks about any more are forgotten."""
        for release_id, (at_us, _) in self._known.items():
            if now_us - at_us > FORGET_US:
                self._exposures.pop(release_id, None)
        reader = self._exposures.get(release.id)
        if reader is None or not reader.is_of(release):
            reader = self._exposures[release.id] = ExposureReader(self._runtime.predictions, release)
        return reader


def evidence_of(result: ReleaseResult, release: Release) -> tuple[list[MetricEvidence], str]:
    """(the metrics that the release is evaluated by, as evidence; why no comparison is valid, "" when it is)."""
    if isinstance(result, InterleavingResult):
        rankers = result.rankers
        return [
            _evidence(result.label, ranker.arm, ranker.inference, ranker.sentence, abort=ranker.abort)
            for ranker in rankers
        ], ""
    if isinstance(result, SwitchbackResult):
        return [_switched(metric, release) for metric in result.metrics], ""
    declared = {**release.success, **release.harmful}
    blocked = "" if result.sample_ratio is None or result.comparable else result.sample_ratio.sentence
    return [metric_evidence(metric, release) for metric in result.metrics if metric.metric in declared], blocked


def _switched(result: SwitchedMetric, release: Release) -> MetricEvidence:
    role: Literal["success", "harmful"] = "harmful" if result.metric in release.harmful else "success"
    return _evidence(result.metric, result.arm, result.inference, result.sentence, result.better, role, result.abort)


def _missing(release: Release, why: str) -> list[MetricEvidence]:
    """Nothing of any metric that the release is evaluated by, because of `why`."""
    arms = [arm.name for arm in release.arms[1:]]
    if release.kind in _SHARED:
        return [MetricEvidence(release.kind, arm, "success", missing=why) for arm in arms]
    return [
        MetricEvidence(name, arm, "success" if name in release.success else "harmful", missing=why)
        for name in {**release.success, **release.harmful}
        for arm in arms
    ]


def _evidence(
    name: str,
    arm: str,
    known: Inference | None,
    sentence: str,
    better: str = "high",
    role: Literal["success", "harmful"] = "success",
    abort: Inference | None = None,
) -> MetricEvidence:
    """Above 0 is better, whatever the direction of the metric."""
    if known is None:
        return MetricEvidence(name, arm, role, missing=sentence, sentence=sentence)
    effect, low, high = known.effect, known.low, known.high
    if better == "low":
        effect, low, high = -effect, -high, -low
    most = None if abort is None else abort.high if better == "high" else -abort.low
    return MetricEvidence(name, arm, role, effect, low, high, known.missing, sentence, most)


def metric_evidence(result: MetricResult, release: Release) -> MetricEvidence:
    """A metric of an experiment as evidence for the controller: above 0 is better, whatever the metric's direction."""
    role: Literal["success", "harmful"] = "success" if result.metric in release.success else "harmful"
    evidence = _evidence(
        result.metric, result.arm, result.inference, result.sentence, result.better, role, result.abort
    )
    missing = result.missing or ("nothing was measured yet" if result.inference is None else evidence.missing)
    return msgspec.structs.replace(evidence, missing=missing)
