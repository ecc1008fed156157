"""The latest test windows in a row, each with what was known before it."""

from flyball.core import Refused, format_duration, format_timestamp
from flyball.learning.job import Job
from flyball.learning.past import SnapshotPast
from flyball.learning.split import examples_of
from flyball.tasks import Examples, TakesPeriods


def recent_windows(job: Job, past: SnapshotPast, count: int, span_us: int) -> tuple[list[Examples], list[str]]:
    """Up to `count` windows of `span_us`, the earliest first, and why there are fewer.

    The last ends where that of learning does, or with the last example, if there has been none for long. Raises
    `Refused` for too little data for even one.
    """
    door = job.runtime.app.task.offline()
    newest = examples_of(job, past, door)
    if isinstance(newest, str):
        raise Refused(newest)
    end_us = newest.holdout.end_us
    if isinstance(door, TakesPeriods):
        end_us = min(end_us, int(door.example_times(newest.full).max(initial=0)) + 1)
    windows = list[Examples]()
    for number in range(count):
        examples = examples_of(job, past, door, (end_us - span_us, end_us))
        if isinstance(examples, str):
            if not windows:
                raise Refused(
                    f"{examples}; this window is the {format_duration(span_us)} before {format_timestamp(end_us)}: "
                    "take a longer one (--span), or wait for more labels"
                )
            return windows, [f"{number} of {count} test windows, since before them: {examples}"]
        windows.insert(0, examples)
        end_us -= span_us
    return windows, []
