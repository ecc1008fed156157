"""The governor: decides when to learn, starts learning and waits for its end."""

from collections.abc import Callable, Sequence
from typing import Literal, Protocol

import msgspec

from flyball.core import Elapsed, Stopwatch
from flyball.policy import Trigger

MINUTE_US = 60_000_000


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


class GovernorDecision(msgspec.Struct, frozen=True):
    """The result of a tick. `next_us`: when learning is next due by schedule, None for never."""

    kind: Literal["waiting", "started", "running", "finished"]
    words: str
    next_us: int | None = None


class Governor:
    """Starts learning when a trigger is due, and for the first time when there are `first_events` and no champion.

    Without a champion it tries again when the log has grown by half, at most once a minute. `start(now_us)` begins a
    run: a subprocess in live use, in virtual time a job that has already ended. The minute is measured by `stopwatch`,
    see `Elapsed`; the schedule follows the wall clock. After the wall clock was set back, an attempt in its future
    counts as made at the time when this was noticed.
    """

    def __init__(
        self,
        triggers: Sequence[Trigger],
        view: LearningState,
        start: Callable[[int], LearningJob],
        first_events: int = 1_000,
        stopwatch: Stopwatch | None = None,
    ) -> None:
        self._triggers, self._view, self._start = tuple(triggers), view, start
        self._first_events = first_events
        self._job: LearningJob | None = None
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
        if self._job is not None:
            outcome = self._job.poll()
            if outcome is None:
                return GovernorDecision("running", "learning", None)
            self._job = None
            return GovernorDecision("finished", outcome, self.next_us(now_us))
        due_us = self.next_us(now_us)
        reason = self._reason(now_us, passed_us, due_us)
        if reason is None:
            return GovernorDecision("waiting", "", due_us)
        self._tried_us, self._tried_passed_us, self._tried_events = now_us, passed_us, self._view.events()
        self._job = self._start(now_us)
        return GovernorDecision("started", reason, None)

    def next_us(self, now_us: int) -> int | None:
        """When the earliest schedule is due; None when there is none or before the first events."""
        last = self._last_us(now_us)
        return next_learn_us(self._triggers, last) if last is not None else None

    def _reason(self, now_us: int, passed_us: int, due_us: int | None) -> str | None:
        if self._view.champion() is None:
            return self._first_reason(passed_us)
        return "scheduled" if due_us is not None and now_us >= due_us else None

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
    """When learning is next due after an attempt at `last_us`; None without a schedule."""
    due = [trigger.next_us(last_us) for trigger in triggers]
    return min((due_us for due_us in due if due_us is not None), default=None)
