"""Keeps out all that derives something from the logs: log workers, learning and watching, here and elsewhere."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flyball.core import FileLock, HomeBusy, Stopwatch, StoreUnavailable
from flyball.learning import LEARNING_LOCK
from flyball.operations import OTHERS, claim_stores, holding_leases
from flyball.runtime import Runtime

_TRY_AGAIN_S = 0.1
WITHIN_S = 60.0


@contextmanager
def alone(runtime: Runtime, stopwatch: Stopwatch, within_s: float = WITHIN_S) -> Iterator[int]:
    """The time in which nothing else derives anything from the logs; yields the token with which outcomes are written.

    Raises `HomeBusy` where a run of learning on the command line does not end within `within_s`, and
    `StoreUnavailable` where a machine keeps the lease of a log worker for longer than that.
    """
    run = runtime.layout.run
    with ExitStack() as stack:
        for path in (run / "worker.lock", runtime.home / LEARNING_LOCK, run / "watch.lock"):
            stack.enter_context(_locked(path, stopwatch, within_s))
        tokens = stack.enter_context(holding_leases(runtime, stopwatch, within_s))
        if tokens is None:
            raise StoreUnavailable(
                "the log workers of all machines must be out of the way, got a lease that one of them holds: run the "
                "command again in a moment"
            )
        claim_stores(runtime, tokens)
        yield tokens.get(OTHERS, 0)


@contextmanager
def _locked(path: Path, stopwatch: Stopwatch, within_s: float) -> Iterator[None]:
    lock, deadline_s = FileLock(path, "a removal"), stopwatch.read_s() + within_s
    while True:
        try:
            lock.__enter__()
        except HomeBusy:
            if stopwatch.read_s() > deadline_s:
                raise
            threading.Event().wait(_TRY_AGAIN_S)
        else:
            break
    try:
        yield
    finally:
        lock.__exit__(None, None, None)
