"""The release controller: checks every running release and lets it advance, hold or stop."""

from collections.abc import Callable, Sequence
from typing import Any

from flyball.core import Refused
from flyball.registry import Registry
from flyball.releases.canary import ReleaseDecision, advance
from flyball.releases.change import Change
from flyball.releases.commands import Actor, change_release, redate_releases, renew_holdout
from flyball.releases.evidence import ArmReward, Evidence, MetricEvidence
from flyball.releases.exposure_counts import AnswerCounts, ExposureCounter
from flyball.releases.release import OVER, SET_BACK_US, Release
from flyball.releases.shadow_counts import ShadowCounter
from flyball.releases.state import current

ReadRewards = Callable[[Release, int], tuple[Sequence[ArmReward], bool]]
"""A function (release, now) -> (rewards of the arms of a bandit, whether each reward is 0 or 1)."""
ReadMetrics = Callable[[Release, int], tuple[Sequence[MetricEvidence], str]]
"""A function (release, now) -> (evidence of metrics, the reason why no comparison is valid or "")."""
DAY_US = 86_400_000_000


def no_rewards(release: Release, now_us: int) -> tuple[Sequence[ArmReward], bool]:
    """A `ReadRewards` without rewards: shares stay as they are."""
    return (), True


def no_metrics(release: Release, now_us: int) -> tuple[Sequence[MetricEvidence], str]:
    """A `ReadMetrics` without metrics: a release with a success metric then never advances automatically."""
    return (), ""


def read_evidence(
    release: Release,
    now_us: int,
    counter: ExposureCounter,
    metrics: ReadMetrics = no_metrics,
    shadows: ShadowCounter | None = None,
    rewards: ReadRewards = no_rewards,
) -> Evidence:
    """The evidence on a release at `now_us`; without `shadows`, none on a shadow."""
    until_us = now_us + SET_BACK_US
    if release.acts_as == "shadow":
        return Evidence(() if shadows is None else shadows.result(release.id).arms(until_us))
    measured, blocked = metrics(release, now_us)
    arms = tuple(counter.by_arm(release.id, until_us))
    before = since = AnswerCounts()
    if release.state == "champion" and release.over:
        began_us = min(release.started_us, release.since_us) - DAY_US
        before = _before(release, began_us, release.since_us, counter)
        since = counter.of_version(release.candidate, release.since_us, now_us + 1)
    elif release.acts_as == "interleave":
        before = _before(release, release.started_us - DAY_US, release.started_us, counter)
        for row in arms:
            since.add(row.counts)
    earned, binary = rewards(release, now_us) if release.acts_as == "bandit" else no_rewards(release, now_us)
    return Evidence(arms, before, since, tuple(measured), blocked, rewards=tuple(earned), binary=binary)


def _before(release: Release, from_us: int, until_us: int, counter: ExposureCounter) -> AnswerCounts:
    """The answers of the champion before, also those from before the clock was set back."""
    counts = counter.of_version(release.over, from_us, until_us)
    if release.set_back_us:
        counts.add(counter.of_version(release.over, from_us + release.set_back_us, until_us + release.set_back_us))
    return counts


class Controller:
    """Decides about releases when `step` is called; its only state is in the stores.

    The evidence comes from `counter` and `metrics`, for shadows from `shadows`, for bandits from `rewards`.
    `actor(now_us, reason)` returns who makes a change, and with which checks.
    """

    def __init__(
        self,
        registry: Registry,
        counter: ExposureCounter,
        actor: Callable[[int, str], Actor],
        metrics: ReadMetrics = no_metrics,
        shadows: ShadowCounter | None = None,
        rewards: ReadRewards = no_rewards,
    ) -> None:
        self._registry, self._counter, self._actor, self._metrics = registry, counter, actor, metrics
        self._shadows, self._rewards = shadows, rewards

    def step(self, now_us: int) -> list[Change]:
        """Make the changes that are due and return them. After a conflict, the next step tries again."""
        changes: list[Change | None] = [
            self._unless_refused(redate_releases, now_us, "the clock was set back"),
            self._unless_refused(renew_holdout, now_us, "its time is over"),
        ]
        for release_id in [release.id for release in current(self._registry).releases]:
            state = current(self._registry)  # the previous release may have changed it
            release = next((release for release in state.releases if release.id == release_id), None)
            if (
                release is None
                or release.state in OVER
                or (release.state == "champion" and not _watched(release, now_us))
            ):
                continue
            evidence = self.evidence(release, now_us)
            decision = advance(release, evidence, now_us)
            if decision is None:
                continue
            try:
                changes.append(self._carried_out(release, decision, state.serial, evidence, now_us))
            except Refused as error:
                if current(self._registry).serial == state.serial:
                    changes.append(self._refused(release, decision, error, now_us))
        return [change for change in changes if change is not None]

    def _unless_refused(
        self, change_all: Callable[[Registry, Actor], Change], now_us: int, reason: str
    ) -> Change | None:
        try:
            change = change_all(self._registry, self._actor(now_us, reason))
        except Refused:  # a concurrent change: the next step tries again
            return None
        return change if change.changed else None

    def evidence(self, release: Release, now_us: int) -> Evidence:
        """The evidence on a release at `now_us`."""
        return read_evidence(release, now_us, self._counter, self._metrics, self._shadows, self._rewards)

    def _carried_out(
        self, release: Release, decision: ReleaseDecision, serial: int, evidence: Evidence, now_us: int
    ) -> Change:
        changes: dict[str, Any] = dict(decision.changes)
        if decision.held_for:
            changes |= {"held_for": decision.held_for, "held_us": max(evidence.last_us, now_us)}
        return change_release(
            self._registry,
            release.id,
            decision.command,
            self._actor(now_us, decision.reason),
            serial=serial,
            step=decision.step,
            evidence=decision.evidence,
            **changes,
        )

    def _refused(self, release: Release, decision: ReleaseDecision, error: Refused, now_us: int) -> Change | None:
        """Hold the release for a person, because its command failed, for example for missing files of the version."""
        reason = f"{decision.command} was due ({decision.reason}) but refused: {error}"
        if release.state in ("held", "champion"):
            return None
        return change_release(self._registry, release.id, "hold", self._actor(now_us, reason), held_for="refused")


def _watched(release: Release, now_us: int) -> bool:
    return bool(release.over) and now_us < release.watch_until_us
