"""Describes a release: its plan, its evidence, what evidence is missing, and its transitions."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from flyball.core import format_timestamp
from flyball.events import Offsets
from flyball.registry import Registry, ReleaseStep
from flyball.releases.canary import BLOCKED, SILENCE, GuardrailVerdict, advance, not_shown, verdicts
from flyball.releases.change import number_of
from flyball.releases.commands import find_release
from flyball.releases.controller import ReadMetrics, ReadRewards, no_metrics, no_rewards, read_evidence
from flyball.releases.error_budget import shown_metric
from flyball.releases.evidence import ArmReward, Evidence
from flyball.releases.exposure_counts import AnswerCounts, ExposureCounter
from flyball.releases.release import UNDER_WAY, WHOLE, Release, shown_state
from flyball.releases.shadow_counts import ShadowCounter, ShadowResult
from flyball.releases.shadow_described import ShadowDescription, describe_shadow, shadow_progress
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

    `arms`: {arm, share, answers, failed} for each share that an arm had; of a bandit, whose shares change often, for
    each arm with its present share, and all shares in `by_share`. `effects`: what `flyball experiments show --json`
    says of the metrics, or why there is nothing as "missing"; empty where it was not computed or nothing is compared.
    `shadow_progress`: how far a shadow is with the served answers.
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
    by_share: list[dict[str, Any]] = []
    shadow_progress: str = ""
    effects: dict[str, Any] = {}


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
        following = waits_for(release, not_shown(release, evidence, next_share(release)) if _goes_on(release) else [])
    elif release.state == "champion" and release.over and now_us < release.watch_until_us:
        following = (
            f"nothing, unless it is shown to be worse than {release.over} was: then it is rolled back by itself, until "
            f"{_time(release.watch_until_us)}"
        )
    by_share = [_arm(row.arm, row.share / WHOLE, row.counts) for row in evidence.arms]
    return ReleaseDescription(
        release=release,
        state=shown_state(release),
        arms=_arms(release, evidence) if release.kind == "bandit" else by_share,
        by_share=by_share if release.kind == "bandit" else [],
        guardrails=verdicts(release, evidence) if split else [],
        metrics=[
            *(shown_metric(release, metric) for metric in evidence.metrics),
            *(_reward(release, reward) for reward in rewards),
        ],
        missing=not_shown(release, evidence, next_share(release)) if split and _goes_on(release) else [],
        next=following,
        steps=registry.release_steps(number_of(release)),
        shadow=describe_shadow(release, shadow) if shadow is not None and (shadow.sums or shadow.left_out) else None,
        rewards=rewards,
    )


def waits_for(release: Release, missing: Sequence[str]) -> str:
    """A sentence on what a release under way waits for: a time, the `missing` evidence, or a person.

    `missing`: as from `not_shown`, empty for a release that only a person ends.
    """
    if release.state == "held":
        return _HELD.get("" if release.paused else release.held_for, _FOR_A_PERSON)
    kind, constants = release.acts_as, release.constants
    patience_us = int(constants.get("patience_us", 0))
    deadline = f"held at {_time(release.since_us + patience_us)}" if patience_us else ""
    if kind == "bandit":
        return f"waits for rewards: new shares not before {_time(release.since_us + int(constants['step_time_us']))}"
    if not (kind == "canary" or (kind == "shadow" and release.shadow_first)):
        until = f"; when its planned time is over it is {deadline}" if deadline else ""
        command = "advance or abort" if kind == "shadow" else "promote or finish"
        return f"waits for a person: flyball releases {command}{until}; a guardrail that is shown to break aborts it"
    share = next_share(release) if kind == "canary" else release.steps[0] / WHOLE
    least_us = int(constants["step_time_us" if kind == "canary" else "shadow_us"])
    proof = f", and for what must be shown ({len(missing)} not shown yet)" if missing else ""
    without = f"; without it, {deadline}" if missing and deadline else ""
    least = _time(release.since_us + least_us)
    return f"waits to go on to {100 * share:g} %: until {least} at least{proof}{without}"


_FOR_A_PERSON = "waits for a person: flyball releases resume, promote or abort"
_HELD = {
    SILENCE: "waits for answers that take part: goes on by itself when there are any",
    BLOCKED: "waits until the arms can be compared: goes on by itself then",
}


def _time(us: int) -> str:
    return format_timestamp(us // 1_000_000 * 1_000_000)


def describe_now(
    registry: Registry,
    release_id: str,
    counter: ExposureCounter,
    shadows: ShadowCounter,
    now_us: int,
    metrics: ReadMetrics = no_metrics,
    rewards: ReadRewards = no_rewards,
    ends: Offsets = (),
) -> ReleaseDescription:
    """The description of a release from its counts, `metrics` and `rewards`; raises `NotFound`.

    `ends`: of the stream of predictions, which a shadow follows.
    """
    release = find_release(registry, current(registry), release_id)
    evidence = read_evidence(release, now_us, counter, metrics, shadows, rewards)
    result = shadows.result(release_id)
    described = describe_release(registry, release, evidence, now_us, result)
    progress = shadow_progress(release, result, shadows.offsets(release_id), ends)
    return msgspec.structs.replace(described, shadow_progress=progress)


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


def _arms(release: Release, evidence: Evidence) -> list[dict[str, Any]]:
    """Each arm with its present share and its answers at all shares."""
    counts: dict[str, AnswerCounts] = {arm.name: AnswerCounts() for arm in release.arms}
    for row in evidence.arms:
        counts.setdefault(row.arm, AnswerCounts()).add(row.counts)
    total = sum(arm.weight for arm in release.arms)
    shares = {arm.name: arm.weight / total for arm in release.arms}
    return [_arm(name, shares.get(name, 0.0), count) for name, count in counts.items()]


def _arm(arm: str, share: float, counts: AnswerCounts) -> dict[str, Any]:
    return {"arm": arm, "share": share, "answers": counts.answers, "failed": dict(counts.failed)}
