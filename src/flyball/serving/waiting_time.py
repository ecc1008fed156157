"""How long a request has waited in front of the event loop before it is read.

Nothing says when its bytes came, but a timer that is due every `TICK_S` says how busy the loop is: what is read now
came after the loop last looked for input, and so after the timer before was due. Nothing is computed from older times,
so that a request is not refused for an overload that is over.
"""

import asyncio
from collections.abc import Callable

from flyball.core import Stopwatch

TICK_S = 0.005
BULK_SHARE = 0.25
"""Of the deadline of answers: requests with events are refused when requests wait longer than this share."""


class WaitingTime:
    """`deadline_s`: within which answers must come. `note_late(now_s)` is called while requests, or their answers, take
    longer than `BULK_SHARE` of it, for those who load in bulk."""

    def __init__(
        self, stopwatch: Stopwatch, deadline_s: float, note_late: Callable[[float], object] = lambda now_s: None
    ) -> None:
        self._stopwatch, self._deadline_s, self._note_late = stopwatch, deadline_s, note_late
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticked_s = self._late_s = 0.0
        self._ticking = self._is_used = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def waited_s(self) -> float:
        """At most so long has a request waited that is read now."""
        now_s = self._stopwatch.read_s()
        self._is_used = True
        if not self._ticking:
            if self._loop is not None:
                self._ticking = True
                self._loop.call_later(TICK_S, self._tick)
            self._ticked_s, self._late_s = now_s, 0.0
            return 0.0
        return self._late_s + max(0.0, now_s - self._ticked_s - TICK_S)

    def is_over(self, *, of_events: bool = False) -> bool:
        """Whether a request that is read now has waited so long that its work would come too late, or would make
        answers late."""
        return self.waited_s() > self._deadline_s * (BULK_SHARE if of_events else 1.0)

    def took(self, seconds: float, now_s: float | None = None) -> None:
        """A request waited, or an answer was made, for so long."""
        if seconds > self._deadline_s * BULK_SHARE:
            self._note_late(self._stopwatch.read_s() if now_s is None else now_s)

    def _tick(self) -> None:
        now_s = self._stopwatch.read_s()
        self._late_s, self._ticked_s = max(0.0, now_s - self._ticked_s - TICK_S), now_s
        self.took(self._late_s, now_s)
        self._ticking, self._is_used = self._is_used, False
        if self._ticking and self._loop is not None:
            self._loop.call_later(TICK_S, self._tick)
