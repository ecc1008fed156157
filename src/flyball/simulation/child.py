"""Main of the driving process: `python -m flyball.simulation.child HOME URL`; ends on SIGTERM or with its parent."""

import sys
import threading
from pathlib import Path

from flyball.core import NotFound, SystemClock
from flyball.operations import hold_lifeline
from flyball.simulation.demo import drive_plan, read_plan
from flyball.simulation.live import stop_on_signals


def main(home: str, url: str) -> None:
    """Drive the service at `url` with the world of `home`."""
    plan = read_plan(Path(home))
    if plan is None:
        raise NotFound("world", home)
    stop = threading.Event()
    stop_on_signals(stop)
    hold_lifeline()
    drive_plan(plan, url, SystemClock().now_us(), stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
