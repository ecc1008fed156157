"""Bring every view up to the end of the log when nothing else does."""

from collections.abc import Callable

from flyball.core import FileLock, HomeBusy
from flyball.operations.feeds import feeds_of
from flyball.operations.process_specs import run_folder
from flyball.operations.worker import Worker
from flyball.runtime import Runtime


def catch_up(runtime: Runtime, report_progress: Callable[[str], object] | None = None) -> int:
    """Fold what the log holds into state, history and outcomes; how many records were applied.

    While a log worker runs on the home it does so itself and nothing is done here. `report_progress` is called with a
    line now and then: after a change of the declaration all of the log is folded again, which takes minutes.
    """
    try:
        with FileLock(run_folder(runtime.home) / "worker.lock", "catching up"):
            worker, applied = Worker(feeds_of(runtime, flush_us=0)), 0
            while not (progress := worker.step(runtime.clock.now_us())).idle:
                applied += sum(progress.applied.values())
                if report_progress is not None:
                    behind = max((lag.behind for lag in progress.lags.values()), default=0)
                    report_progress(f"bringing the views up to the log: {behind:,} records to go")
            return applied + sum(progress.applied.values())
    except HomeBusy:
        return 0
