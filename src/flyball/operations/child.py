"""The entry point of child processes: `python -m flyball.operations.child KIND`, with the spec on standard input."""

import logging
import signal
import sys
import threading
from collections.abc import Mapping

import msgspec

from flyball.core import FileLock, FlyballError, HomeBusy, LeaseLost, SystemClock, SystemStopwatch
from flyball.events import WorkerReport
from flyball.home import HomeLayout
from flyball.operations.leadership import (
    EXPOSURES,
    ONLINE,
    OTHERS,
    PARTITIONS,
    LeaseRenewer,
    keeping,
    lease_of,
    shared_consumers,
    write_with,
)
from flyball.operations.log_lines import start_logging
from flyball.operations.partition_shares import partitions_in, renewers_of, tokens_of
from flyball.operations.process import read_spec, watch_parent
from flyball.operations.process_specs import CATCHING_UP, ProcessSpec, run_folder, write_report
from flyball.operations.removal_pause import is_removing, wait_for_removal
from flyball.runtime import Runtime, open_runtime

IDLE_S, REPORT_S = 0.02, 0.5
_TAKEOVER_S = 15.0


def main() -> None:
    """Read the spec and run the kind of process that the first argument names."""
    kind = sys.argv[1]
    spec = msgspec.json.decode(read_spec(), type=ProcessSpec)
    start_logging(spec.settings.log_format)
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
    runtime = open_runtime(spec.source, spec.settings, SystemClock())
    if spec.lease is not None:
        write_with(runtime, spec.lease)
    return runtime


def _serve(spec: ProcessSpec) -> None:
    import socket

    from flyball.serving import serve

    serve(spec.source, spec.settings, socket.socket(fileno=spec.channel), spec.name)


def _work(spec: ProcessSpec) -> None:
    stop = _stop_on_signals()
    while not stop.is_set():
        wait_for_removal(HomeLayout(spec.settings.folder), stop)
        _work_until_removal(spec, stop)


def _work_until_removal(spec: ProcessSpec, stop: threading.Event) -> None:
    runtime = _runtime(spec)
    lock = FileLock(run_folder(runtime.home) / "worker.lock", "log worker")
    _take(lock, stop)
    follows = "worker" in runtime.settings.processes
    renewers = renewers_of(runtime) if follows else {}
    try:
        with keeping(list(renewers.values())):
            while not stop.is_set() and not is_removing(runtime.layout):
                follow(runtime, stop, renewers)
                runtime.close()
                runtime = _runtime(spec)  # for other leases: nothing that was read before counts
    finally:
        lock.__exit__(None, None, None)


def _take(lock: FileLock, stop: threading.Event) -> None:
    """Acquire the lock, waiting for a worker whose supervisor was killed to end, and for a command that brings the
    views up to the log, as `flyball migrate` does after a switch: that may take minutes, and ends by itself."""
    waited, holder = 0.0, ""
    while not stop.is_set():
        try:
            lock.__enter__()
            return
        except HomeBusy as error:
            if error.holder.startswith(CATCHING_UP):
                if error.holder != holder:
                    holder = error.holder
                    logging.getLogger("flyball.worker").warning("waits for the end of %s", holder)
                waited = 0.0
            elif waited >= _TAKEOVER_S:
                raise
            stop.wait(0.2)
            waited += 0.2


def _runs(runtime: Runtime, consumer: str, renewers: Mapping[str, LeaseRenewer], tokens: Mapping[str, int]) -> bool:
    """Whether a consumer needs no lease here, or this process holds it."""
    name = lease_of(consumer)
    if name == EXPOSURES:
        return True
    if "worker" not in runtime.settings.processes:  # the machine of a governor, which counts exposures
        return False
    if name == PARTITIONS and name in renewers:
        return consumer not in shared_consumers(runtime) or bool(partitions_in(tokens, len(runtime.log.ends())))
    return name not in renewers or name in tokens


def follow(runtime: Runtime, stop: threading.Event, renewers: Mapping[str, LeaseRenewer] | None = None) -> None:
    """Run the worker's steps until `stop` is set, or other leases are held than at the beginning.

    `renewers`: of the leases that consumers need, where machines share them; only those run whose lease is held.
    """
    from flyball.operations.consumers import consumers_of
    from flyball.operations.worker import Worker
    from flyball.operations.writing import claim_stores

    renewers = renewers or {}
    tokens, watch = tokens_of(renewers), SystemStopwatch()
    assigned = list(partitions_in(tokens, len(runtime.log.ends()))) if PARTITIONS in renewers else None
    consumers = [
        consumer
        for consumer in consumers_of(runtime, token=tokens.get(OTHERS, 0), assigned=assigned)
        if _runs(runtime, consumer.name, renewers, tokens)
    ]
    try:
        claim_stores(runtime, tokens)
    except LeaseLost as error:
        logging.getLogger("flyball.worker").error("%s", error)
        for name in (ONLINE, PARTITIONS):
            if name in renewers and tokens == tokens_of(renewers):
                renewers[name].lose()
        stop.wait(IDLE_S)
        return
    worker = Worker(consumers, watch)
    applied = dict[str, int]()
    reported_s, errors = -REPORT_S, dict[str, str]()
    while not stop.is_set() and not is_removing(runtime.layout) and tokens == tokens_of(renewers):
        now_us = runtime.clock.now_us()
        progress = worker.step(now_us)
        for name, count in progress.applied.items():
            applied[name] = applied.get(name, 0) + count
        for name, lag in progress.lags.items():
            if lag.error and errors.get(name) != lag.error:
                logging.getLogger("flyball.worker").error("%s: %s", name, lag.error)
            errors[name] = lag.error
        for name in progress.lost:
            if lease_of(name) in renewers and tokens == tokens_of(renewers):  # else it is known, and others are held
                renewers[lease_of(name)].lose()
        if watch.read_s() - reported_s >= REPORT_S:
            write_report(runtime.home, "worker", WorkerReport(now_us, applied, progress.lags))
            reported_s = watch.read_s()
        if progress.idle:
            stop.wait(IDLE_S)
    flushed = tokens == tokens_of(renewers) and not is_removing(runtime.layout)
    if flushed and any(consumer.name == "history" for consumer in consumers):
        runtime.history_consumer.flush()
        runtime.prediction_history_consumer.flush()
    worker.close()


def _govern(spec: ProcessSpec) -> None:
    from flyball.operations.learning import lead

    lead(_runtime(spec), spec, _stop_on_signals())


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
