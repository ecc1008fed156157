"""A round of retention, and its process: `python -m flyball.removal.scheduled`, with the spec on standard input."""

from collections.abc import Callable

import msgspec

from flyball.core import FileLock, FlyballError, HomeBusy, Stopwatch, SystemClock, SystemStopwatch, parse_duration
from flyball.learning import LEARNING_LOCK, remove_outdated
from flyball.operations import (
    RETENTION,
    ProcessSpec,
    RetentionReport,
    read_spec,
    start_logging,
    watch_parent,
    write_report,
)
from flyball.removal.plan import RemovalPlan, plan_under_way
from flyball.removal.removal import Removal
from flyball.removal.retention import outdated
from flyball.removal.versions import remove_held
from flyball.runtime import Runtime, open_runtime


def due_removal(runtime: Runtime, by: str) -> RemovalPlan | None:
    """The plan of what is older than declared, also of one that was interrupted; None where nothing is."""
    plan = outdated(runtime, by, runtime.clock.now_us())
    interrupted = plan_under_way(runtime.layout)
    continues = interrupted is not None and interrupted.request == plan.request
    return plan if continues or any(plan.counts.values()) else None


def remove_artifacts_by_age(runtime: Runtime, by: str) -> list[str]:
    """Delete the artifacts of versions that are needed no more; returns whose they were.

    They are those that held an id at an erasure and are out of service by now, and those that learning would delete
    at its end; while it runs they are left to it.
    """
    removed = remove_held(runtime, by)
    settings = runtime.settings
    try:
        with FileLock(runtime.home / LEARNING_LOCK, "flyball retention"):
            removed += remove_outdated(
                runtime.registry,
                runtime.artifact_files,
                settings.keep_runs,
                parse_duration(settings.keep_answers),
                runtime.clock.now_us(),
                by,
            )
    except HomeBusy:  # learning runs and removes them at its end; what else holds the lock is short
        return removed
    return removed


def apply_retention(
    runtime: Runtime, stopwatch: Stopwatch, by: str, on_step: Callable[[str], object] = lambda words: None
) -> RetentionReport:
    """Remove what is older than declared, and note it for the status; what fails is noted too, and tried again."""
    at_us = runtime.clock.now_us()
    try:
        artifacts = remove_artifacts_by_age(runtime, by)
        plan = due_removal(runtime, by)
        removed = {} if plan is None else Removal(runtime, stopwatch, on_step).begin(plan).removed
        report = RetentionReport(at_us, removed, artifacts)
    except FlyballError as error:
        report = RetentionReport(at_us, error=str(error))
    write_report(runtime.home, RETENTION, report)
    return report


def main() -> None:
    """Run a round for the governor."""
    spec = msgspec.json.decode(read_spec(), type=ProcessSpec)
    start_logging(spec.settings.log_format)
    watch_parent()
    runtime = open_runtime(spec.source, spec.settings, SystemClock())
    report = apply_retention(runtime, SystemStopwatch(), "governor", lambda words: print(words, flush=True))
    print(report.words, flush=True)
    runtime.close()


if __name__ == "__main__":
    main()
