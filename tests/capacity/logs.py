"""A small log of the movie application, to take a sample of."""

from pathlib import Path

from flyball.app import load_app
from flyball.core import ManualClock
from flyball.runtime import Runtime, load_settings

NOW_US = 1_790_000_000_000_000
HOUR_US = 3_600_000_000


def filled(folder: Path, events: int) -> Runtime:
    """Events of 100 users and 80 films over four days."""
    runtime = Runtime(load_app("movies"), load_settings(folder), ManualClock(NOW_US))
    check = runtime.schema.check
    runtime.log.append([check("filmcard", {"film": f"f{film}"}, NOW_US, NOW_US) for film in range(80)])
    step_us = 96 * HOUR_US // events
    runtime.log.append(
        [
            check(
                "watch",
                {"user": 1 + number % 100, "film": f"f{number * 7 % 80}", "minute": 0},
                NOW_US - number * step_us,
                NOW_US,
            )
            for number in range(events)
        ]
    )
    return runtime
