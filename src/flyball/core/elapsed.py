"""Elapsed time for waits: a wall clock may be set back or forward meanwhile."""

from flyball.core.clock import Stopwatch


class Elapsed:
    """Microseconds that have passed, never less than before.

    By `stopwatch`, which no setting of the wall clock touches. Without one, as in virtual time, by the times that
    are given: one before the last adds nothing, so a wait goes on with what was left of it.
    """

    def __init__(self, stopwatch: Stopwatch | None = None) -> None:
        self._stopwatch = stopwatch
        self._last_us: int | None = None
        self._passed_us = 0

    def us(self, now_us: int) -> int:
        """What has passed by `now_us`, from an arbitrary start."""
        if self._stopwatch is not None:
            return int(self._stopwatch.read_s() * 1e6)
        if self._last_us is not None:
            self._passed_us += max(0, now_us - self._last_us)
        self._last_us = now_us
        return self._passed_us
