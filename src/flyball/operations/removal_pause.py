"""Makes way for a removal: while its plan is there, this machine's log worker and governor do nothing.

What they have read and not written yet is dropped: it may be of records that are removed.
"""

import logging
import threading

from flyball.home import HomeLayout, interrupted_removal

LOOK_S = 0.2
SAY_LOOKS = 300
"""After so many looks, a minute, it says again that a removal was interrupted."""
_LOG = logging.getLogger("flyball.worker")


def is_removing(layout: HomeLayout) -> bool:
    """Whether a removal is under way; costs a microsecond."""
    return layout.removal_plan.exists()


def wait_for_removal(layout: HomeLayout, stop: threading.Event) -> bool:
    """Wait for the end of a removal, or `stop`; returns whether there was one."""
    looks = 0
    while is_removing(layout) and not stop.is_set():
        if looks % SAY_LOOKS == 0 and (interrupted := interrupted_removal(layout)):
            _LOG.warning("%s", interrupted)
        looks += 1
        stop.wait(LOOK_S)
    return looks > 0
