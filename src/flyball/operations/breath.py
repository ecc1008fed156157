"""How a bulk load keeps out of the way of live events."""

import threading
from collections.abc import Callable

from flyball.operations.orders import running
from flyball.runtime import Runtime

NEAR = 4_000
"""Events the online state may be behind before more are loaded: with one load of 16,384 lines under a second's work."""

STUCK_US = 5_000_000
_LOOK_S = 0.02


def breather(runtime: Runtime, near: int = NEAR, wait: Callable[[float], object] | None = None) -> Callable[[], None]:
    """What a bulk load calls between two appends: returns once the online state is at most `near` events behind.

    Returns at once when no instance runs on the home, and when the state has not moved for five seconds. `wait` is
    called with seconds.
    """
    pause = wait or threading.Event().wait

    def breathe() -> None:
        if running(runtime) is None:
            return
        applied, moved_us = -1, 0
        while True:
            now_us, before, applied = runtime.clock.now_us(), applied, sum(runtime.state.offsets())
            moved_us = now_us if applied != before else moved_us
            if sum(runtime.log.ends()) - applied <= near or now_us - moved_us > STUCK_US:
                return
            pause(_LOOK_S)

    return breathe
