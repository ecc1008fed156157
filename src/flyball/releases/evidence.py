"""The evidence for decisions about releases."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from flyball.releases.exposure_counts import AnswerCounts, ArmCounts


class MetricEvidence(msgspec.Struct, frozen=True):
    """What is known of one metric of one arm against control; `arm - control`, so that above 0 is better.

    `role`: "success" must be shown to be not worse than its margin, "harmful" must not be shown to be worse than it.
    `low`, `high`: an interval that holds at every look. `missing`: what must still happen before anything may be
    concluded, "" when nothing. `sentence`: for a reader.
    """

    name: str
    arm: str
    role: Literal["success", "harmful"]
    effect: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")
    missing: str = ""
    sentence: str = ""


class ArmReward(msgspec.Struct, frozen=True):
    """What the answers of one arm brought in, each weighted by the inverse of its propensity.

    `group`: the value of the release's group field, "" for all. `answers`: those with a final label; `effective`: how
    many they are worth once weighted. `mean`, `mean_square`: of the rewards.
    """

    arm: str
    group: str
    answers: int
    effective: float
    mean: float
    mean_square: float


class Evidence(msgspec.Struct, frozen=True):
    """`arms`: the answers that took part, by share and arm; of a shadow, its own answers. `before`: those of the
    champion that a new one is watched against, `since`: those of the new one since. `metrics`: of what followed the
    answers. `blocked`: why no comparison can be believed, such as units that are not split as declared; "" when they
    can. `known_us`: up to when answers are counted. `rewards`: what the arms of a bandit brought in;
    `binary`: whether each reward is 0 or 1."""

    arms: tuple[ArmCounts, ...] = ()
    before: AnswerCounts = msgspec.field(default_factory=AnswerCounts)
    since: AnswerCounts = msgspec.field(default_factory=AnswerCounts)
    metrics: tuple[MetricEvidence, ...] = ()
    blocked: str = ""
    known_us: int = 0
    rewards: tuple[ArmReward, ...] = ()
    binary: bool = True

    @property
    def last_us(self) -> int:
        """When the newest answer was given that took part; 0 when there is none."""
        return max((one_arm.last_us for one_arm in self.arms), default=0)

    def strata(self, arm: str, control: str) -> list[tuple[int, AnswerCounts, AnswerCounts]]:
        """(share of `arm`, its counts, control's) for each share it had; steps of a ramp are never pooled."""
        counts = {(row.arm, row.share): row.counts for row in self.arms}
        shares = sorted(share for name, share in counts if name == arm)
        control_of = {share: next_control(counts, share, control) for share in shares}
        return [(share, counts[arm, share], control_of[share]) for share in shares]


def next_control(counts: Mapping[tuple[str, int], AnswerCounts], share: int, control: str) -> AnswerCounts:
    """Control's counts beside an arm of this share: in a ramp it has the rest."""
    beside = counts.get((control, 10_000 - share))
    if beside is not None:
        return beside
    others = [value for (name, _), value in counts.items() if name == control]
    return others[0] if len(others) == 1 else AnswerCounts()


def shown_counts(counts: AnswerCounts) -> dict[str, Any]:
    """Counts for the registry and for people."""
    return {
        "answers": counts.answers,
        "failed": dict(counts.failed),
        "empty": counts.empty,
        "p99_ms": counts.quantile_us(0.99) / 1_000,
    }
