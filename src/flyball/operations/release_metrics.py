"""Reads metrics of what users did, as evidence for the release controller."""

from collections.abc import Sequence

import msgspec

from flyball.core import FlyballError
from flyball.experiments import MetricResult, experiment, interleaving
from flyball.releases import MetricEvidence, Release
from flyball.runtime import Runtime

EVERY_US = 600_000_000
"""How long computed metrics are reused: computing them reads all exposures of the release."""
_READ = ("canary", "ab", "bandit", "interleave")


class ReleaseMetrics:
    """Reads the metrics that a release is evaluated by, at most every `EVERY_US` for each release.

    Called with a release and the time, it returns the evidence, and the reason why no comparison is valid ("" when
    comparisons are valid). A metric that cannot be computed is marked missing, and a release does not advance on it.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._known: dict[str, tuple[int, tuple[Sequence[MetricEvidence], str]]] = {}

    def __call__(self, release: Release, now_us: int) -> tuple[Sequence[MetricEvidence], str]:
        if release.kind not in _READ:
            return (), ""
        at_us, known = self._known.get(release.id, (0, None))
        if known is None or not at_us <= now_us < at_us + EVERY_US:
            known = self._read(release, now_us)
            self._known[release.id] = now_us, known
        return known

    def _read(self, release: Release, now_us: int) -> tuple[Sequence[MetricEvidence], str]:
        declared = {**release.success, **release.harmful}
        arms = [arm.name for arm in release.arms[1:]]
        if release.kind == "interleave":
            return self._interleaved(release, now_us), ""
        try:
            result = experiment(self._runtime, release.id, now_us)
        except FlyballError as error:
            missing = [
                MetricEvidence(name, arm, "success" if name in release.success else "harmful", missing=str(error))
                for name in declared
                for arm in arms
            ]
            return missing, ""
        blocked = "" if result.sample_ratio is None or result.comparable else result.sample_ratio.sentence
        return [metric_evidence(metric, release) for metric in result.metrics if metric.metric in declared], blocked

    def _interleaved(self, release: Release, now_us: int) -> list[MetricEvidence]:
        try:
            result = interleaving(self._runtime, release, now_us)
        except FlyballError as error:
            return [MetricEvidence("credit", arm.name, "success", missing=str(error)) for arm in release.arms[1:]]
        return [
            MetricEvidence(
                result.label,
                ranker.arm,
                "success",
                effect=ranker.inference.effect,
                low=ranker.inference.low,
                high=ranker.inference.high,
                missing=ranker.inference.missing,
                sentence=ranker.sentence,
            )
            for ranker in result.rankers
        ]


def metric_evidence(result: MetricResult, release: Release) -> MetricEvidence:
    """A metric of an experiment as evidence for the controller: above 0 is better, whatever the metric's direction."""
    known = result.inference
    missing = result.missing or ("nothing was measured yet" if known is None else known.missing)
    evidence = MetricEvidence(
        result.metric,
        result.arm,
        "success" if result.metric in release.success else "harmful",
        missing=missing,
        sentence=result.sentence,
    )
    if known is None:
        return evidence
    effect, low, high = known.effect, known.low, known.high
    if result.better == "low":
        effect, low, high = -effect, -high, -low
    return msgspec.structs.replace(evidence, effect=effect, low=low, high=high)
