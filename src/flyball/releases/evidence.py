"""The evidence for decisions about releases."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from flyball.releases.exposure_counts import AnswerCounts, ArmCounts


class MetricEvidence(msgspec.Struct, frozen=True):
    """The evidence on one metric of one arm against control, signed so that above 0 is better for the arm.

    `role`: "success" must be shown to be not worse than its margin; "harmful" aborts the release if it is shown to be
    worse than its margin. `low`, `high`: an interval that is valid at every look. `abort_high`: its upper end at the
    error that the release allows to one comparison that may abort it; None for `high`. `missing`: what must happen
    before a conclusion, else "". `sentence`: the evidence as text.
    """

    name: str
    arm: str
    role: Literal["success", "harmful"]
    effect: float = 0.0
    low: float = float("-inf")
    high: float = float("inf")
    missing: str = ""
    sentence: str = ""
    abort_high: float | None = None

    @property
    def aborts_from(self) -> float:
        """The end of the interval that must be below minus the margin for an abort."""
        return self.high if self.abort_high is None else self.abort_high


class ArmReward(msgspec.Struct, frozen=True):
    """The rewards of the responses of one arm, each weighted by the inverse of its propensity.

    `group`: the value of the release's group field, "" for all. `answers`: the number of responses with a final label;
    `effective`: the effective sample size after weighting. `mean`, `mean_square`: of the rewards.
    """

    arm: str
    group: str
    answers: int
    effective: float
    mean: float
    mean_square: float


class Evidence(msgspec.Struct, frozen=True):
    """The evidence on a release.

    `arms`: counts of the responses that took part, by share and arm; for a shadow, of its own responses. `before`,
    `since`: while a new champion is watched, counts of the previous champion and of the new one. `metrics`: metrics of
    outcomes. `blocked`: why comparisons are not valid, for example because units are not split as declared, else "".
    `known_us`: the time up to which responses are counted. `rewards`: rewards of the arms of a bandit; `binary`:
    whether each is 0 or 1.
    """

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
        """The time of the newest response that took part; 0 if there is none."""
        return max((one_arm.last_us for one_arm in self.arms), default=0)

    def strata(self, arm: str, control: str) -> list[tuple[int, AnswerCounts, AnswerCounts]]:
        """(share of `arm`, its counts, counts of control) for each share it had; steps of a ramp are not pooled."""
        counts = {(row.arm, row.share): row.counts for row in self.arms}
        shares = sorted(share for name, share in counts if name == arm)
        control_of = {share: next_control(counts, share, control) for share in shares}
        return [(share, counts[arm, share], control_of[share]) for share in shares]


def next_control(counts: Mapping[tuple[str, int], AnswerCounts], share: int, control: str) -> AnswerCounts:
    """The counts of control while an arm had this share; in a ramp, control has the other units."""
    beside = counts.get((control, 10_000 - share))
    if beside is not None:
        return beside
    others = [value for (name, _), value in counts.items() if name == control]
    return others[0] if len(others) == 1 else AnswerCounts()


def shown_counts(counts: AnswerCounts) -> dict[str, Any]:
    """Counts as plain values, for the registry and for readers."""
    return {
        "answers": counts.answers,
        "failed": dict(counts.failed),
        "empty": counts.empty,
        "p99_ms": counts.quantile_us(0.99) / 1_000,
    }
