"""The entry point of child processes: `python -m flyball.operations.child KIND`, with the spec on standard input."""

import logging
import signal
import sys
import threading

import msgspec

from flyball.core import FileLock, FlyballError, HomeBusy, SystemClock, SystemStopwatch
from flyball.events import WorkerReport
from flyball.operations.process import read_spec, watch_parent
from flyball.operations.process_specs import ProcessSpec, run_folder, write_report
from flyball.runtime import Runtime, open_runtime

IDLE_S, REPORT_S = 0.02, 0.5
_TAKEOVER_S = 15.0


def main() -> None:
    """Read the spec and run the kind of process that the first argument names."""
    kind = sys.argv[1]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    spec = msgspec.json.decode(read_spec(), type=ProcessSpec)
    watch_parent()
    try:
        _MAINS[kind](spec)
    except FlyballError as error:
        logging.getLogger("flyball").error("%s stops: %s", spec.name, error)
        sys.exit(1)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _runtime(spec: ProcessSpec) -> Runtime:
    return open_runtime(spec.source, spec.settings, SystemClock())


def _serve(spec: ProcessSpec) -> None:
    import socket

    from flyball.serving import serve

    serve(spec.source, spec.settings, socket.socket(fileno=spec.channel), spec.name)


def _work(spec: ProcessSpec) -> None:
    stop = _stop_on_signals()
    runtime = _runtime(spec)
    lock = FileLock(run_folder(runtime.home) / "worker.lock", "log worker")
    _take(lock, stop)
    try:
        if not stop.is_set():
            follow(runtime, stop)
    finally:
        lock.__exit__(None, None, None)


def _take(lock: FileLock, stop: threading.Event) -> None:
    """Acquire the lock, waiting for a worker whose supervisor was killed to end."""
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
    """Run the worker's steps until `stop` is set."""
    from flyball.operations.consumers import consumers_of
    from flyball.operations.worker import Worker

    consumers, watch = consumers_of(runtime), SystemStopwatch()
    worker = Worker(consumers, watch)
    applied = dict[str, int]()
    reported_s, errors = -REPORT_S, dict[str, str]()
    while not stop.is_set():
        now_us = runtime.clock.now_us()
        progress = worker.step(now_us)
        for name, count in progress.applied.items():
            applied[name] = applied.get(name, 0) + count
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
    runtime.prediction_history_consumer.flush()


def _govern(spec: ProcessSpec) -> None:
    from flyball.operations.learning import govern

    govern(_runtime(spec), spec, _stop_on_signals())


def _learn(spec: ProcessSpec) -> None:
    from flyball.operations.learning import learn_once

    learn_once(_runtime(spec), spec.cases)


def _evidence(spec: ProcessSpec) -> None:
    from flyball.operations.evidence import write_evidence

    write_evidence(_runtime(spec), SystemStopwatch())


def _shadow(spec: ProcessSpec) -> None:
    from flyball.operations.shadow import follow_shadows

    follow_shadows(_runtime(spec), _stop_on_signals())


def _watch(spec: ProcessSpec) -> None:
    from flyball.operations.watching import watch_once

    watch_once(_runtime(spec))


_MAINS = {
    "serve": _serve,
    "worker": _work,
    "governor": _govern,
    "learn": _learn,
    "shadow": _shadow,
    "evidence": _evidence,
    "watch": _watch,
}

if __name__ == "__main__":
    main()
