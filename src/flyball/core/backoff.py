"""Growing pauses between attempts."""

_FIRST_US, _LONGEST_US, _CALM_US = 200_000, 30_000_000, 60_000_000


class Backoff:
    """Exponential backoff: 0.2 s, doubled after each failure up to 30 s; a minute without a failure resets it."""

    def __init__(self) -> None:
        self._pause_us, self._last_us = 0, 0

    def next_us(self, at_us: int) -> int:
        """How long to wait, in microseconds, after a failure at `at_us`: elapsed time (see `Elapsed`), not wall-clock
        time."""
        calm = at_us - self._last_us > self._pause_us + _CALM_US
        self._pause_us = _FIRST_US if calm or not self._pause_us else min(2 * self._pause_us, _LONGEST_US)
        self._last_us = at_us
        return self._pause_us
