"""What the arms of a bandit brought in, from the log: each answer once, when its label is final."""

import msgspec

from flyball.experiments import NOTHING, PredictionRows
from flyball.outcomes import prediction_of, records_between
from flyball.policy import metric
from flyball.releases import ArmReward, KnownMetrics, Release
from flyball.runtime import Runtime

SLACK_US = 60_000_000
"""How long after its label is final an answer is read: events that were known by then are joined by then."""


class _Total(msgspec.Struct):
    """Of one arm in one group: answers, and sums of weights, their squares, weighted rewards and their squares."""

    answers: int = 0
    weight: float = 0.0
    squares: float = 0.0
    reward: float = 0.0
    reward_squares: float = 0.0

    def add(self, propensity: float, reward: float) -> None:
        weight = 1.0 / propensity
        self.answers += 1
        self.weight += weight
        self.squares += weight * weight
        self.reward += weight * reward
        self.reward_squares += weight * reward * reward

    def shown(self, arm: str, group: str) -> ArmReward:
        effective = self.weight * self.weight / self.squares
        means = self.reward / self.weight, self.reward_squares / self.weight
        return ArmReward(arm, group, self.answers, effective, *means)


class _Known(msgspec.Struct):
    """What was added up of a release: the answers given before `until_us`."""

    until_us: int
    totals: dict[tuple[str, str], _Total]


class BanditRewards:
    """Reads rewards of bandits, each time from where the last look ended; a clock that was set back adds nothing.

    Called with a release and the time, it gives the rewards of each arm, in all ("") and for each value of the
    release's group field, and whether each is 0 or 1. What was computed is left in `kept` for whoever shows it.
    """

    def __init__(self, runtime: Runtime, kept: KnownMetrics | None = None) -> None:
        self._runtime, self._kept = runtime, kept
        self._known: dict[str, _Known] = {}

    def __call__(self, release: Release, now_us: int) -> tuple[list[ArmReward], bool]:
        about = self._runtime.app.task.about
        reward = metric.label(next(iter(release.success)))
        rows = PredictionRows(self._runtime.predictions, self._runtime.outcomes_path, about, reward)
        until_us = now_us - rows.label.within_us - SLACK_US
        known = self._known.setdefault(release.id, _Known(release.started_us, {}))
        added = until_us > known.until_us and self._read(release, rows, known, until_us)
        rewards = [total.shown(arm, group) for (group, arm), total in sorted(known.totals.items())]
        binary = rows.label.value is None and not about.items
        if added and self._kept is not None:
            self._kept.note_rewards(release, rewards, binary)
        return rewards, binary

    def _read(self, release: Release, rows: PredictionRows, known: _Known, until_us: int) -> bool:
        """Whether any reward was added."""
        added = False
        followed = rows.followed(known.until_us)
        for record in records_between(self._runtime.predictions, known.until_us, until_us):
            prediction = prediction_of(record)
            taken = next((exposure for exposure in prediction.exposures if exposure.release == release.id), None)
            number = rows.number_of(prediction, followed.get(prediction.id, NOTHING))
            if taken is None or number is None:
                continue
            value = str(prediction.request.get(release.group, "") or "") if release.group else ""
            for group in {"", value}:
                known.totals.setdefault((group, taken.arm), _Total()).add(taken.propensity, number)
            added = True
        known.until_us = until_us
        return added
