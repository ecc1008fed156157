"""Bring every view up to the end of the log when nothing else does."""

from flyball.core import FileLock, HomeBusy
from flyball.operations.feeds import feeds_of
from flyball.operations.process_specs import run_folder
from flyball.operations.worker import Worker
from flyball.runtime import Runtime


def catch_up(runtime: Runtime) -> int:
    """Fold what the log holds into state, history and outcomes; how many records were applied.

    While a log worker runs on the home it does so itself and nothing is done here.
    """
    try:
        with FileLock(run_folder(runtime.home) / "worker.lock", "catching up"):
            return Worker(feeds_of(runtime, flush_us=0)).drain(runtime.clock.now_us())
    except HomeBusy:
        return 0
