"""Backpressure: a bulk load waits while live events are behind."""

import threading
from collections.abc import Callable

from flyball.core import Stopwatch, SystemStopwatch
from flyball.events import WorkerReport, consumer_troubles
from flyball.home import HomeLayout
from flyball.limits import LateAnswers
from flyball.operations.process_specs import read_report, running
from flyball.runtime import STATE_CONSUMER, Runtime

NEAR = 4_000
"""The most events that the online state may be behind before a load waits; with 16,384 more, under a second's work."""

STUCK_S = 5.0
RECENT_S, GIVE_WAY_S = 0.25, 2.0
"""A load waits while answers were late in the last `RECENT_S`, for `GIVE_WAY_S` at most between two appends."""
_ERASURES_S = 1.0
_LOOK_S = 0.02
_SAY_S = 1.0


def backpressure(
    runtime: Runtime,
    near: int = NEAR,
    wait: Callable[[float], object] | None = None,
    stopwatch: Stopwatch | None = None,
    say: Callable[[str], object] | None = None,
) -> Callable[[], None]:
    """A function to call between two appends of a bulk load: it waits until the online state is at most `near` events
    behind, and while answers are late, as the serving processes of this machine say.

    It does not wait when no instance runs on the home, nor for a state that has made no progress for five seconds: then
    `say` is called once with the reason, as it is when a wait takes longer than a second. `wait` is called with
    seconds.
    """
    pause, watch = wait or threading.Event().wait, stopwatch or SystemStopwatch()
    return _Backpressure(runtime, near, pause, watch, say or (lambda text: None)).hold


def between_appends(
    runtime: Runtime, say: Callable[[str], object], stopwatch: Stopwatch | None = None
) -> Callable[[], None]:
    """A function to call between two appends of a load: it waits as that of `backpressure` does, and sees once a second
    whom another machine has erased."""
    watch = stopwatch or SystemStopwatch()
    hold, looked_s = backpressure(runtime, stopwatch=watch, say=say), float("-inf")
    if not runtime.shares_registry:
        return hold

    def between() -> None:
        nonlocal looked_s
        hold()
        if watch.read_s() - looked_s >= _ERASURES_S:
            runtime.learn_erasures()
            looked_s = watch.read_s()

    between()
    return between


class _Backpressure:
    def __init__(
        self,
        runtime: Runtime,
        near: int,
        pause: Callable[[float], object],
        watch: Stopwatch,
        say: Callable[[str], object],
    ) -> None:
        self._runtime, self._near, self._pause, self._watch, self._say = runtime, near, pause, watch, say
        self._stuck_at: int | None = None
        self._said = self._said_late = False
        self._late = LateAnswers(HomeLayout(runtime.home).late_answers)

    def hold(self) -> None:
        """Wait until more may be loaded."""
        if running(self._runtime) is None:
            return
        self._give_way()
        began_s, applied, moved_s = self._watch.read_s(), -1, 0.0
        while True:
            now_s, before, applied = self._watch.read_s(), applied, sum(self._runtime.state.offsets())
            if applied == self._stuck_at:
                return
            self._stuck_at = None
            moved_s = now_s if applied != before else moved_s
            behind = sum(self._runtime.log.ends()) - applied
            if behind <= self._near:
                return
            if now_s - moved_s > STUCK_S:
                self._stuck_at = applied
                self._say(f"loading without waiting for the online state, {behind:,} events behind: {self._reason()}")
                return
            if now_s - began_s > _SAY_S and not self._said:
                self._said = True
                self._say(f"waiting for the online state, {behind:,} events behind, so that live events stay fresh")
            self._pause(_LOOK_S)

    def _give_way(self) -> None:
        """Wait while answers are late: a load takes the time that they need."""
        began_s = now_s = self._watch.read_s()
        while now_s - began_s < GIVE_WAY_S and self._late.were_within(RECENT_S, now_s):
            if not self._said_late:
                self._said_late = True
                self._say("loading more slowly while answers are late")
            self._pause(_LOOK_S)
            now_s = self._watch.read_s()

    def _reason(self) -> str:
        report = read_report(self._runtime.home, "worker", WorkerReport)
        if report is None:
            return f"no log worker has reported yet, and nothing was applied for {STUCK_S:g} s"
        troubles = consumer_troubles(report, self._runtime.clock.now_us())
        fallback = f"nothing was applied for {STUCK_S:g} s"
        return troubles.get(STATE_CONSUMER) or troubles.get("") or fallback
