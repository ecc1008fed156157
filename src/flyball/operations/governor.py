"""The governor: decides when to learn, starts learning and waits for its end."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from flyball.core import Elapsed, Stopwatch
from flyball.learning import (
    LONGEST_PATIENCE,
    LearningCause,
    LearningEvidence,
    blocked_by,
    evidence_causes,
    kept_back,
)
from flyball.policy import Cron, Every, Trigger, trigger_text

MINUTE_US = 60_000_000
NO_EVIDENCE = LearningEvidence()


class LearningJob(Protocol):
    """A run of learning under way."""

    def poll(self) -> str | None:
        """None while it runs, then its result in one line."""
        ...


class LearningState(Protocol):
    """What the governor's decisions depend on."""

    def champion(self) -> str | None:
        """The version that serves."""
        ...

    def last_attempt_us(self) -> int | None:
        """When learning last began."""
        ...

    def events(self) -> int:
        """The number of events in the log."""
        ...

    def evidence(self, now_us: int) -> LearningEvidence:
        """What is known about the champion; called at every tick, so it returns what was measured last."""
        ...


class CaseBook(Protocol):
    """Where causes are noted, see `CaseLog`."""

    def waiting(self) -> Mapping[str, str]: ...

    def refuse(self, cause: LearningCause, reason: str, now_us: int) -> None: ...

    def withdraw(self, fingerprint: str, now_us: int) -> None: ...

    def begin(self, causes: Sequence[LearningCause], now_us: int) -> tuple[str, ...]: ...

    def end(self, case_ids: Sequence[str], outcome: str, now_us: int) -> None: ...


class GovernorDecision(msgspec.Struct, frozen=True):
    """The result of a tick. `next_us`: when learning is next due by schedule, None for never."""

    kind: Literal["waiting", "started", "running", "finished"]
    words: str
    next_us: int | None = None


class Governor:
    """Starts learning when a trigger is due, and for the first time when there are `first_events` and no champion.

    Without a champion it tries again when the log has grown by half, at most once a minute. `start(now_us, case_ids)`
    begins a run: a subprocess in live use, in virtual time a job that has already ended. One run at a time: causes that
    may not start one are noted in `cases` with the reason, and start it later if they still hold. The minute is
    measured by `stopwatch`, see `Elapsed`; the schedule follows the wall clock. After the wall clock was set back, an
    attempt in its future counts as made at the time when this was noticed.
    """

    def __init__(
        self,
        triggers: Sequence[Trigger],
        view: LearningState,
        start: Callable[[int, tuple[str, ...]], LearningJob],
        first_events: int = 1_000,
        stopwatch: Stopwatch | None = None,
        cases: CaseBook | None = None,
    ) -> None:
        self._triggers, self._view, self._start = tuple(triggers), view, start
        self._watches = any(not isinstance(trigger, Every | Cron) for trigger in self._triggers)
        self._first_events, self._cases = first_events, cases
        self._job: LearningJob | None = None
        self._case_ids: tuple[str, ...] = ()
        self._started_for: set[str] = set()
        self._runs_for = Counter[str]()
        self._refused = dict(cases.waiting()) if cases is not None else {}
        self._tried_events = 0
        self._tried_us: int | None = None
        self._tried_passed_us: int | None = None
        self._elapsed = Elapsed(stopwatch)
        self._to_come: tuple[int, int] | None = None

    @property
    def job(self) -> LearningJob | None:
        return self._job

    def tick(self, now_us: int) -> GovernorDecision:
        """Poll the running job, or start one when it is due."""
        passed_us = self._elapsed.us(now_us)
        evidence = self._view.evidence(now_us) if self._watches else NO_EVIDENCE
        if self._job is not None:
            outcome = self._job.poll()
            if outcome is None:
                self._allowed(evidence, now_us)
                return GovernorDecision("running", "learning", None)
            self._finish(outcome, now_us)
            return GovernorDecision("finished", outcome, self.next_us(now_us))
        due_us = self.next_us(now_us)
        causes = [*self._scheduled(now_us, passed_us, due_us), *self._allowed(evidence, now_us)]
        if not causes:
            return GovernorDecision("waiting", "", due_us)
        self._tried_us, self._tried_passed_us, self._tried_events = now_us, passed_us, self._view.events()
        self._begin(causes, now_us)
        return GovernorDecision("started", causes[0].message, None)

    def next_us(self, now_us: int) -> int | None:
        """When the earliest schedule is due; None when there is none or before the first events."""
        last = self._last_us(now_us)
        return next_learn_us(self._triggers, last) if last is not None else None

    def _begin(self, causes: Sequence[LearningCause], now_us: int) -> None:
        self._started_for = {cause.fingerprint for cause in causes if cause.fingerprint}
        self._runs_for.update(self._started_for)
        for fingerprint in self._started_for:
            self._refused.pop(fingerprint, None)
        if self._cases is not None:
            self._case_ids = self._cases.begin(causes, now_us)
        self._job = self._start(now_us, self._case_ids)

    def _finish(self, outcome: str, now_us: int) -> None:
        self._job = None
        self._started_for = set()
        if self._cases is not None:
            self._cases.end(self._case_ids, outcome, now_us)
        self._case_ids = ()

    def _allowed(self, evidence: LearningEvidence, now_us: int) -> list[LearningCause]:
        """The causes that the evidence gives and that may start a run; the others are noted with the reason."""
        allowed, seen = list[LearningCause](), set[str]()
        for cause in evidence_causes(self._triggers, evidence):
            seen.add(cause.fingerprint)
            if cause.fingerprint in self._started_for:
                continue
            patient = msgspec.structs.replace(cause, cooldown_us=cause.cooldown_us * self._patience(cause))
            reason = kept_back(cause, evidence, now_us) or blocked_by(
                patient, evidence, self._last_us(now_us), now_us, self._job is not None
            )
            if not reason:
                allowed.append(cause)
            elif self._refused.get(cause.fingerprint) != reason:
                self._refused[cause.fingerprint] = reason
                if self._cases is not None:
                    self._cases.refuse(cause, reason, now_us)
        if self._watches and evidence.champion:
            self._withdraw(set(self._refused) - seen, now_us)
        return allowed

    def _patience(self, cause: LearningCause) -> int:
        """By how much its cooldown is longer: twice as long after each further run that left the champion, which the
        fingerprint names, where it was."""
        return min(1 << max(0, self._runs_for[cause.fingerprint] - 1), LONGEST_PATIENCE)

    def _withdraw(self, fingerprints: set[str], now_us: int) -> None:
        for fingerprint in sorted(fingerprints):
            del self._refused[fingerprint]
            if self._cases is not None:
                self._cases.withdraw(fingerprint, now_us)

    def _scheduled(self, now_us: int, passed_us: int, due_us: int | None) -> list[LearningCause]:
        if self._view.champion() is None:
            reason = self._first_reason(passed_us)
            return [] if reason is None else [LearningCause("first", "first", reason)]
        if due_us is None or now_us < due_us:
            return []
        last = self._last_us(now_us)
        due = [
            trigger
            for trigger in self._triggers
            if isinstance(trigger, Every | Cron) and last is not None and trigger.next_us(last) == due_us
        ]
        return [LearningCause(trigger_text(trigger), "schedule", "scheduled", {"due_us": due_us}) for trigger in due]

    def _first_reason(self, passed_us: int) -> str | None:
        if self._tried_passed_us is not None and passed_us < self._tried_passed_us + MINUTE_US:
            return None
        events = self._view.events()
        needed_events = max(self._first_events, self._tried_events + self._tried_events // 2)
        return f"no champion yet, {events:,} events" if events >= needed_events else None

    def _last_us(self, now_us: int) -> int | None:
        known = [at for at in (self._view.last_attempt_us(), self._tried_us) if at is not None]
        last = max(known, default=None)
        if last is None or last <= now_us:
            self._to_come = None
            return last
        if self._to_come is None or self._to_come[0] != last or self._to_come[1] > now_us:
            self._to_come = last, now_us
        return self._to_come[1]


def next_learn_us(triggers: Sequence[Trigger], last_us: int) -> int | None:
    """When learning is next due by schedule after an attempt at `last_us`; None without a schedule."""
    due = [trigger.next_us(last_us) for trigger in triggers if isinstance(trigger, Every | Cron)]
    return min((due_us for due_us in due if due_us is not None), default=None)
