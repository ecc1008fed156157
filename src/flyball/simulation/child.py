"""Main of the driving process: `python -m flyball.simulation.child URL`, with its orders on standard input; ends on
SIGTERM or with its parent."""

import sys
import threading

import msgspec

from flyball.core import NotFound, SystemClock
from flyball.operations import Orders, hold_lifeline, read_orders
from flyball.simulation.demo import drive_plan, read_plan
from flyball.simulation.live import stop_on_signals


def main(url: str) -> None:
    """Drive the service at `url` with the world of the application's home."""
    orders = msgspec.json.decode(read_orders(), type=Orders)
    plan = read_plan(orders.settings.folder)
    if plan is None:
        raise NotFound("world", orders.settings.home)
    stop = threading.Event()
    stop_on_signals(stop)
    hold_lifeline()
    drive_plan(orders.source.load(), plan, url, SystemClock().now_us(), stop)


if __name__ == "__main__":
    main(*sys.argv[1:])
