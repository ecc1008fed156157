"""A release for a reader: what it is, what was seen, what is still missing, everything that was done."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.registry import Registry, ReleaseStep
from flyball.releases.canary import GuardrailVerdict, advance, not_shown, verdicts
from flyball.releases.change import number_of
from flyball.releases.evidence import Evidence
from flyball.releases.release import UNDER_WAY, WHOLE, Release, shown_state


class ReleaseDescription(msgspec.Struct, frozen=True):
    """`next`: what would follow now; `missing`: what must still be shown before the candidate gets more users, each a
    sentence."""

    release: Release
    state: str
    arms: list[dict[str, Any]]
    guardrails: list[GuardrailVerdict]
    metrics: list[str]
    missing: list[str]
    next: str
    steps: list[ReleaseStep]


def describe_release(registry: Registry, release: Release, evidence: Evidence, now_us: int) -> ReleaseDescription:
    """The description of `release` by what is known of it now."""
    split = release.state in UNDER_WAY
    decision = advance(release, evidence, now_us)
    following = "nothing"
    if decision is not None:
        following = f"{decision.command}: {decision.reason}"
    elif split:
        following = "waits for a person" if release.paused else "waits"
    return ReleaseDescription(
        release=release,
        state=shown_state(release),
        arms=[_arm(row.arm, row.share, row.counts.answers, row.counts.failed) for row in evidence.arms],
        guardrails=verdicts(release, evidence) if split else [],
        metrics=[metric.sentence or f"{metric.name}: {metric.missing}" for metric in evidence.metrics],
        missing=not_shown(release, evidence, next_share(release)) if split and release.acts_as == "canary" else [],
        next=following,
        steps=registry.release_steps(number_of(release)),
    )


def next_share(release: Release) -> float:
    """The share of units that the next step of a canary gives; 1 after the last."""
    following = min(release.step + 1, len(release.steps) - 1)
    return release.steps[following] / WHOLE if release.steps else 1.0


def _arm(arm: str, share: int, answers: int, failed: Mapping[str, int]) -> dict[str, Any]:
    return {"arm": arm, "share": share / WHOLE, "answers": answers, "failed": dict(failed)}
