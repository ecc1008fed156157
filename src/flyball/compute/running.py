"""Run tasks on any compute: as many side by side as it has room for, each with its retries and its limit of time."""

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

from flyball.compute.errors import TaskLost
from flyball.compute.types import Compute, ComputeTask, Lost, Needs, Started
from flyball.core import Refused, Stopwatch, SystemStopwatch, counted_units

Result = TypeVar("Result")

_logger = logging.getLogger("flyball.compute")

AWAY_S, _LOOK_S = 300.0, 2.0
"""How long tasks wait for another machine when those that had room are gone, and how often it is looked for."""


def run_tasks(
    compute: Compute,
    work: Callable[..., Result],
    calls: Sequence[tuple[Any, ...]],
    needs: Needs | None = None,
    imports: Sequence[str] = (),
    is_needed: Callable[[int], bool] = lambda index: True,
    stopwatch: Stopwatch | None = None,
    pause: Callable[[float], object] | None = None,
) -> Generator[tuple[int, Result | Exception]]:
    """Run `work(*call)` for each call; yield (index, result) as each ends.

    A call that raises yields its exception instead, a `FlyballError` as it was raised; the others continue. A call
    whose process or machine dies is started again, as often as the compute says, then yields a `TaskLost`. `calls` may
    be appended to while results are read. `work` must be importable, and it and its arguments picklable, since they are
    sent to another process. Closing the iterator, as an interrupt does, cancels what still runs. A call that runs
    longer than `needs.limit_s` is cancelled and yields a `TimeoutError`. A call that is not `is_needed` when its turn
    comes is skipped. Raises `Refused` for needs that no machine can meet; where one could before, after it was waited
    for during `AWAY_S`. `pause`: waits so many seconds between two looks.
    """
    loop = _Loop(compute, work, calls, needs or Needs(), tuple(imports), stopwatch or SystemStopwatch())
    wait = pause or threading.Event().wait
    try:
        while loop.has_more():
            yield from loop.fill(is_needed)
            if loop.waiting and not loop.running:
                wait(_LOOK_S)
            yield from loop.ended()
    finally:
        for started in loop.running:
            compute.cancel(started)


class _Loop:
    """The calls that wait, and the tasks that were started: {task: (index, how often it was lost)}."""

    def __init__(
        self,
        compute: Compute,
        work: Callable[..., Any],
        calls: Sequence[tuple[Any, ...]],
        needs: Needs,
        imports: tuple[str, ...],
        stopwatch: Stopwatch,
    ) -> None:
        self._compute, self._needs, self._stopwatch = compute, needs, stopwatch
        self._work, self._calls, self._imports = work, calls, imports
        self._seen = 0
        self.waiting = deque[tuple[int, int]]()
        self.running: dict[Started, tuple[int, int]] = {}
        self._had_room = False
        self._away_since_s: float | None = None

    def has_more(self) -> bool:
        """Whether a call waits or runs."""
        self.waiting.extend((index, 0) for index in range(self._seen, len(self._calls)))
        self._seen = len(self._calls)
        return bool(self.waiting or self.running)

    def fill(self, is_needed: Callable[[int], bool]) -> Iterator[tuple[int, Any]]:
        """Start tasks while there is room; yield those that cannot be sent."""
        while self.waiting and len(self.running) < self._slots():
            index, lost = self.waiting.popleft()
            if not is_needed(index):
                continue
            try:
                started = self._compute.start(ComputeTask(self._work, self._calls[index], self._needs, self._imports))
            except Exception as error:  # arguments that cannot be pickled are a failure of this call
                yield index, error
            else:
                self.running[started] = index, lost

    def _slots(self) -> int:
        """How many tasks may run side by side; 0 while no machine has room any more, for at most `AWAY_S`."""
        try:
            slots = self._compute.slots(self._needs)
        except Refused as error:
            now_s = self._stopwatch.read_s()
            if not self._had_room or (self._away_since_s is not None and now_s - self._away_since_s >= AWAY_S):
                raise
            if self._away_since_s is None:
                self._away_since_s = now_s
                words = counted_units(len(self.waiting), "task")
                _logger.warning("no machine has room for %s; waiting %g s for one: %s", words, AWAY_S, error)
            return 0
        self._had_room, self._away_since_s = True, None
        return slots

    def ended(self) -> Iterator[tuple[int, Any]]:
        """Wait until a task ends or is at its limit; yield those that did."""
        if not self.running:
            return
        for started, outcome in self._compute.wait(list(self.running), self._left_s()):
            index, lost = self.running.pop(started)
            if not isinstance(outcome, Lost):
                yield index, outcome
            elif lost < self._compute.retries:
                self.waiting.appendleft((index, lost + 1))
            else:
                times = f", {lost + 1} times" if lost else ""
                yield index, TaskLost(f"process must end with a result, got {outcome.reason}{times}")
        for started in [started for started in self.running if self._ends_s(started) <= self._stopwatch.read_s()]:
            index, _ = self.running.pop(started)
            self._compute.cancel(started)
            yield index, TimeoutError(f"it must end within {self._needs.limit_s:,.0f} s, and was ended then")

    def _ends_s(self, started: Started) -> float:
        limit_s = self._needs.limit_s
        return math.inf if limit_s is None or started.since_s is None else started.since_s + limit_s

    def _left_s(self) -> float | None:
        left_s = min(map(self._ends_s, self.running)) - self._stopwatch.read_s()
        return None if math.isinf(left_s) else max(left_s, 0.0)
