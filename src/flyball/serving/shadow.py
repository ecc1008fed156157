"""A shadow: the candidate answers requests that users have had their answer to, beside them and unseen.

It follows the stream of predictions a moment later, in a process of its own: nothing of it lies on the path of a
request. A budget bounds the time that it takes, a bound the requests that wait for it; what does not fit is left out
and counted, and while served answers wait nothing is taken up. What comes of a step is stored with its offsets.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from flyball.core import Clock, Refused, Stopwatch
from flyball.events import Offsets
from flyball.outcomes import Prediction, prediction_of, request_of_prediction, response_of
from flyball.releases import (
    BUCKETS,
    CANDIDATE,
    CONTROL,
    CONTROL_SHARE,
    Release,
    ReleaseState,
    ShadowBatch,
    ShadowSums,
    agreement,
    bucket_of,
    slices_of,
    versions_in_shadow,
)
from flyball.runtime import Runtime
from flyball.serving.metrics import ServingMetrics
from flyball.serving.versions.refresher import Refresher
from flyball.tasks import FALLBACK_LEVELS, Response

BATCH, BATCH_S = 32, 0.5
"""How many requests one step takes up, and for how long."""
BEHIND, BEHIND_REASON = 1_000, "too many waited"
"""Requests that may wait for one shadow; older ones are left out."""
HELD_S, LOADING_S = 10.0, 300.0
"""How long one answer, or loading, may hold the process before it is ended."""
CRASH = "crash"
"""Why there is no answer: the process ended over it, by itself or because it was held for `HELD_S`."""


class ShadowGuard(Protocol):
    """Remembers beyond the end of the process what it was doing."""

    def unfinished(self) -> str:
        """What the process before this one was doing when it ended, "" for nothing."""
        ...

    def begin(self, work: str, within_s: float) -> None:
        """`work` begins; the process ends when it takes longer."""
        ...

    def end(self) -> None:
        """What began is over."""
        ...


class NoGuard:
    """For steps in a process that does other things, too: a version that ends it ends them all."""

    def unfinished(self) -> str:
        return ""

    def begin(self, work: str, within_s: float) -> None: ...

    def end(self) -> None: ...


class ShadowStep(msgspec.Struct, frozen=True):
    """What one step did: requests `looked` at and `answered`; `rest_s`: how long to wait before the next one, so that
    the budget is kept."""

    looked: int = 0
    answered: int = 0
    rest_s: float = 0.0


class ShadowRunner:
    """Answers for the shadows under release, a step at a time.

    `pressed`: whether served answers wait at this moment. `behind`: see `BEHIND`.
    """

    def __init__(
        self,
        runtime: Runtime,
        clock: Clock,
        stopwatch: Stopwatch,
        guard: ShadowGuard | None = None,
        pressed: Callable[[], bool] = lambda: False,
        behind: int = BEHIND,
    ) -> None:
        self._runtime, self._stopwatch, self._pressed, self._behind = runtime, stopwatch, pressed, behind
        self._guard: ShadowGuard = guard or NoGuard()
        metrics = ServingMetrics(runtime.counters_folder / "shadow", "shadow", stopwatch)  # not those of served answers
        self._refresher = Refresher(runtime, metrics, clock, self._versions)
        self._unloadable: tuple[str, ...] = ()
        self._crashed_on, self._one_by_one = "", 0
        work, _, subject = self._guard.unfinished().partition(" ")
        if work == "load":
            self._unloadable = tuple(subject.split(","))
        elif work == "answer":
            self._crashed_on, self._one_by_one = subject, BATCH
        self._guard.end()

    def step(self) -> ShadowStep:
        """Look at what was answered since the last step, for each shadow under release."""
        began_s = self._stopwatch.read_s()
        self._refresher.step()
        self._guard.end()
        state = self._refresher.engine.serving.release
        shadows = [release for release in state.under_way if release.acts_as == "shadow"]
        looked = answered = 0
        for release in shadows:
            seen, compared = self._follow(release, state.champion or "")
            looked, answered = looked + seen, answered + compared
        took_s = self._stopwatch.read_s() - began_s
        budget = min((release.constants["shadow_budget"] for release in shadows), default=1.0)
        return ShadowStep(looked, answered, took_s * (1.0 / budget - 1.0))

    def _versions(self, state: ReleaseState) -> list[str]:
        """The versions to load. One that ended the process while it was loaded is not loaded again."""
        versions = [name for name in versions_in_shadow(state) if name not in self._unloadable]
        loaded = self._refresher.engine.serving.pipelines
        if loading := [name for name in versions if name not in loaded and name != state.champion]:
            self._guard.begin(f"load {','.join(loading)}", LOADING_S)
        return versions

    def _follow(self, release: Release, champion: str) -> tuple[int, int]:
        """One step of one shadow: read, answer, compare, store; how many requests were looked at and answered."""
        log, counter = self._runtime.predictions, self._runtime.shadow_counter
        ends, known = log.ends(), counter.offsets(release.id)
        if not known:  # it begins now
            counter.add(ShadowBatch(release.id), ends)
            return 0, 0
        batch = ShadowBatch(release.id)
        offsets = self._caught_up([known.get(partition, end) for partition, end in enumerate(ends)], ends, batch)
        began_s, looked, answered = self._stopwatch.read_s(), 0, 0
        for piece in log.read(tuple(offsets), 1 if self._one_by_one else BATCH):
            for offset, record in enumerate(piece.records, piece.first):
                if self._stopwatch.read_s() - began_s > BATCH_S:
                    break
                answered += self._take(release, champion, prediction_of(record), batch)
                offsets[piece.partition] = offset + 1
                looked += 1
            else:
                offsets[piece.partition] = piece.end
        if tuple(offsets) != tuple(known.get(partition) for partition in range(len(ends))):
            counter.add(batch, tuple(offsets))
        self._one_by_one = max(self._one_by_one - looked, 0)
        return looked, answered

    def _caught_up(self, offsets: list[int], ends: Offsets, batch: ShadowBatch) -> list[int]:
        """The offsets to go on from: what waits beyond the bound is left out, the oldest of each partition first."""
        waiting = sum(ends) - sum(offsets)
        if waiting <= self._behind:
            return offsets
        share = self._behind / waiting
        kept = [end - int((end - offset) * share) for offset, end in zip(offsets, ends, strict=True)]
        batch.leave_out(BEHIND_REASON, sum(kept) - sum(offsets))
        return kept

    def _take(self, release: Release, champion: str, prediction: Prediction, batch: ShadowBatch) -> bool:
        """Whether the request of `prediction` was answered for the shadow."""
        if prediction.at_us < release.started_us or not _takes_part(release, prediction):
            return False
        if prediction.version != champion or prediction.level in FALLBACK_LEVELS:
            batch.leave_out("not answered by the champion")
            return False
        if self._pressed():
            batch.leave_out("served answers waited")
            return False
        arm = CONTROL if bucket_of(prediction.id, f"{release.salt} arm") < CONTROL_SHARE else CANDIDATE
        version = champion if arm == CONTROL else release.candidate
        try:
            response, offsets, took_s = self._answer(prediction, version)
        except Refused:
            batch.leave_out("the request cannot be read any more")
            return False
        self._count(
            prediction,
            batch.of(arm, slices_of(release, prediction.request), prediction.at_us),
            response,
            offsets,
            took_s,
        )
        return True

    def _answer(self, prediction: Prediction, version: str) -> tuple[Response | str, Offsets, float]:
        """(what `version` responds to the request of `prediction` or why it does not, from which offsets, seconds)."""
        request = request_of_prediction(prediction, self._runtime.app.task.about.request)
        if prediction.id == self._crashed_on:
            return CRASH, (), 0.0
        self._guard.begin(f"answer {prediction.id}", HELD_S)
        began_s = self._stopwatch.read_s()
        (response,), offsets = self._refresher.engine.ask(version, [request])
        took_s = self._stopwatch.read_s() - began_s
        self._guard.end()
        return response, offsets, took_s

    def _count(
        self,
        prediction: Prediction,
        sums: list[ShadowSums],
        response: Response | str,
        offsets: Offsets,
        took_s: float,
    ) -> None:
        about = self._runtime.app.task.about
        failed = response if isinstance(response, str) else "late" if took_s * 1e6 > about.deadline_us else ""
        answer = Response() if isinstance(response, str) else response
        measured = {} if isinstance(response, str) else agreement(response_of(prediction), answer, about.values)
        newer = any(after > before for after, before in zip(offsets, prediction.offsets, strict=False))
        for counted in sums:
            counted.answers.count(
                failed, not failed and not (answer.items or answer.values or answer.decision), took_s * 1e6
            )
            counted.note(measured, newer)


def _takes_part(release: Release, prediction: Prediction) -> bool:
    """Whether the request is among those that the release is about, and drawn for the sample."""
    targeted = all(str(prediction.request.get(name, "")) in values for name, values in release.targets.items())
    return targeted and bucket_of(prediction.id, f"{release.salt} sample") < release.sampled * BUCKETS
