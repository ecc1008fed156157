"""Lines a second that each simulated world leaves, with nobody answering.

Run: python benchmarks/worlds.py [--days 30]
A world is lived for so many days in steps of six hours, as `flyball up --world` lives its past; nothing is ingested.
"""

import argparse
import time

from flyball.simulation import DAY_US, live_past
from flyball.simulation.worlds.delivery import DeliveryWorld
from flyball.simulation.worlds.fraud import FraudWorld
from flyball.simulation.worlds.movies import MovieWorld

START_US = 1_767_225_600_000_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=30)
    days = parser.parse_args().days
    for make in (DeliveryWorld, FraudWorld, MovieWorld):
        world = make(seed=1, start_us=START_US)
        began_s = time.perf_counter()
        batches = list(live_past(world, START_US, START_US + days * DAY_US))
        seconds = time.perf_counter() - began_s
        lines = sum(len(part) for batch in batches for _, part in batch.lines)
        print(f"{make.__name__:14} {lines:>9,} lines in {seconds:5.2f} s: {lines / seconds:>9,.0f} a second")


if __name__ == "__main__":
    main()
