"""From the log to the examples that candidates learn from and are evaluated on."""

from collections.abc import Callable, Collection

import msgspec

from flyball.app import App
from flyball.core import format_timestamp
from flyball.evaluation import largest_cutoff
from flyball.events import after_slices
from flyball.features import read_apply_delays
from flyball.history import Snapshot, take_snapshot
from flyball.learning.job import Job
from flyball.learning.split import Window, windows
from flyball.models import Interactions
from flyball.outcomes import exposure_of
from flyball.runtime import FEATURES_CONSUMER, STATE_CONSUMER
from flyball.tasks import Behind, EvaluationSet, Exposure, Frames, build_interactions, evaluation_set

_BATCH = 20_000
_SHOWN_BEFORE_US = 86_400_000_000


class Examples(msgspec.Struct, frozen=True):
    """`train`: as known just before the window; `everything`: as known now; `evaluation`: requests of the window;
    `frames`: the events under it all, as known now; `behind`: how late serving saw them."""

    everything: Interactions
    train: Interactions
    window: Window
    evaluation: EvaluationSet
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
        train = build_interactions(frames, app.task, schema, window.start_us - 1)
        evaluation = evaluation_set(
            frames, app.task, schema, train, (window.start_us, window.end_us), seed=job.seed,
            apply_delay_us=behind.state_us, min_examples=wanted, ips=app.choose.ips,
            exposure=_exposure(job, window), cutoff=largest_cutoff(app.task.offline().plan(), metrics_of(app)),
        )  # fmt: skip
        if evaluation.pool >= wanted:
            break
    else:
        return (
            f"too little to evaluate on: the test window must hold {wanted} users with new positives, "
            f"got {evaluation.pool} even in the widest ({window.share:.0%} of the positives)"
        )
    if not (train.weights >= 1).any():
        return (
            f"nothing to learn from: no positive was known before the test window, which starts at "
            f"{format_timestamp(window.start_us)}; "
            "events that happened long ago must be ingested as history, not as live"
        )
    job.tell(
        "examples",
        f"{len(train.user_index):,} pairs of {len(train.users):,} users and {len(train.items):,} items; evaluated on "
        f"{len(evaluation.at_us):,} requests of {len(evaluation.units):,} users after "
        f"{format_timestamp(window.start_us)}",
    )
    return Examples(everything, train, window, evaluation, frames, behind)


def metrics_of(app: App) -> list[str]:
    """The metrics that the application's rules name."""
    return [app.choose.metric, *(gate.metric for gate in app.gates.metrics)]


def _exposure(job: Job, window: Window) -> Callable[[Collection[str]], Exposure]:
    """What the service showed in the window and a day before, which may have led to positives, and when."""

    def read(users: Collection[str]) -> Exposure:
        return exposure_of(job.runtime.predictions, users, window.start_us - _SHOWN_BEFORE_US, window.end_us)

    return read
