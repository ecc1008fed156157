"""Main of the driving process, `python -m flyball.simulation.child URL`.

It reads its specification from standard input and ends on SIGTERM or with its parent.
"""

import sys
import threading

import msgspec

from flyball.core import NotFound, SystemClock
from flyball.operations import ProcessSpec, read_spec, watch_parent
from flyball.simulation.demo import drive_plan, read_plan
from flyball.simulation.live import stop_on_signals


def main(url: str) -> None:
    """Drive the service at `url` with the world of the application's home."""
    spec = msgspec.json.decode(read_spec(), type=ProcessSpec)
    plan = read_plan(spec.settings.folder)
    if plan is None:
        raise NotFound("world", spec.settings.home, next_step="flyball up APP --world begins one")
    stop = threading.Event()
    stop_on_signals(stop)
    watch_parent()
    drive_plan(spec.source.load(), plan, url, SystemClock().now_us(), stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
