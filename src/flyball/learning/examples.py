"""From the log to the examples that candidates learn from and are judged on."""

import msgspec

from flyball.core import format_timestamp
from flyball.events import after_slices
from flyball.features import read_apply_delays
from flyball.history import Snapshot, take_snapshot
from flyball.learning.job import Job
from flyball.learning.split import Window, windows
from flyball.models import Interactions
from flyball.runtime import FEATURES_CONSUMER, STATE_CONSUMER
from flyball.tasks import Behind, Cases, Frames, build_interactions, evaluation_cases

_BATCH = 20_000


class Examples(msgspec.Struct, frozen=True):
    """`train`: as known just before the window; `everything`: as known now; `cases`: users of the window; `frames`:
    the events under it all, as known now; `behind`: how late serving saw them."""

    everything: Interactions
    train: Interactions
    window: Window
    cases: Cases
    frames: Frames
    behind: Behind = Behind()


def catch_up(job: Job) -> None:
    """Write what the log has beyond the history into the history."""
    log, consumer = job.runtime.log, job.runtime.history_consumer
    offsets, count = consumer.offsets(), 0
    while slices := log.read(offsets, _BATCH):
        count += consumer.apply(slices)
        offsets = after_slices(offsets, slices)
    consumer.flush()
    job.tell("history", f"{count:,} events written to history")


def snapshot_of(job: Job) -> Snapshot:
    """The snapshot of what was known at the run's instant."""
    folder = job.runtime.history_folder
    delays = read_apply_delays(job.runtime.apply_delays_path)
    snapshot = take_snapshot(folder, job.runtime.schema, job.run.as_of_us, folder / "snapshots", delays)
    rows = sum(each.rows for each in snapshot.types.values())
    applied = "".join(
        f", in {name} after {one.p99_us / 1e6:.1f} s" for name, one in sorted(snapshot.manifest.apply_delays.items())
    )
    job.tell("snapshot", f"{snapshot.name}: {rows:,} events known at {format_timestamp(job.run.as_of_us)}{applied}")
    return snapshot


def examples_of(job: Job, snapshot: Snapshot) -> Examples | str:
    """The examples, or why there are too few."""
    app, schema, wanted = job.runtime.app, job.runtime.schema, job.runtime.app.gates.min_examples
    used = {*app.task.event_types, *app.profiles}
    declared = (*schema.types.items(), *schema.joined.items())
    frames = {name: snapshot.frame(name) for name, kind in declared if kind.cls in used}
    behind = Behind(snapshot.apply_delay_us(STATE_CONSUMER), snapshot.apply_delay_us(FEATURES_CONSUMER))
    everything = build_interactions(frames, app.task, schema, job.run.as_of_us)
    tried = windows(everything)
    if not tried:
        positives = int((everything.weights >= 1).sum())
        return f"too little to learn from: positives must lie at two instants or more, got {positives} positives in all"
    for window in tried:
        cases = evaluation_cases(
            frames, app.task, schema, window.start_us, window.end_us, seed=job.seed, apply_delay_us=behind.state_us
        )
        if cases.pool >= wanted:
            break
    else:
        return (
            f"too little to judge on: the test window must hold {wanted} users who liked something new, "
            f"got {cases.pool} even in the widest ({window.share:.0%} of the positives)"
        )
    train = build_interactions(frames, app.task, schema, window.start_us - 1)
    if not (train.weights >= 1).any():
        return (
            f"nothing to learn from: no positive was known before the test window, which starts at "
            f"{format_timestamp(window.start_us)}; "
            "events that happened long ago must be ingested as history, not as live"
        )
    job.tell(
        "examples",
        f"{len(train.user_index):,} pairs of {len(train.users):,} users and {len(train.items):,} items; judged on "
        f"{len(cases.users):,} users after {format_timestamp(window.start_us)}",
    )
    return Examples(everything, train, window, cases, frames, behind)
