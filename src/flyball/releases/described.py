"""Describes a release: its plan, its evidence, what evidence is missing, and its transitions."""

from collections.abc import Mapping
from typing import Any

import msgspec

from flyball.registry import Registry, ReleaseStep
from flyball.releases.canary import GuardrailVerdict, advance, not_shown, verdicts
from flyball.releases.change import number_of
from flyball.releases.commands import find_release
from flyball.releases.controller import ReadMetrics, ReadRewards, no_metrics, no_rewards, read_evidence
from flyball.releases.evidence import ArmReward, Evidence
from flyball.releases.exposure_counts import ExposureCounter
from flyball.releases.release import UNDER_WAY, WHOLE, Release, shown_state
from flyball.releases.shadow_counts import ShadowCounter, ShadowResult
from flyball.releases.shadow_described import ShadowDescription, describe_shadow
from flyball.releases.state import current


class RewardDescription(msgspec.Struct, frozen=True):
    """What an arm of a bandit brought in, where the request's group field has the value `group` ("" for all).

    `share`: of the units, from 0 to 1. `answers`: those with a final label; `effective`: their effective sample size.
    `mean`: of their rewards, each weighted by the inverse of its propensity; None without answers.
    """

    arm: str
    group: str
    share: float
    answers: int
    effective: float
    mean: float | None


class ReleaseDescription(msgspec.Struct, frozen=True):
    """A release for a reader.

    `next`: the next transition. `missing`: sentences on the evidence that is missing before the candidate gets more
    users. `shadow`: how the responses of the shadow differ, None if the release never was a
    shadow. `rewards`: of a bandit, each arm in all and in each group; else empty.
    """

    release: Release
    state: str
    arms: list[dict[str, Any]]
    guardrails: list[GuardrailVerdict]
    metrics: list[str]
    missing: list[str]
    next: str
    steps: list[ReleaseStep]
    shadow: ShadowDescription | None = None
    rewards: list[RewardDescription] = []


def describe_release(
    registry: Registry, release: Release, evidence: Evidence, now_us: int, shadow: ShadowResult | None = None
) -> ReleaseDescription:
    """The description of `release` with `evidence`. `shadow`: the counts of its responses as a shadow."""
    split = release.state in UNDER_WAY
    rewards = _rewards(release, evidence)
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
        metrics=[
            *(metric.sentence or f"{metric.name}: {metric.missing}" for metric in evidence.metrics),
            *(_reward(release, reward) for reward in rewards),
        ],
        missing=not_shown(release, evidence, next_share(release)) if split and _goes_on(release) else [],
        next=following,
        steps=registry.release_steps(number_of(release)),
        shadow=describe_shadow(release, shadow) if shadow is not None and (shadow.sums or shadow.left_out) else None,
        rewards=rewards,
    )


def describe_now(
    registry: Registry,
    release_id: str,
    counter: ExposureCounter,
    shadows: ShadowCounter,
    now_us: int,
    metrics: ReadMetrics = no_metrics,
    rewards: ReadRewards = no_rewards,
) -> ReleaseDescription:
    """The description of a release from its counts, `metrics` and `rewards`; raises `NotFound`."""
    release = find_release(registry, current(registry), release_id)
    evidence = read_evidence(release, now_us, counter, metrics, shadows, rewards)
    return describe_release(registry, release, evidence, now_us, shadows.result(release_id))


def _rewards(release: Release, evidence: Evidence) -> list[RewardDescription]:
    """Every arm of a bandit, in all and in each group that has rewards or a share of its own."""
    if release.kind != "bandit":
        return []
    known = {(reward.group, reward.arm): reward for reward in evidence.rewards}
    groups = sorted({"", *release.weights, *(reward.group for reward in evidence.rewards)})
    return [_rewarded(release, group, arm.name, known) for group in groups for arm in release.arms]


def _rewarded(release: Release, group: str, arm: str, known: Mapping[tuple[str, str], ArmReward]) -> RewardDescription:
    share = (release.weights.get(group) or release.shares()).get(arm, 0.0)
    reward = known.get((group, arm))
    if reward is None:
        return RewardDescription(arm, group, share, 0, 0.0, None)
    return RewardDescription(arm, group, share, reward.answers, reward.effective, reward.mean)


def _reward(release: Release, reward: RewardDescription) -> str:
    """A sentence on the reward and the share of an arm of a bandit."""
    where = f" where {release.group} is {reward.group}" if reward.group else ""
    share = f"share {reward.share:.2%}"
    if reward.mean is None:
        return f"{reward.arm}{where}: no answer with a final label yet, {share}"
    name = next(iter(release.success), "reward")
    return f"{reward.arm}{where}: {name} {reward.mean:.4g} over {reward.answers:,} answers, {share}"


def _goes_on(release: Release) -> bool:
    return release.acts_as in ("canary", "shadow")


def next_share(release: Release) -> float:
    """The share of units at the next step of a canary; 1 after the last step, and for a shadow, to which the whole
    margins apply."""
    if release.acts_as == "shadow":
        return 1.0
    following = min(release.step + 1, len(release.steps) - 1)
    return release.steps[following] / WHOLE if release.steps else 1.0


def _arm(arm: str, share: int, answers: int, failed: Mapping[str, int]) -> dict[str, Any]:
    return {"arm": arm, "share": share / WHOLE, "answers": answers, "failed": dict(failed)}
