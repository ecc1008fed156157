"""How a bulk load keeps out of the way of live events."""

import threading
from collections.abc import Callable

from flyball.core import Stopwatch, SystemStopwatch
from flyball.operations.process_specs import running
from flyball.runtime import Runtime

NEAR = 4_000
"""Events the online state may be behind before more are loaded: with one load of 16,384 lines under a second's work."""

STUCK_S = 5.0
_LOOK_S = 0.02


def backpressure(
    runtime: Runtime,
    near: int = NEAR,
    wait: Callable[[float], object] | None = None,
    stopwatch: Stopwatch | None = None,
) -> Callable[[], None]:
    """What a bulk load calls between two appends: returns once the online state is at most `near` events behind.

    Returns at once when no instance runs on the home, and when the state has not moved for five seconds. `wait` is
    called with seconds.
    """
    pause, watch = wait or threading.Event().wait, stopwatch or SystemStopwatch()

    def breathe() -> None:
        if running(runtime) is None:
            return
        applied, moved_s = -1, 0.0
        while True:
            now_s, before, applied = watch.read_s(), applied, sum(runtime.state.offsets())
            moved_s = now_s if applied != before else moved_s
            if sum(runtime.log.ends()) - applied <= near or now_s - moved_s > STUCK_S:
                return
            pause(_LOOK_S)

    return breathe
