"""What was refused, in the log once a minute, whatever the number of requests."""

import logging
import threading
from collections.abc import Callable

from flyball.core import Stopwatch, counted_units, printable_line

EVERY_S = 60.0
SHOWN, KEPT = 5, 256

_logger = logging.getLogger("flyball.limits")


def call_after(seconds: float, work: Callable[[], None]) -> None:
    """Call `work` in a thread that does not keep its process alive."""
    timer = threading.Timer(seconds, work)
    timer.daemon = True
    timer.start()


class RefusalLog:
    """Counts refusals by who was refused, `KEPT` of them at most; logs the first at once, and all others once a minute.

    `why`: how the line begins. `after(seconds, work)`: calls `work` later, so that the last ones are logged where no
    other one follows.
    """

    def __init__(
        self,
        stopwatch: Stopwatch,
        why: str = "over a limit",
        after: Callable[[float, Callable[[], None]], object] = call_after,
    ) -> None:
        self._stopwatch, self._why, self._after = stopwatch, why, after
        self._lock = threading.Lock()
        self._counts: dict[tuple[str, str], int] = {}
        self._others = 0
        self._next_s = float("-inf")
        self._waits = False

    def note(self, what: str, who: str) -> None:
        """`what` of `who` was refused; `what` is a plural, such as "answers", or a reason, such as "no-key"."""
        about = (what, who)
        with self._lock:
            if about in self._counts or len(self._counts) < KEPT:
                self._counts[about] = self._counts.get(about, 0) + 1
            else:
                self._others += 1
            self._write_or_wait()

    def _due(self) -> None:
        with self._lock:
            self._waits = False
            if self._counts:
                self._write_or_wait()

    def _write_or_wait(self) -> None:
        now_s = self._stopwatch.read_s()
        if now_s >= self._next_s:
            self._next_s = now_s + EVERY_S
            self._write()
        elif not self._waits:
            self._waits = True
            self._after(self._next_s - now_s, self._due)

    def _write(self) -> None:
        most = sorted(self._counts.items(), key=lambda item: -item[1])
        shown = [
            f"{counted_units(count, what[:-1]) if what.endswith('s') else f'{count:,} {what}'} of {printable_line(who)}"
            for (what, who), count in most[:SHOWN]
        ]
        others = self._others + sum(count for _, count in most[SHOWN:])
        if others:
            shown.append(f"{others:,} of others")
        _logger.warning("%s, refused since the last such line: %s", self._why, "; ".join(shown))
        self._counts.clear()
        self._others = 0
