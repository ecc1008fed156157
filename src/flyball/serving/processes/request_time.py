"""How long a request may take to come in, and a client to take its answer.

A head has `HEAD_S` from when the connection opened, or from its first byte; a body must come at `LEAST_RATE` or faster
in every `LOOK_S`, and the whole within `REQUEST_S`. So a client that sends a byte now and then holds a connection for
seconds only. A client that does not take its answers for `TAKE_S` is cut off.
"""

import asyncio
from collections.abc import Callable

HEAD_S, REQUEST_S, TAKE_S = 10.0, 30.0, 30.0
LOOK_S, LEAST_RATE = 10.0, 1_000
"""Seconds between two looks at a body, and the bytes a second that must have come between them."""


class RequestTime:
    """The time of a connection's requests, one after another. `give_up(reason)` is called once for one that is late.

    `is_waiting_for_us()`: whether bytes stay out because nothing is read, which is not the client's fault.
    """

    __slots__ = ("_came", "_give_up", "_is_waiting_for_us", "_left_s", "_loop", "_timer", "is_of_body")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        give_up: Callable[[str], object],
        is_waiting_for_us: Callable[[], bool],
    ) -> None:
        self._loop, self._give_up, self._is_waiting_for_us = loop, give_up, is_waiting_for_us
        self._timer: asyncio.TimerHandle | None = None
        self._came, self._left_s = 0, 0.0
        self.is_of_body = False

    @property
    def runs(self) -> bool:
        return self._timer is not None

    def expect_head(self) -> None:
        """A head begins to come."""
        self._timer = self._loop.call_later(HEAD_S, self._no_head)

    def expect_body(self) -> None:
        """A head is in, and a body begins to come."""
        self.end()
        self._came, self._left_s, self.is_of_body = 0, REQUEST_S - HEAD_S, True
        self._timer = self._loop.call_later(LOOK_S, self._look)

    def came(self, count: int) -> None:
        """So many bytes of a body."""
        self._came += count

    def end(self) -> None:
        """The request is in, or the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self.is_of_body = None, False

    def _no_head(self) -> None:
        self._timer = None
        self._give_up(f"head of a request must be in whole within {HEAD_S:g} s")

    def _look(self) -> None:
        self._timer, came, self._came = None, self._came, 0
        self._left_s -= LOOK_S
        if came < LEAST_RATE * LOOK_S and not self._is_waiting_for_us():
            self._give_up(f"body must come at {LEAST_RATE} bytes a second or faster, got {came} in {LOOK_S:g} s")
        elif self._left_s <= 0:
            self._give_up(f"request must be in whole within {REQUEST_S:g} s")
        else:
            self._timer = self._loop.call_later(LOOK_S, self._look)
