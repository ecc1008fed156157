"""Elapsed time for waits: a wall clock may be set back or forward meanwhile."""

from flyball.core.clock import Stopwatch


class Elapsed:
    """Elapsed time in microseconds; it never decreases.

    Measured by `stopwatch`, which changes of the wall clock do not affect. Without one, as in virtual time, it is
    computed from the times passed to `us`: a time before the last one adds nothing, so a wait continues where it was.
    """

    def __init__(self, stopwatch: Stopwatch | None = None) -> None:
        self._stopwatch = stopwatch
        self._last_us: int | None = None
        self._passed_us = 0

    def us(self, now_us: int) -> int:
        """The microseconds elapsed by `now_us`, from an arbitrary start."""
        if self._stopwatch is not None:
            return int(self._stopwatch.read_s() * 1e6)
        if self._last_us is not None:
            self._passed_us += max(0, now_us - self._last_us)
        self._last_us = now_us
        return self._passed_us
