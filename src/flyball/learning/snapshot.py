"""Takes a snapshot of what is known, and opens it as the past that a task reads."""

from collections.abc import Collection
from typing import Any

from flyball.core import counted_units, format_timestamp
from flyball.events import after_slices
from flyball.features import read_apply_delays
from flyball.history import LeftOut, Snapshot, take_snapshot
from flyball.learning.job import Job
from flyball.learning.left_out import reading_without
from flyball.learning.past import SnapshotPast
from flyball.monitoring import account_entity
from flyball.outcomes import decisions_frame, exposure_of
from flyball.registry import holds_at
from flyball.runtime import FEATURES_CONSUMER, STATE_CONSUMER
from flyball.tasks import ServingLag

_BATCH = 20_000


def catch_up(job: Job) -> None:
    """Write the log's records that are not in the history yet into the history."""
    log, consumer = job.runtime.log, job.runtime.history_consumer
    offsets, count = consumer.offsets(), 0
    while slices := log.read(offsets, _BATCH):
        count += consumer.apply(slices)
        offsets = after_slices(offsets, slices)
    consumer.flush()
    job.report("history", f"{count:,} events written to history")


def snapshot_of(job: Job) -> Snapshot:
    """The snapshot of what was known at the run's `as_of_us`."""
    delays = read_apply_delays(job.runtime.apply_delays_path)
    snapshot = take_snapshot(
        job.runtime.history_files, job.runtime.schema, job.run.as_of_us, None, delays, left_out_of(job)
    )
    rows = sum(type_snapshot.rows for type_snapshot in snapshot.types.values())
    applied = "".join(
        f", in {name} after {apply_delay.p99_us / 1e6:.1f} s"
        for name, apply_delay in sorted(snapshot.manifest.apply_delays.items())
    )
    left_out = snapshot.left_out
    if left_out.shares:
        words = f"{counted_units(len(left_out.shares), left_out.entity)} left out of training or counted less"
        applied += f"; {words}"
        job.notes.append(f"{words}: flyball suspects held lists them")
    job.report("snapshot", f"{snapshot.name}: {rows:,} events known at {format_timestamp(job.run.as_of_us)}{applied}")
    return snapshot


def past_of(job: Job, snapshot: Snapshot) -> SnapshotPast:
    """The snapshot as the past that the task reads."""
    lag = ServingLag(snapshot.apply_delay_us(STATE_CONSUMER), snapshot.apply_delay_us(FEATURES_CONSUMER))

    def shown(keys: Collection[str], start_us: int, end_us: int) -> Any:
        return exposure_of(job.runtime.predictions, keys, start_us, end_us)

    def decisions() -> Any:
        return decisions_frame(job.runtime.predictions, job.run.as_of_us)

    read = reading_without(snapshot.frame, job.runtime.schema, snapshot.left_out)
    return SnapshotPast(read, job.run.as_of_us, lag, shown, decisions)


def left_out_of(job: Job) -> LeftOut:
    """Those that were held at the run's `as_of_us`, and those that the run leaves out besides."""
    app = job.runtime.app
    if not app.task.about.entities:  # nobody has accounts that could be held
        return LeftOut("", job.without)
    entity = account_entity(app.task.about, app.suspects.entity)
    shares = {name: hold.share for name, hold in holds_at(job.runtime.registry, entity, job.run.as_of_us).items()}
    return LeftOut(entity, shares | job.without)
