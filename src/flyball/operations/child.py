"""Main of a child process: `python -m flyball.operations.child KIND`, with its orders on standard input."""

import logging
import signal
import sys
import threading

import msgspec

from flyball.core import FileLock, FlyballError, HomeBusy, SystemClock, SystemStopwatch
from flyball.operations.process import hold_lifeline, read_orders
from flyball.operations.process_specs import Orders, WorkerReport, run_folder, write_report
from flyball.runtime import Runtime, open_runtime

IDLE_S, REPORT_S = 0.02, 0.5
_TAKEOVER_S = 15.0


def main() -> None:
    """Read the orders and be what the first argument says."""
    kind = sys.argv[1]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    orders = msgspec.json.decode(read_orders(), type=Orders)
    hold_lifeline()
    try:
        _MAINS[kind](orders)
    except FlyballError as error:
        logging.getLogger("flyball").error("%s stops: %s", orders.name, error)
        sys.exit(1)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _runtime(orders: Orders) -> Runtime:
    return open_runtime(orders.source, orders.settings, SystemClock())


def _serve(orders: Orders) -> None:
    import socket

    from flyball.serving import serve

    serve(orders.source, orders.settings, socket.socket(fileno=orders.channel), orders.name)


def _work(orders: Orders) -> None:
    stop = _stop_on_signals()
    runtime = _runtime(orders)
    lock = FileLock(run_folder(runtime.home) / "worker.lock", "log worker")
    _take(lock, stop)
    try:
        if not stop.is_set():
            follow(runtime, stop)
    finally:
        lock.__exit__(None, None, None)


def _take(lock: FileLock, stop: threading.Event) -> None:
    """Take the lock; a worker whose supervisor was killed needs a moment to let go of it."""
    waited = 0.0
    while not stop.is_set():
        try:
            lock.__enter__()
            return
        except HomeBusy:
            if waited >= _TAKEOVER_S:
                raise
            stop.wait(0.2)
            waited += 0.2


def follow(runtime: Runtime, stop: threading.Event) -> None:
    """The loop around the worker's steps."""
    from flyball.operations.feeds import feeds_of
    from flyball.operations.worker import Worker

    feeds, watch = feeds_of(runtime), SystemStopwatch()
    worker = Worker(feeds, watch)
    applied = {feed.name: 0 for feed in feeds}
    reported_s, errors = -REPORT_S, dict[str, str]()
    while not stop.is_set():
        now_us = runtime.clock.now_us()
        progress = worker.step(now_us)
        for name, count in progress.applied.items():
            applied[name] += count
        for name, lag in progress.lags.items():
            if lag.error and errors.get(name) != lag.error:
                logging.getLogger("flyball.worker").error("%s: %s", name, lag.error)
            errors[name] = lag.error
        if watch.read_s() - reported_s >= REPORT_S:
            write_report(runtime.home, "worker", WorkerReport(now_us, applied, progress.lags))
            reported_s = watch.read_s()
        if progress.idle:
            stop.wait(IDLE_S)
    runtime.history_consumer.flush()


def _govern(orders: Orders) -> None:
    from flyball.operations.learning import govern

    govern(_runtime(orders), orders, _stop_on_signals())


def _learn(orders: Orders) -> None:
    from flyball.operations.learning import learn_once

    learn_once(_runtime(orders))


_MAINS = {"serve": _serve, "worker": _work, "governor": _govern, "learn": _learn}

if __name__ == "__main__":
    main()
